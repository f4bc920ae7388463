"""The commands `features`, `dataset` and `stats`, from an empty store to a published and verified dataset."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from matstrata.pipelines.cli.app import app
from matstrata.pipelines.descriptors.registry import FEATURE_SETS
from matstrata.schemas.errors import InputError
from matstrata.store.records.materials import update_materials


@pytest.fixture
def run(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("MATSTRATA_STORE", str(lake.root))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with lake.commit("observe") as transaction:
        transaction.con.execute(
            "INSERT INTO sources (source, title, kind, method, policy, citation) "
            "VALUES ('lab', 'a lab', 'experiment', 'UV', 'median', '@misc{lab}')"
        )
        for material, value in {"GaN": 3.4, "Si": 1.1, "Nh2O": 0.1}.items():
            transaction.con.execute(
                "INSERT INTO observations (observation_id, source, source_record, material_id, property, value, kind, "
                "method) VALUES (?, 'lab', ?, ?, 'band_gap', ?, 'experiment', 'UV')",
                [material, material, material, value],
            )
    update_materials(lake)

    def run(*words: str) -> str:
        found = CliRunner().invoke(app, words)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return found.stdout

    return run


def test_from_features_to_a_verified_dataset(run, tmp_path):
    assert {row["version"] for row in json.loads(run("features", "list", "--json"))} == {
        f"{name} (not computed yet)" for name in FEATURE_SETS
    }
    assert "magpie_v1: 2 computed, 1 failed" in run("features", "materialize")
    assert "magpie_v1: 0 computed, 1 failed" in run("features", "backfill", "magpie")
    described = json.loads(run("features", "describe", "magpie", "--json"))
    assert described["failures"] == {"no Magpie data for element Nh": 1}
    assert len(described["columns"]) == 132
    assert all(column["meaning"] for column in described["columns"])

    run("dataset", "build", "gaps", "--property", "band_gap", "--kind", "experiment")
    (row,) = json.loads(run("dataset", "list", "--json"))
    assert (row["name"], row["rows"], row["features"]) == ("gaps", 3, ["magpie_v1"])
    files = run("dataset", "export", "gaps").split()
    assert [file.rpartition("/")[2] for file in files] == [
        *("gaps.parquet", "manifest.json", "croissant.json", "CITATION.bib", "CITATION.cff")
    ]
    assert json.loads(run("dataset", "verify", "gaps/manifest.json", "--json"))["holds"]
    with pytest.raises(InputError, match="name a new folder"):
        run("dataset", "export", "gaps")

    columns = json.loads(run("stats", "--json"))
    assert {row["subject"] for row in columns["columns"]} == {f"{name}_v1" for name in FEATURE_SETS}


def test_deprecating(run):
    run("features", "materialize", "stoichiometry")
    with pytest.raises(InputError, match="--newest"):
        run("features", "deprecate", "stoichiometry_v1", "--reason", "wrong")
    run("features", "deprecate", "stoichiometry_v1", "--reason", "wrong", "--newest")
    with pytest.raises(InputError, match="deprecated"):
        run("dataset", "build", "gaps", "-p", "band_gap", "-f", "stoichiometry")
    run("features", "deprecate", "stoichiometry_v1", "--undo")
    run("dataset", "build", "gaps", "-p", "band_gap", "-f", "stoichiometry")
