"""Figures show what the tables hold, and nothing that could be read as markup."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from matstrata.pipelines.reports import queries
from matstrata.pipelines.reports.figures import canvas
from matstrata.pipelines.reports.figures import data as data_figures
from matstrata.pipelines.reports.figures import evaluation as evaluation_figures
from matstrata.pipelines.reports.wording import number
from matstrata.schemas.properties import get_property
from matstrata.store.lake.lake import Lake


def test_parity_offers_every_setting_with_intervals_and_shows_one(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        held_out = queries.out_of_fold(con, queries.ensemble(con, "refractive_index")["model_id"][0].as_py())
    figure = evaluation_figures.parity(
        held_out, prop=get_property("refractive_index"), protocol="grouped_kfold", choice="known_dft"
    )
    visibility = {trace.name: trace.visible for trace in figure.data if trace.mode == "markers"}
    assert visibility == {"known_dft": True, "strict": "legendonly"}
    marks = next(trace for trace in figure.data if trace.name == "known_dft")
    outside = list(marks.marker.symbol).index(canvas.OPEN)
    inside = list(marks.marker.symbol).index(canvas.CLOSED)
    row = held_out.filter((pc.field("setting") == "known_dft") & (pc.field("protocol") == "grouped_kfold")).to_pylist()[
        outside
    ]
    assert row["material_id"] == "AsK2"
    assert tuple(marks.customdata[outside]) == (
        "K2As",
        f"{number(row['lower_90'])} to {number(row['upper_90'])}",
        "out of",
    )
    assert marks.customdata[inside][2] == "in"


def test_thousands_of_materials_stay_light() -> None:
    n = 4_000  # about as many as the largest list of measured band gaps holds
    rng = np.random.default_rng(0)
    value = rng.gamma(2, 1, n)
    part = {"protocol": ["grouped_kfold"] * n, "material_id": [f"Ag2Ge4Pb7Se{i}" for i in range(n)], "measured": value,
            "value": value + 0.1, "lower_90": value - 0.4, "upper_90": value + 0.6, "in_domain": rng.random(n) > 0.1}  # fmt: skip
    held_out = pa.concat_tables([pa.table(part | {"setting": [setting] * n}) for setting in ("known_dft", "strict")])
    figure = evaluation_figures.parity(
        held_out, prop=get_property("band_gap"), protocol="grouped_kfold", choice="known_dft"
    )
    assert len(figure.to_json()) < 850_000  # with plotly.js (4.8 MB) the page stays under 6 MB


def test_periodic_table_shows_each_count_at_its_element() -> None:
    heat = data_figures.periodic_coverage({"O": 134, "La": 2}).data[0]
    texts = {text for row in heat.text for text in row if text}
    assert len(texts) == 118
    assert heat.text[1][15] == "<b>O</b><br>134"
    assert heat.text[8][2] == "<b>La</b><br>2"
    assert heat.z[1][15] == np.log10(134)
    assert heat.zmin == heat.z[0][0]  # hydrogen: none


def test_periodic_table_without_counts_draws() -> None:
    assert data_figures.periodic_coverage({}).to_json()


@pytest.mark.parametrize("most", [18, 107, 1000])  # at some counts the sum of the colors' steps was rounded beyond 1
def test_periodic_table_draws_whatever_the_counts(most: int) -> None:
    scale = data_figures.periodic_coverage({"O": most}).data[0].colorscale
    assert (scale[0][0], scale[-1][0]) == (0, 1)


def test_overlap_marks_exactly_the_members() -> None:
    figure = data_figures.source_overlap(pa.table({"sources": [["a", "c"], ["b"]], "materials": [5, 2]}))
    assert list(figure.data[0].y) == [5, 2]
    assert [list(trace.y) for trace in figure.data[2:]] == [["a (5) ", "c (5) "], ["b (2) "]]


def test_rejections_have_the_commonest_rule_first() -> None:
    rows = pa.table({"rule_id": ["x.rare", "y.common", "y.common"], "source": ["s", "s", "t"], "records": [1, 5, 2]})
    figure = data_figures.rejections_by_rule(rows)
    assert list(figure.data[0].y) == ["y.common ", "x.rare "]
    assert [note.text for note in figure.layout.annotations] == ["7", "1"]


def test_data_never_becomes_markup() -> None:
    hostile = "<a href='javascript:alert(1)'>x</a>"
    overlap = data_figures.source_overlap(pa.table({"sources": [[hostile]], "materials": [1]}))
    rejected = data_figures.rejections_by_rule(pa.table({"rule_id": [hostile], "source": [hostile], "records": [1]}))
    errors = evaluation_figures.errors_by_setting(
        {(hostile, hostile, "all", "mae"): 1.0}, prop=get_property("band_gap")
    )
    for figure in (overlap, rejected, errors):
        assert "<a" not in figure.to_json()
        assert "\\u003ca" not in figure.to_json()
