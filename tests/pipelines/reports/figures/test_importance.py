"""Importances and effects are drawn as the store holds them, also where there is little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports import findings, queries
from matstrata.pipelines.reports.figures import evaluation as evaluation_figures
from matstrata.pipelines.reports.figures import importance as importance_figures
from matstrata.pipelines.reports.report_page import build
from matstrata.schemas.properties import get_property
from matstrata.store.lake.lake import Lake
from tests.pipelines.reports.conftest import MODEL, SETTINGS

INDEX = get_property("refractive_index")
GAP = get_property("band_gap")


def test_bars_are_the_mean_over_folds_and_marks_the_folds(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        figure = importance_figures.importance(queries.importances(con, MODEL), prop=INDEX)
        rows = con.execute(
            "SELECT sum(increase * materials) / sum(materials) FROM importances WHERE kind = 'source'"
        ).fetchall()
        n = con.execute("SELECT count(*) FROM importances").fetchall()[0][0]
    bars = {name: value for trace in figure.data[:2] for name, value in zip(trace.y, trace.x, strict=True)}
    assert bars["ricci_transport "] == rows[0][0]
    assert len(figure.data[2].x) == n


def test_every_effect_is_a_mark_at_its_value(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        figure = importance_figures.effects(queries.effects(con, MODEL), queries.importances(con, MODEL), prop=INDEX)
        stored = [x for (x,) in con.execute("SELECT effect FROM effects ORDER BY 1").fetchall()]
    drawn = np.sort(np.concatenate([trace.x for trace in figure.data]))
    np.testing.assert_allclose(drawn, stored, rtol=1e-6)


def test_the_learning_curve_is_the_stored_one(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        figure = evaluation_figures.learning_curve(queries.learning_curve(con, MODEL), prop=INDEX)
    drawn = {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in figure.data}
    assert set(drawn) == {"without_dft", "known_dft"}
    assert drawn["known_dft"] == [(n, SETTINGS["known_dft"] + 10 / n) for n in (17, 35, 70)]


def test_residuals_are_told_by_class_and_domain() -> None:
    part = pa.table(
        {
            "material_id": ["Ag", "AlN", "GaN", "Cu"],
            "measured": [0.0, 6.0, 3.4, 0.0],
            "value": [0.5, 5.0, 3.5, 0.0],
            "in_domain": [True, False, True, True],
        }
    )
    inside, outside = evaluation_figures.residuals(part, prop=GAP).data[:2]
    assert (list(inside.x), list(outside.x)) == (["metal", "metal", "non-metal"], ["non-metal"])
    np.testing.assert_allclose(inside.y, [0.5, 0.0, 0.1], rtol=1e-5)
    np.testing.assert_allclose(outside.y, [-1.0], rtol=1e-5)
    assert set(evaluation_figures.residuals(part, prop=INDEX).data[0].x) == {"all"}


def test_the_calibration_curve_has_every_level_that_was_evaluated(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        stored = findings.index_metrics(queries.metrics(con, MODEL))
    (curve,) = findings.calibration(stored, ("grouped_kfold", "known_dft"))
    assert curve.levels == (0.5, 0.9)
    key = ("grouped_kfold", "known_dft", "all")
    assert curve.shares == (stored[*key, "coverage_50"], stored[*key, "coverage_90"])
    line = evaluation_figures.calibration_curve([curve]).data[1]
    np.testing.assert_allclose(line.x, [50, 90])
    np.testing.assert_allclose(line.y, 100 * np.array(curve.shares))


def test_compounds_of_the_same_elements_count_once_for_the_margin() -> None:
    rng = np.random.default_rng(0)
    shift = rng.normal(size=30)  # per chemical system
    names = [f"{metal}{n}{anion}" for metal in ("Ag", "Al", "Ba") for anion in "BCFHIKNOPS" for n in range(2, 6)]
    errors = np.repeat(np.abs(shift), 4)
    part = {"protocol": "grouped_kfold", "measured": 0.0, "lower_90": None, "upper_90": None, "in_domain": True}
    rows = [
        part | {"setting": setting, "material_id": name, "value": value}
        for setting, values in (("known_dft", 1 + errors), ("without_dft", np.ones(120)))
        for name, value in zip(names, values, strict=True)
    ]
    figures = {
        ("grouped_kfold", setting, "all", "mae"): float(np.mean([r["value"] for r in rows if r["setting"] == setting]))
        for setting in ("known_dft", "without_dft")
    }
    (row,) = findings.computed_data_benefit(figures, pa.Table.from_pylist(rows))
    assert row.margin is not None
    np.testing.assert_allclose(row.margin, 1.96 * np.abs(shift).std(ddof=1) / np.sqrt(30), rtol=1e-9)


def test_explained_materials_are_different_ones() -> None:
    rows = [{"material_id": name, "value": value, "measured": 1.0} for name, value in (("A", 3.0), ("B", 1.0))]
    chosen = findings.example_materials(pa.Table.from_pylist(rows), {"A", "B", "C"})
    assert [(why, row["material_id"]) for why, row in chosen] == [
        ("highest prediction", "A"),
        ("lowest prediction", "B"),
    ]


def test_a_single_source_without_computed_helpers_has_a_report(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    for table in ("model_metrics", "out_of_fold", "learning_curves"):
        plausible[table] = [row for row in plausible[table] if row["setting"] not in ("known_dft", "strict")]
    for table in ("importances", "effects"):
        plausible[table] = [row for row in plausible[table] if row["kind"] != "source"]
    plausible["sources"] = plausible["sources"][:1]
    plausible["observations"] = [row for row in plausible["observations"] if row["source"] == "refractiveindex_info"]
    snapshot = fill(plausible)
    with lake.reader() as con:
        page = build(con, "refractive_index", snapshot=snapshot)
    assert "setting <code>without_dft</code>" in page
    assert "no pair of settings with and without computed sources" in page
    assert "Importance of sources and descriptors" in page


def test_few_materials_have_a_report_without_maps(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    plausible["observations"] = plausible["observations"][:3]
    snapshot = fill(plausible | {"model_metrics": [], "out_of_fold": []})
    with lake.reader() as con:
        assert "Too few materials with this property have descriptors" in build(
            con, "refractive_index", snapshot=snapshot
        )
