"""The report as a page: complete, self-contained, honest about what is missing, safe against hostile data."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from matstrata.pipelines.reports.report_page import build
from matstrata.pipelines.reports.wording import number, percent
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES
from matstrata.store.lake.lake import Lake

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\""
SECTIONS = (
    "parity",
    "errors",
    "intervals",
    "importance",
    "largest-errors",
    "elements",
    "chemical-space",
    "sources",
    "rejections",
    "features",
    "cite",
    "reproduce",
)


def _report(lake: Lake, snapshot: int, property_name: str = "refractive_index") -> str:
    with lake.reader() as con:
        return build(con, property_name, snapshot=snapshot)


@pytest.fixture(scope="module")
def page(filled: tuple[Lake, int]) -> str:
    """The report of the shared store: drawing it takes seconds."""
    return _report(*filled)


def _without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def _words(page: str) -> str:
    bare = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def test_page_is_self_contained_and_small(page: str) -> None:
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert len(page.encode()) < 6_000_000
    assert "<script src" not in page
    assert page.count("plotly.js v") == 1
    markup = _without_scripts(page)
    assert not re.search(r"<(link|iframe|object|embed|base|form)\b", markup)
    assert not re.search(r"\b(src|srcset|action|data)\s*=\s*[\"']", markup)
    assert "@import" not in markup
    assert "url(" not in markup
    assert set(re.findall(r'href="([^"]+)"', markup)) == {f"#{name}" for name in SECTIONS} | {
        "https://doi.org/10.1038/sdata.2017.85",
        "catalog.html",
    }
    assert "default-src 'none'" in markup


def test_page_depends_on_the_snapshot_alone(filled: tuple[Lake, int], page: str) -> None:
    assert _report(*filled) == page


def test_headline_says_what_model_metrics_hold(filled: tuple[Lake, int], page: str) -> None:
    with filled[0].reader() as con:
        query = "SELECT setting || '.' || metric, value FROM model_metrics WHERE protocol = 'grouped_kfold'"
        figures = dict(con.execute(query).fetchall())
    words = _words(page)
    assert f"(MAE) on held-out materials is {number(figures['known_dft.mae'])}, " in words
    assert (
        f"lower than for a single model trained on the measured source alone ({number(figures['single.mae'])})" in words
    )
    assert f"lower than for a model that always predicts the mean ({number(figures['mean.mae'])})" in words
    covered = percent(figures["known_dft.coverage_90"]).replace("\u00a0", " ")
    assert f"measured value of {covered} of the {figures['known_dft.n']:.0f} held-out materials" in words


def test_scatter_of_measurements_is_given_and_is_not_a_protocol(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    noise = {"protocol": "replicates", "setting": "measurement", "subset": "all", "metric": "pooled_sd", "value": 0.244}
    plausible["model_metrics"].append({"model_id": plausible["models"][0]["model_id"]} | noise)
    page = _report(lake, fill(plausible))
    assert "repeated measurements of the same material scatter by 0.244 (pooled standard deviation)" in _words(page)
    assert "replicates" not in page[page.index("<main>") : page.index("</main>")]


def test_headline_admits_being_worse(lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]) -> None:
    for row in plausible["model_metrics"]:
        if row["setting"] == "single" and row["metric"] == "mae":
            row["value"] = 0.2
    assert "higher (worse) than for a single model" in _words(_report(lake, fill(plausible)))


def test_every_broken_rule_is_listed_with_its_count_and_sentence(filled: tuple[Lake, int], page: str) -> None:
    words = _words(page)
    with filled[0].reader() as con:
        counts = con.execute("SELECT rule_id, count(*) FROM rejections GROUP BY rule_id").fetchall()
    assert len(counts) == 4
    for rule_id, records in counts:
        assert f"{rule_id} {records} {RULES[rule_id].meaning} {RULES[rule_id].remedy}" in words


def test_conservation_is_shown_and_a_breach_is_not_hidden(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    measured, computed = plausible["sources"]
    computed["rows_in"] += 2
    words = _words(_report(lake, fill(plausible)))
    assert f"yes: {measured['rows_accepted']} + {measured['rows_rejected']} = {measured['rows_in']}" in words
    assert "no: 2 unaccounted for" in words


@pytest.mark.parametrize(
    ("table", "row", "complaint"),
    [
        ("rejections", -1, "no: 74 of 75 rejected records are stored"),
        ("observations", 0, "no: 129 of 130 accepted records are stored"),
    ],
)
def test_records_missing_from_a_table_are_noticed(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]], table: str, row: int, complaint: str
) -> None:
    del plausible[table][row]
    assert complaint in _words(_report(lake, fill(plausible)))


def test_hostile_strings_stay_text(lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]) -> None:
    source = plausible["sources"][0]
    source |= {
        "title": HOSTILE,
        "licence": HOSTILE,
        "citation": HOSTILE,
        "doi": f"10.1000/{HOSTILE}",
        "method": HOSTILE,
    }
    plausible["rejections"][0] |= {"rule_id": HOSTILE, "reason": HOSTILE, "raw": HOSTILE, "source_record": HOSTILE}
    for table in ("materials", "observations", "out_of_fold"):
        plausible[table][0]["material_id"] = HOSTILE
    plausible["out_of_fold"][-1] |= {"material_id": HOSTILE, "setting": HOSTILE}
    for row in plausible["out_of_fold"]:
        if row["setting"] == "known_dft" and row["protocol"] == "grouped_kfold":
            row |= {"material_id": HOSTILE, "value": 99.0}
            break
    plausible["model_metrics"].append(
        plausible["model_metrics"][0] | {"setting": HOSTILE, "protocol": HOSTILE, "subset": HOSTILE}
    )
    plausible["feature_sets"][0]["signature"] = HOSTILE
    page = _report(lake, fill(plausible))
    assert "<script>alert" not in page
    assert "<img" not in _without_scripts(page)
    assert len(re.findall("<script", _without_scripts(page))) == page.count('<script type="application/json">')
    assert "javascript:" not in _without_scripts(page)
    assert HOSTILE in _words(page).replace(" <", "<")


@pytest.mark.parametrize("property_name", ["refractive_index", "band_gap"])
def test_empty_store_says_so_in_every_section(lake: Lake, property_name: str) -> None:
    words = _words(_report(lake, lake.snapshot(), property_name))
    for sentence in (
        "There is no model of this property yet",
        "The store holds no out-of-fold predictions",
        "No model has been evaluated yet",
        "No prediction intervals have been evaluated yet",
        "No material has a value of this property yet",
        "No source of this property has been ingested yet",
        "No record of these sources was rejected",
        "No feature set of this property's ensemble has been computed yet",
        "nothing to cite yet",
        "Too few materials with this property have descriptors",
    ):
        assert sentence in words


def test_model_without_evaluation_is_named(lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]) -> None:
    words = _words(_report(lake, fill(plausible | {"model_metrics": [], "out_of_fold": []})))
    assert "the store holds no evaluation of it yet" in words
    assert plausible["models"][0]["model_id"] in words


def test_largest_errors_are_sorted_and_explained(page: str) -> None:
    table = page[page.index('<section id="largest-errors">') : page.index('<section id="elements">')]
    errors = [
        abs(float(e.replace("\u2212", "-"))) for e in re.findall(r'<td class="n">([+\u2212][\d.]+)</td><td', table)
    ]
    assert len(errors) == 15
    assert errors == sorted(errors, reverse=True)
    assert "observations, spread" in table


def test_unknown_property_is_an_input_error(lake: Lake) -> None:
    with pytest.raises(InputError, match="color"):
        _report(lake, 0, "color")
