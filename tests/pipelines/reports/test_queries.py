"""What the report counts, checked against counts made by hand."""

from __future__ import annotations

from typing import Any

from matstrata.pipelines.reports import queries
from matstrata.store.lake.lake import Lake


def test_example_queries_run_and_answer(filled: tuple[Lake, int]) -> None:
    lake, snapshot = filled
    with lake.reader() as con:
        answers = [
            con.execute(query).to_arrow_table().num_rows
            for _, query in queries.example_queries("refractive_index", snapshot)
        ]
    figures_per_protocol = 5 * 4 + 3 * 3  # five settings; three of them with coverages and width
    assert answers[1:] == [20, 4, 2 * figures_per_protocol]


def test_deuterium_counts_as_hydrogen_once(lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]) -> None:
    plausible["materials"][0]["elements"] = ["D", "H", "O"]
    fill(plausible)
    with lake.reader() as con:
        counts = {
            row["element"]: row["materials"] for row in queries.element_counts(con, "refractive_index").to_pylist()
        }
    assert counts["H"] == 1
    assert "D" not in counts


def test_overlap_splits_all_materials_into_disjoint_parts(
    filled: tuple[Lake, int], plausible: dict[str, list[dict[str, Any]]]
) -> None:
    with filled[0].reader() as con:
        rows = queries.source_overlap(con, ["refractiveindex_info", "ricci_transport"]).to_pylist()
    assert sum(row["materials"] for row in rows) == len(plausible["materials"])
    shared = next(row["materials"] for row in rows if len(row["sources"]) == 2)
    assert shared == sum(row["source"] == "ricci_transport" for row in plausible["observations"])


def test_serving_ensemble_wins_over_a_newer_one(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    serving = plausible["models"][0]
    newer = serving | {"model_id": "newer", "serving": False, "created_at": serving["created_at"].replace(year=2027)}
    of_source = newer | {"model_id": "of_source", "source": "ricci_transport", "serving": True}
    fill({"models": [serving, newer, of_source]})
    with lake.reader() as con:
        assert queries.ensemble(con, "refractive_index")["model_id"].to_pylist() == [serving["model_id"]]


def test_a_bare_feature_set_name_means_the_newest_version(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    first = plausible["feature_sets"][0]
    fill({"feature_sets": [first, first | {"version": 2}], "feature_failures": plausible["feature_failures"]})
    with lake.reader() as con:
        assert queries.feature_sets(con, ["magpie"])["version"].to_pylist() == [2]
        assert queries.feature_sets(con, ["magpie_v1"]).select(["version", "failures"]).to_pylist() == [
            {"version": 1, "failures": 1}
        ]


def test_a_bare_feature_set_name_means_the_version_in_use_where_one_is_marked(
    lake: Lake, fill: Any, plausible: dict[str, list[dict[str, Any]]]
) -> None:
    first = plausible["feature_sets"][0]
    fill({"feature_sets": [first | {"current": True}, first | {"version": 2, "current": False}]})
    with lake.reader() as con:
        assert queries.feature_sets(con, ["magpie"])["version"].to_pylist() == [1]


def test_labels_count_materials_and_the_observations_behind_them(
    filled: tuple[Lake, int], plausible: dict[str, list[dict[str, Any]]]
) -> None:
    with filled[0].reader() as con:
        rows = queries.label_counts(con, "refractive_index").to_pylist()
        assert queries.labeled_materials(con, "refractive_index") == len(plausible["materials"])
    assert [row["source"] for row in rows] == ["refractiveindex_info"]
    assert rows[0]["observations"] == sum(row["property"] == "refractive_index" for row in plausible["observations"])


def test_overlap_is_that_of_an_intersection(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        overlap = queries.source_overlap(con, ["refractiveindex_info", "ricci_transport"])
        both = con.execute(
            "SELECT count(*) FROM (SELECT material_id FROM observations WHERE source = 'refractiveindex_info' "
            "INTERSECT SELECT material_id FROM observations WHERE source = 'ricci_transport')"
        ).fetchall()[0][0]
    shared = {tuple(row["sources"]): row["materials"] for row in overlap.to_pylist()}
    assert shared["refractiveindex_info", "ricci_transport"] == both
