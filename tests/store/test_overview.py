"""The overview: what is counted is what is there, and what is predicted is followed down to its sources."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from matstrata.schemas.tables import TABLES
from matstrata.store import models
from matstrata.store.overview import store_overview
from matstrata.store.upkeep import releases


@pytest.fixture
def overview(lake, put):
    """The overview of a store with two sources, an ensemble and its helper, and predictions."""
    put("lab", [("1", "GaN", 3.4), ("2", "GaN", 3.5), ("3", "Si", 1.1)], [("4", "formula.syntax")])
    put("dft", [("1", "GaN", 1.9), ("2", "AlN", 4.1)], kind="computation")
    with lake.commit("what the pipelines do") as transaction:
        con = transaction.con
        for version in (1, 2):
            con.execute(
                "INSERT INTO feature_sets (name, version, entity, columns, rows, created_snapshot) "
                f"VALUES ('magpie', {version}, 'material', ['a', 'b'], {version}, 1)"
            )
        con.execute("INSERT INTO feature_failures (name, version, entity_id, reason) VALUES ('magpie', 2, 'Xx', 'no')")
        for source, name in (("lab", "a" * 64), ("dft", "b" * 64)):
            con.execute(
                "INSERT INTO training_sets (training_set_id, ensemble, source, properties, features, snapshot, rows) "
                f"VALUES ('{name}', 'band_gap', '{source}', ['band_gap'], ['magpie_v2'], 1, 2)"
            )
        rows = [{"model_id": "ensemble", "property": "band_gap", "material_id": name} for name in ("GaN", "Si")]
        transaction.insert("predictions", pa.Table.from_pylist(rows, schema=TABLES["predictions"].arrow_schema))
    for model_id, source, set_id, helpers in (
        ("helper", "dft", "b" * 64, {}),
        ("old", None, "a" * 64, {}),
        ("ensemble", None, "a" * 64, {"dft": "helper"}),
    ):
        models.record(
            lake,
            {
                **dict.fromkeys(TABLES["models"].column_names),
                "model_id": model_id,
                "property": "band_gap",
                "source": source,
                "training_set_id": set_id,
                "parameters": json.dumps({"helpers": helpers}),
                "serving": True,
            },
        )
    releases.create(lake, "v1")
    with lake.reader() as con:
        return store_overview(con)


def test_counts(overview):
    assert {
        row["source"]: (row["rows_in"], row["rows_rejected"], row["observations"]) for row in overview["sources"]
    } == {
        "lab": (4, 1, 3),
        "dft": (2, 0, 2),
    }
    (gap,) = overview["properties"]
    assert (gap["observations"], gap["materials"], gap["sources"], gap["unit"]) == (5, 3, ["dft", "lab"], "eV")
    assert (gap["lowest"], gap["median"], gap["highest"]) == (1.1, 3.4, 4.1)
    assert gap["definition"]
    assert [(row["version"], row["current"], row["failed"]) for row in overview["feature_sets"]] == [
        (1, False, 0),
        (2, True, 1),
    ]
    assert [row["name"] for row in overview["releases"]] == ["v1"]


def test_lineage_from_predictions_down_to_the_sources(overview):
    parents: dict[str, set[str]] = {}
    for edge in overview["lineage"]:
        parents.setdefault(edge["to"], set()).add(edge["from"])
    assert parents["predictions band_gap"] == {"model ensemble"}
    assert parents["model ensemble"] == {f"training set {'a' * 12}", "model helper"}
    assert parents["model helper"] == {f"training set {'b' * 12}"}
    assert parents[f"training set {'b' * 12}"] == {"observations dft/band_gap", "features magpie_v2"}
    assert parents["observations dft/band_gap"] == {"source dft"}
    assert not any("old" in edge["from"] for edge in overview["lineage"]), "what no longer serves is no ancestor"
