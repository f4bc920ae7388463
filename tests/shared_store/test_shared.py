"""The store on PostgreSQL and S3: the same promises, from several machines, and nobody sees a key."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.datasets.frozen import freeze, training_set_path
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.query import connect_locked, query
from matstrata.store.models import content
from matstrata.store.overview import summarize
from matstrata.store.settings import Settings, describe
from matstrata.store.upkeep import doctor, releases
from matstrata.store.upkeep.maintenance import Policy, maintain, plan
from tests import servers

ALL_AT_ONCE = Policy(keep_snapshots=1, keep_days=0, grace_hours=0)

WRITER = """
import os, signal, sys, time
import pyarrow as pa
from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings

lake = Lake.of(Settings())
me, commits = sys.argv[1], int(sys.argv[2])
for i in range(commits):
    with lake.commit(f"{me} {i}") as transaction:
        transaction.insert("materials", pa.table({"material_id": [f"{me}-{i}-{j}" for j in range(3)]}))
        if len(sys.argv) > 3:
            print("writing", flush=True)
            time.sleep(60)
"""


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A writer on a machine of its own, as far as its local folder goes."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, arguments)],
        env={**os.environ, "MATSTRATA_STORE": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def materials(lake: Lake) -> list[str]:
    with lake.reader() as con:
        return [name for (name,) in con.execute("SELECT material_id FROM materials ORDER BY 1").fetchall()]


def add(lake: Lake, *names: str) -> None:
    with lake.commit("add") as transaction:
        transaction.insert("materials", pa.table({"material_id": list(names)}))


def test_a_commit_is_a_snapshot_or_nothing(shared):
    before = shared.snapshot()
    add(shared, "GaN")
    with contextlib.suppress(ZeroDivisionError), shared.commit("fails") as transaction:
        transaction.insert("materials", pa.table({"material_id": ["Si"]}))
        raise ZeroDivisionError
    add(shared, *(f"x{i:06}" for i in range(20_000)))
    assert shared.snapshot() == before + 2
    assert len(materials(shared)) == 20_001
    with shared.reader(before + 1) as con:
        assert con.execute("FROM materials SELECT material_id").fetchall() == [("GaN",)]


def test_parquet_lies_in_the_bucket_and_nothing_on_this_machine(shared):
    add(shared, *(f"x{i:06}" for i in range(20_000)))
    assert [name for name in shared.files.listed("data") if name.endswith(".parquet")]
    assert sorted(path.name for path in shared.root.rglob("*") if path.is_file()) == ["write.lock", "write.turn"]


def test_training_sets_and_models_are_shared(shared):
    table = pa.table({"material_id": ["GaN"], "group_id": ["GaN"], "chemical_system": ["Ga-N"], "band_gap": [3.4]})
    training_set = TrainingSet("lab", ("band_gap",), (), 1, table, {"source": "lab"})
    freeze(shared, "band_gap", training_set)
    shared.files.write("models/m.skops", b"model")
    elsewhere = dataclasses.replace(shared, root=shared.root / "elsewhere")
    assert elsewhere.files.read(training_set_path(training_set.training_set_id))[:4] == b"PAR1"
    assert content(elsewhere, {"path": "models/m.skops"})[0] == b"model"
    with pytest.raises(InputError, match="gone"):
        content(elsewhere, {"path": "models/other.skops"})


def test_it_is_maintained_and_examined_as_an_embedded_one_is(shared):
    for i in range(8):
        add(shared, *(f"x{i}-{j}" for j in range(3)))
    pinned = releases.create(shared, "v1").snapshot
    with shared.commit("correct") as transaction:
        transaction.con.execute("DELETE FROM materials WHERE material_id LIKE 'x1-%'")
    strays = ["data/main/materials/ducklake-stray.parquet", "models/half.skops.partial"]
    for stray in strays:
        shared.files.write(stray, b"half")
    newest = materials(shared)
    planned = plan(shared, ALL_AT_ONCE)
    done = maintain(shared, ALL_AT_ONCE)
    assert done.expired == planned.expired != ()
    assert done.merged > 1
    assert done.deleted.files > len(strays)
    stored = shared.files.listed("")
    assert not stored.keys() & set(strays)
    assert materials(shared) == newest
    with shared.reader(pinned) as con:
        assert con.execute("SELECT count(*) FROM materials").fetchall() == [(24,)]
    diagnosis = doctor.examine(shared, deep=True)
    assert diagnosis.findings == ()
    assert maintain(shared, ALL_AT_ONCE).deleted.files == 0
    lost, cut = sorted(name for name in stored if name.startswith("data/main/materials/"))[:2]
    shared.files.delete(lost)
    shared.files.write(cut, b"PAR1PAR1")
    wrong = [finding.what for finding in doctor.examine(shared).findings if finding.damage]
    assert [shared.files.url(name) in what for name, what in zip((lost, cut), wrong, strict=True)] == [True, True]
    assert "is missing" in wrong[0]
    assert "has 8 bytes instead of" in wrong[1]


def test_unneeded_objects_wait_for_their_grace(shared):
    for i in range(4):
        add(shared, f"m{i}")
    done = maintain(shared, Policy(keep_snapshots=1, keep_days=0, grace_hours=2))
    assert (done.deleted.files, done.waiting.files) == (0, 4)
    assert maintain(shared, ALL_AT_ONCE).deleted.files == 4
    assert len(materials(shared)) == 4


def test_several_writing_processes_lose_nothing(shared, tmp_path):
    writers = [start(tmp_path / str(n // 2), f"w{n}", 5) for n in range(4)]  # two machines, two processes each
    for writer in writers:
        lines = writer.communicate()[1].splitlines()
        assert [line for line in lines if not line.startswith("waiting for another writer")] == []
        assert writer.returncode == 0
    assert materials(shared) == sorted(f"w{n}-{i}-{j}" for n in range(4) for i in range(5) for j in range(3))
    assert shared.snapshot() == 1 + 20


def test_a_writer_elsewhere_is_waited_for_and_its_death_frees_the_store(shared, tmp_path):
    writer = start(tmp_path / "elsewhere", "w", 1, "slowly")
    assert writer.stdout.readline() == "writing\n"
    with pytest.raises(WorkError, match=r"another machine has held postgresql://.* for 1 s"):
        add(dataclasses.replace(shared, lock_timeout=1), "GaN")
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    add(dataclasses.replace(shared, lock_timeout=20), "GaN")
    assert materials(shared) == ["GaN"]


def test_the_data_must_lie_where_the_catalog_says(shared, monkeypatch):
    monkeypatch.setenv("MATSTRATA_DATA", f"s3://{servers.BUCKET}/other")
    with pytest.raises(InputError, match="MATSTRATA_DATA gives"):
        Lake.of(Settings()).snapshot()


def test_no_store_yet(place):
    lake = place()
    assert not lake.exists()
    with pytest.raises(InputError, match="there is no store in postgresql://"):
        lake.snapshot()


@pytest.mark.parametrize("missing", ["MATSTRATA_DATA", "MATSTRATA_CATALOG", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_variable_is_named(place, monkeypatch, missing):
    place()
    monkeypatch.delenv(missing)
    with pytest.raises(InputError, match=missing):
        Lake.of(Settings()).init()


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        (
            "MATSTRATA_CATALOG",
            "postgresql://strata:{password}@127.0.0.1:1/x",
            "(?s)can't be reached.*MATSTRATA_CATALOG",
        ),
        ("MATSTRATA_CATALOG", "postgresql://strata:wrong-{password}@127.0.0.1:{port}/postgres", "password auth"),
        ("MATSTRATA_CATALOG", "postgresql://strata:{password}@x@127.0.0.1:{port}/postgres", "%40 for @"),
        ("MATSTRATA_CATALOG", "postgresql://strata:{password}/x@127.0.0.1:{port}/postgres", "%40 for @"),
        ("MATSTRATA_CATALOG", "mysql://strata:{password}@127.0.0.1/x", "must read postgresql://"),
        ("MATSTRATA_DATA", "s3://no-such-bucket/x", "no bucket no-such-bucket"),
        ("MATSTRATA_DATA", "https://bucket/x", "must read s3://"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "can't be used"),
        ("AWS_SECRET_ACCESS_KEY", "{password}", "can't be used"),
    ],
)
def test_what_can_not_be_reached_is_named_without_its_password(postgres, place, monkeypatch, variable, value, hint):
    place()
    monkeypatch.setenv(variable, value.format(password="hush5ecret", port=postgres.port))
    with pytest.raises((InputError, WorkError), match=hint) as error:
        Lake.of(Settings()).init()
    texts = [str(error.value), str(error.value.__cause__)]
    with contextlib.suppress(InputError, WorkError):
        texts.append(str(describe(Settings())))
    with contextlib.suppress(InputError, WorkError):
        texts.append(str(summarize(Lake.of(Settings()))))
    assert not [text for text in texts if "hush5ecret" in text]


def test_keys_are_neither_kept_nor_shown(shared, postgres, capfd):
    add(shared, *(f"x{i:06}" for i in range(20_000)))
    database = shared.shared.catalog.rpartition("/")[2]
    texts = [repr(shared), str(Settings()), str(describe(Settings())), str(summarize(shared))]
    with shared.reader() as con:
        texts += [str(con.execute("SELECT * FROM duckdb_databases()").fetchall())]
        texts += [str(con.execute("SELECT * FROM duckdb_secrets()").fetchall())]
    dump = subprocess.run(
        [postgres.bin / "pg_dump", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", servers.USER, database],
        env={**os.environ, "PGPASSWORD": servers.PASSWORD},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    texts += [dump, *capfd.readouterr()]
    texts += [shared.files.read(name).decode("latin-1") for name in shared.files.listed("")]
    assert "ducklake_snapshot" in dump
    quoted = shared.shared.catalog.split(":")[2].rpartition("@")[0]
    for text in texts:
        for key in (servers.PASSWORD, quoted, servers.SECRET_KEY):
            assert key not in text
    assert not list(Path.home().glob(".duckdb/stored_secrets/*"))


def test_the_password_may_come_from_libpq(shared, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", servers.PASSWORD)
    user, _, rest = shared.shared.catalog.removeprefix("postgresql://").partition(":")
    monkeypatch.setenv("MATSTRATA_CATALOG", f"postgresql://{user}@{rest.rpartition('@')[2]}")
    lake = Lake.of(Settings())
    add(lake, "GaN")
    assert materials(lake) == ["GaN"]


class TestSql:
    """SQL for everyone, on a shared store."""

    @pytest.fixture(scope="class")
    @classmethod
    def con(cls, variables, tmp_path_factory):
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in variables().items():
                patch.setenv(variable, value)
            lake = Lake.of(Settings(store=tmp_path_factory.mktemp("side")))
            lake.init()
            add(lake, *(f"x{i:06}" for i in range(20_000)))
            with connect_locked(lake) as con:
                yield con

    def test_reads(self, con):
        assert query(con, "SELECT count(*), count(DISTINCT material_id) FROM materials").fetchall() == [(20_000,) * 2]
        assert query(con, "SELECT count(*) FROM labels").fetchall() == [(0,)]
        assert query(con, "SELECT max(snapshot_id) FROM lake.snapshots()").fetchall() == [(2,)]

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM read_text('s3://{bucket}/other')",
            "FROM 's3://{bucket}/other.parquet'",
            "FROM 'https://127.0.0.1:1/x.parquet'",
            "SELECT * FROM glob('s3://{bucket}/**')",
            "SELECT * FROM duckdb_secrets()",
            "SELECT * FROM which_secret('s3://{bucket}/x', 's3')",
            "SELECT * FROM postgres_query('__ducklake_metadata_lake', 'SELECT * FROM pg_authid')",
            "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')",
            "SELECT * FROM postgres_attach('host=127.0.0.1')",
            "SELECT * FROM __ducklake_metadata_lake.pg_catalog.pg_authid",
            'SELECT * FROM "__DUCKLAKE_METADATA_LAKE".pg_catalog.pg_authid',
            "SELECT * FROM __ducklake_metadata_lake.public.ducklake_metadata",
            "SELECT * FROM __ducklake_metadata_lake.ducklake_metadata",
            "SELECT (SELECT max(rolpassword) FROM __ducklake_metadata_lake.pg_catalog.pg_authid)",
            "SUMMARIZE __ducklake_metadata_lake.pg_catalog.pg_authid",
            "DESCRIBE __ducklake_metadata_lake.pg_catalog.pg_authid",
            "EXPLAIN ANALYZE SELECT * FROM __ducklake_metadata_lake.pg_catalog.pg_authid",
            "CREATE SECRET x (TYPE s3, KEY_ID 'x')",
            "ATTACH 'host=127.0.0.1' AS other (TYPE postgres)",
            "COPY materials TO 's3://{bucket}/taken.csv'",
            "COPY (SELECT 1) TO '/tmp/taken.csv'",
        ],
    )
    def test_reaches_nothing_else(self, con, sql):
        with pytest.raises(InputError, match="SQL"):
            query(con, sql.format(bucket=servers.BUCKET)).fetchall()

    def test_a_role_that_may_only_read_is_enough(self, con, postgres, monkeypatch):
        name = os.environ["MATSTRATA_CATALOG"].rpartition("/")[2]
        postgres.psql(
            "CREATE ROLE reader LOGIN PASSWORD 'only'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name
        )
        monkeypatch.setenv("MATSTRATA_CATALOG", f"postgresql://reader:only@127.0.0.1:{postgres.port}/{name}")
        with connect_locked(Lake.of(Settings())) as reader:
            assert query(reader, "SELECT count(*) FROM materials").fetchall() == [(20_000,)]
            for statement in (
                "SELECT * FROM __ducklake_metadata_lake.pg_catalog.pg_authid",  # past the first wall
                "SELECT * FROM postgres_query('__ducklake_metadata_lake', 'SELECT rolpassword FROM pg_authid')",
                "CALL postgres_execute('__ducklake_metadata_lake', 'DELETE FROM ducklake_snapshot')",
                "INSERT INTO materials (material_id) VALUES ('x')",
            ):
                with pytest.raises(duckdb.Error, match=r"permission denied|read-only"):
                    reader.execute(statement).fetchall()
        assert query(con, "SELECT count(*) FROM materials").fetchall() == [(20_000,)]
