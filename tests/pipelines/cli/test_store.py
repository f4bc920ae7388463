"""The commands that look after the store, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from matstrata.pipelines.cli.app import app
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake


@pytest.fixture
def typed(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Run a command on the test's store; what it printed, and its exit code."""
    monkeypatch.setenv("MATSTRATA_STORE", str(lake.root))
    monkeypatch.setenv("DAGSTER_HOME", str(lake.root.parent))
    for i in range(3):
        with lake.commit(f"add {i}") as transaction:
            transaction.insert("materials", pa.table({"material_id": [f"m{i}"]}))

    def typed(*words: object, exit_code: int = 0) -> str:
        said = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert said.exit_code == exit_code, said.output
        return said.stdout

    return typed


def test_a_release_from_its_making_to_its_comparison(typed, lake):
    snapshot = lake.snapshot()
    assert f"Release v1 is now snapshot {snapshot}" in typed("release", "create", "v1", "--note", "for [the] paper")
    assert f"Release v1 already is snapshot {snapshot}" in typed("release", "create", "v1")
    with lake.commit("more") as transaction:
        transaction.insert("materials", pa.table({"material_id": ["m9"]}))
    (row,) = json.loads(typed("release", "list", "--json"))
    assert (row["release"], row["snapshot"], row["note"]) == ("v1", snapshot, "for [the] paper")
    assert "for [the] paper" in typed("release", "list")
    assert "for [the] paper" in typed("release", "show", "v1")
    assert json.loads(typed("release", "show", "v1", "--json"))["release"]["snapshot"] == snapshot
    found = json.loads(typed("release", "diff", "v1", str(lake.snapshot()), "--json"))
    assert {"table": "main.materials", "before": 3, "after": 4} in found["rows"]
    assert "main.materials" in typed("release", "diff", "v1", str(lake.snapshot()))
    assert "nothing differs" in typed("release", "diff", "v1", "v1")
    assert f"SNAPSHOT_VERSION {snapshot}" in typed("release", "checkout", "v1")


@pytest.mark.parametrize(("as_of", "expected"), [("v1", "3\n"), ("2", "1\n"), ("2999-01-01", "4\n")])
def test_sql_as_of_a_release_a_snapshot_a_time(typed, lake, as_of, expected):
    typed("release", "create", "v1")
    with lake.commit("more") as transaction:
        transaction.insert("materials", pa.table({"material_id": ["m9"]}))
    said = typed("sql", "SELECT count(*) AS n FROM materials", "--as-of", as_of, "--format", "csv")
    assert said == f"n\n{expected}"
    with pytest.raises(InputError, match="there are: v1"):
        typed("sql", "SELECT 1", "--as-of", "v2")


def test_maintenance_says_first_and_does_then(typed, lake):
    options = ["--keep-snapshots", 1, "--keep-days", 0, "--grace-hours", 0]
    before = lake.snapshot()
    said = typed("maintain", "--dry-run", *options)
    assert "would be expired" in said
    assert lake.snapshot() == before
    planned = json.loads(typed("maintain", "--dry-run", "--json", *options))
    done = json.loads(typed("maintain", "--json", *options))
    assert (done["expired"], done["dry_run"]) == (planned["expired"], False)
    assert done["deleted"]["files"] == 3
    assert ("besides" in said) == bool(planned["merged"]) == (planned["deleted"]["files"] < 3)
    assert "0 expired" not in typed("maintain", *options)


def test_backup_restore_and_doctor(typed, lake, tmp_path):
    assert "matstrata restore" in typed("backup", tmp_path / "copy")
    assert "nothing needs repair" in typed("doctor", "--deep")
    next(lake.data.rglob("*.parquet")).unlink()
    said = typed("doctor", exit_code=1)
    assert "is missing" in said
    assert "matstrata restore" in said
    assert json.loads(typed("doctor", "--json", exit_code=1))["healthy"] is False
    typed("restore", tmp_path / "copy", "--to", tmp_path / "again")
    with Lake(tmp_path / "again").reader() as con:
        assert con.execute("SELECT count(*) FROM materials").fetchone() == (3,)


@pytest.mark.parametrize(
    "words",
    [["maintain"], ["maintain", "--dry-run"], ["doctor"], ["catalog"], ["release", "list"], ["backup", "x"]],
    ids=" ".join,
)
def test_without_a_store_each_says_so(typed, monkeypatch, tmp_path, words):
    monkeypatch.setenv("MATSTRATA_STORE", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no store"):
        typed(*words)
    assert not (tmp_path / "nowhere").exists()


def test_the_catalogue_of_an_empty_store(typed):
    found = json.loads(typed("catalog", "--json"))
    assert found["sources"] == found["lineage"] == []
    assert "Snapshot" in typed("catalog")
    assert Path(typed("catalog", "--page").strip()).read_text().count("yet") >= 4
