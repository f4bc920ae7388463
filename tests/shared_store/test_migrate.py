"""A store moved to PostgreSQL and S3, and back: the same rows on every snapshot, and it goes on from there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep import migrate as migration
from matstrata.store.upkeep.migrate import migrate
from tests import servers

AWKWARD = ["it's", "naïve ⟨x⟩", "", "line\nbreak", "back\\slash", "NULL", "[1, 2]"]


@pytest.fixture
def embedded(pristine, place) -> Lake:
    """A store with a history: small inserts, large ones, changes, deletions, a new column, nulls, awkward text."""
    import shutil

    shared = place()
    shutil.copytree(pristine, shared.root)
    lake = Lake(shared.root)

    def rows(table: str, *given: dict) -> pa.Table:
        return pa.Table.from_pylist(list(given), schema=TABLES[table].arrow_schema)

    with lake.commit("small") as transaction:
        transaction.insert(
            "sources",
            rows("sources", {"source": "lab", "label_min_temperature_k": 0.1, "refreshed_at": datetime.now(UTC)}),
        )
        transaction.insert("structures", rows("structures", {"structure_id": "s", "ordered": True, "notes": AWKWARD}))
        transaction.insert(
            "materials", rows("materials", *({"material_id": text, "fractions": [1 / 3]} for text in AWKWARD))
        )
    with lake.commit("large") as transaction:
        names = [f"m{i:05}" for i in range(5000)]
        transaction.insert("materials", pa.table({"material_id": names, "n_elements": range(5000)}))
        transaction.insert(
            "observations", pa.table({"source": ["lab"] * 5000, "material_id": names, "value": [0.1] * 5000})
        )
    with lake.commit("change") as transaction:
        transaction.con.execute("DELETE FROM materials WHERE material_id = '' OR n_elements < 3")
        transaction.con.execute("UPDATE observations SET value = -0.0 WHERE material_id = 'm00009'")
        transaction.con.execute("UPDATE sources SET title = 'new'")
    with lake.commit("grow") as transaction:
        transaction.con.execute("ALTER TABLE structures ADD COLUMN more DOUBLE")
        transaction.con.execute("CREATE TABLE features.x_v1 (material_id VARCHAR, a DOUBLE)")
        transaction.con.execute(
            "INSERT INTO features.x_v1 VALUES ('m00009', 'nan'::DOUBLE), ('x', NULL), ('y', 1e-300)"
        )
    lake.files.write("models/m.skops", b"model")
    return lake


def history(lake: Lake) -> list[object]:
    """All rows of all tables that hold any, on all snapshots, and what is said of these."""
    content: list[object] = []
    with lake.reader() as con:
        tables = con.execute(
            "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY ALL"
        ).fetchall()
        content.append(tables)
        # two tables in three are empty, and to look into each on each snapshot takes a minute
        filled = con.execute("SELECT table_name FROM lake.table_info() WHERE file_count > 0 ORDER BY ALL").fetchall()
        content.append(filled)
        for snapshot in range(1, lake.snapshot() + 1):
            for schema, table in [(schema, table) for schema, table, _ in tables if (table,) in filled]:
                at = f"SELECT * FROM {schema}.{table} AT (VERSION => {snapshot}) ORDER BY ALL"
                with contextlib.suppress(duckdb.CatalogException):  # not there yet
                    content.append(repr(con.execute(at).fetchall()))
    with lake.reader() as con:
        content.append(con.execute("SELECT * FROM lake.snapshots() ORDER BY snapshot_id").fetchall())
        content.append(con.execute("SELECT count(*) FROM labels").fetchall())
        changes = "FROM lake.table_changes('materials', 2, 4) ORDER BY ALL"
        content.append(con.execute(changes).fetchall())
    return content


def test_there_and_back_every_snapshot_holds_the_same(embedded, place, monkeypatch, tmp_path):
    shared = place()
    before = history(embedded)
    filled = ["materials", "observations", "sources", "structures", "x_v1"]
    assert before[1] == [(table,) for table in filled]
    planned = migrate(embedded, shared, dry_run=True)
    assert not shared.exists()
    done = migrate(embedded, shared)
    assert done == planned
    assert migrate(embedded, shared) == dataclasses.replace(done, copied=0)  # a second time, there is nothing to do
    assert history(shared) == before == history(embedded)
    assert shared.files.read("models/m.skops") == b"model"

    with shared.commit("goes on") as transaction:
        transaction.insert("releases", pa.table({"name": ["r"], "snapshot": [2]}))
        transaction.con.execute("DELETE FROM materials WHERE material_id = 'NULL'")
        transaction.con.execute("UPDATE structures SET ordered = false, lattice_a = 0.1")
    after = history(shared)
    assert after != before
    back = Lake(tmp_path / "back")
    migrate(dataclasses.replace(shared, root=back.root), back)
    assert history(back) == after
    with back.commit("goes on here") as transaction:
        transaction.insert("releases", pa.table({"name": ["s"], "snapshot": [3]}))
    assert back.snapshot() == shared.snapshot() + 1


def test_a_target_that_holds_something_is_refused(embedded, place):
    shared = place()
    shared.init()
    before = shared.snapshot()
    with pytest.raises(InputError, match="holds a store already"):
        migrate(embedded, shared)
    assert shared.snapshot() == before
    occupied = place()
    occupied.files.write("models/theirs", b"x")
    with pytest.raises(InputError, match="models/theirs"):
        migrate(embedded, occupied)
    assert not occupied.exists()
    with pytest.raises(InputError, match="nothing to migrate"):
        migrate(place(), Lake(embedded.root))


def test_what_could_not_be_compared_is_no_store_yet(embedded, place, monkeypatch):
    shared, before = place(), history(embedded)
    with monkeypatch.context() as patch:
        counted = migration._digests

        def fails(lake: Lake) -> object:
            if lake is shared:
                raise WorkError("the line is dead")
            return counted(lake)

        patch.setattr(migration, "_digests", fails)
        with pytest.raises(WorkError, match="the line is dead"):
            migrate(embedded, shared)
        patch.setattr(migration, "_digests", lambda lake: counted(lake) | {"extra": len(str(lake))})
        with pytest.raises(WorkError, match="differs from the source in extra"):
            migrate(embedded, shared)
    assert migrate(embedded, shared).copied == 0
    assert history(shared) == before


def test_a_killed_migration_is_carried_on(embedded, place):
    shared, before = place(), history(embedded)
    code = (
        "import os, signal, matstrata.store.upkeep.migrate as m\n"
        "from matstrata.store.lake.lake import Lake; from matstrata.store.settings import Settings\n"
        "m._tables = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "lake = Lake.of(Settings())\n"
        "m.migrate(Lake(lake.root), lake)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert len(shared.files.listed("data")) == len(embedded.files.listed("data"))
    assert migrate(embedded, shared).copied == 0
    assert history(shared) == before


def test_by_the_command(embedded, place):
    place()
    command = [Path(sys.executable).with_name("matstrata"), "migrate", "--json"]
    for words, copied in (["--dry-run"], True), ([], True), ([], False):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
        assert (json.loads(done.stdout)["copied"] > 0) == copied
    with embedded.commit("later") as transaction:
        transaction.insert("releases", pa.table({"name": ["r"], "snapshot": [2]}))
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "holds a store already" in again.stderr
    status = subprocess.run([command[0], "status"], capture_output=True, text=True, check=True)
    assert "postgresql://strata@" in status.stdout
    for text in (done.stderr, again.stderr, status.stdout, done.stdout):
        assert servers.PASSWORD not in text
        assert os.environ["MATSTRATA_CATALOG"] not in text
        assert servers.SECRET_KEY not in text
