"""Attacks on read-only SQL, made by a grammar: nothing is written, read outside the store, dialed, or shown of the catalog.

MATSTRATA_ATTACKS sets how many statements are made; the suite's number takes seconds.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.feature_store import FeatureStore
from matstrata.store.lake import landlock
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.query import connect_locked, query
from matstrata.store.lake.query_functions import FUNCTIONS, TABLE_FUNCTIONS

N_ATTACKS = int(os.environ.get("MATSTRATA_ATTACKS", "3000"))
SECRET = f"hush{os.getpid()}x"
HOME = f"/home/{os.getpid()}"
ENFORCED = pytest.mark.skipif(landlock.version() == 0, reason="needs Linux with Landlock")

WRITING = [
    "COPY (SELECT 42) TO '{path}'",
    "COPY (SELECT 42) TO '{path}' (FORMAT parquet, USE_TMP_FILE false)",
    "COPY observations TO '{path}' (FORMAT csv, OVERWRITE_OR_IGNORE)",
    "COPY (SELECT 1 AS k) TO '{path}' (FORMAT parquet, PARTITION_BY k)",
    "COPY releases FROM '{path}'",
    "COPY FROM DATABASE lake TO memory",
    "EXPORT DATABASE '{path}'",
    "IMPORT DATABASE '{path}'",
    "ATTACH '{path}' AS other",
    "ATTACH '{path}' AS other (TYPE sqlite)",
    "ATTACH 'ducklake:sqlite:{path}' AS other (DATA_PATH '{folder}')",
    "ATTACH 'host=127.0.0.1 port={port}' AS other (TYPE postgres)",
    "DETACH lake",
    "USE memory",
    "SET VARIABLE x = 1",
    "SET temp_directory = '{path}'",
    "SET GLOBAL enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA enable_profiling = '{path}'",
    "PRAGMA database_list",
    "PRAGMA table_info('observations')",
    "CALL lake.set_commit_message('me', 'hello')",
    "CALL ducklake_expire_snapshots('lake', older_than => now())",
    "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "CALL sqlite_attach('{path}')",
    "INSTALL httpfs",
    "LOAD '{path}'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "CHECKPOINT lake",
    "VACUUM",
    "CREATE SECRET (TYPE s3)",
    "CREATE TABLE memory.main.x AS SELECT 1",
    "CREATE TEMP TABLE x AS FROM observations",
    "CREATE MACRO f() AS TABLE FROM read_text('{path}')",
    "CREATE VIEW x AS SELECT 1",
    "INSERT INTO observations (source) VALUES ('x') RETURNING *",
    "INSERT INTO __ducklake_metadata_lake.main.ducklake_snapshot SELECT 1",
    "UPDATE observations SET value = 0",
    "DELETE FROM __ducklake_metadata_lake.ducklake_snapshot",
    "DROP TABLE observations",
    "ALTER TABLE observations DROP value",
    "MERGE INTO observations USING observations o ON false WHEN NOT MATCHED THEN INSERT (source) VALUES ('x')",
    "SELECT 1; DROP TABLE observations",
    "SELECT 1; COPY (SELECT 42) TO '{path}'",
]
SOURCES = [
    "'{path}'",
    '"{path}"',
    "read_text('{path}')",
    "read_csv(['{path}'])",
    "__ducklake_metadata_lake.ducklake_metadata",
    '"__DuckLake_metadata_lake".main."ducklake_snapshot"',
    "pg_catalog.pg_class",
    "system.main.duckdb_settings",
    "duckdb_settings",
    "duckdb_secrets",
    "sqlite_master",
    "pragma_database_list",
    "frame_of_python",
    "temp.x",
    "features.csv",
    "histogram('__ducklake_metadata_lake.ducklake_metadata', value)",
    "sqlite_scan('{path}', 'secrets')",
    "query('FROM read_text(''{path}'')')",
    "query_table(['{path}'])",
    "postgres_scan('host=127.0.0.1 port={port}', 'public', 'x')",
    "(SELECT getenv('HOME'), current_setting('home_directory'))",
    "(SELECT json_serialize_plan('SELECT * FROM read_text(''{path}'')'))",
    "json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{path}'')'))",
    "(SHOW memory_limit)",
    "(DESCRIBE FROM '{path}')",
]
QUERIES = [
    "SELECT * FROM {source}",
    "FROM {source}",
    "SELECT (SELECT count(*) FROM {source})",
    "WITH a AS (FROM {source}) FROM a",
    "WITH a AS (SELECT 1), b AS (SELECT * FROM {source}) SELECT * FROM a, b",
    'WITH "{path}" AS (FROM {source}) FROM "{path}"',
    "WITH duckdb_settings AS (FROM duckdb_settings) FROM {source}",
    "SELECT 1 UNION ALL BY NAME SELECT * FROM {source}",
    "SELECT * FROM observations WHERE source IN (SELECT x FROM {source} AS s(x))",
    "SELECT * FROM observations o, LATERAL (SELECT * FROM {source}) s",
    "SELECT 1 ORDER BY (SELECT count(*) FROM {source})",
    "SELECT list_transform([1], lambda x: x + (SELECT count(*) FROM {source}))",
    "PIVOT (SELECT 1 AS a, 2 AS b FROM {source}) ON a IN (1) USING sum(b)",
    "SUMMARIZE FROM {source}",
    "DESCRIBE FROM {source}",
    "VALUES ((SELECT count(*) FROM {source}))",
]
ARGUMENTS = [
    "",
    "'{path}'",
    "'{path}', 'secrets'",
    "['{path}']",
    "'lake'",
    "'__ducklake_metadata_lake', 'SELECT * FROM ducklake_metadata'",
    "'__ducklake_metadata_lake.ducklake_metadata', value",
    "'SELECT * FROM read_text(''{path}'')'",
    "'host=127.0.0.1 port={port}'",
    "'http://127.0.0.1:{port}/x', '{path}'",
    "1",
    "'HOME'",
]
EXPLAINS = [
    *("", "", "", "EXPLAIN ", "EXPLAIN ANALYZE ", "EXPLAIN (ANALYZE) ", "explain (analyze, format json) "),
    *(
        "EXPLAIN (ANALYZE /* ) SELECT 1 -- */ ) ",
        "EXPLAIN (FORMAT json, ANALYZE -- ) SELECT 1\n) ",
        "EXPLAIN/**/ANALYZE ",
    ),
    *(
        "EXPLAIN ( /* ' */ ANALYZE /* ' */ ) ",
        'EXPLAIN ("analyze") ',
        "EXPLAIN (FORMAT 'json') ",
        "EXPLAIN (ANALYZE true) ",
    ),
    *("/* EXPLAIN */ ", "-- SELECT 1\n", "\ufeff", "\u00a0"),
]
SPACES = [
    " ",
    " ",
    " ",
    "\n",
    "\t",
    "/**/",
    " /* ) */ ",
    " -- ;\n",
    "/* ' */",
    '/* " */',
    "/*/**/*/",
    "\u00a0",
    "\u2003",
    " $$",
]


class Place:
    """A store, secrets beside it, a server that must not be dialed, and what all of that looked like before."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        (folder / "text.csv").write_text(f"x\n{SECRET}\n")
        with sqlite3.connect(folder / "database.sqlite") as database:
            database.execute(f"CREATE TABLE secrets AS SELECT '{SECRET}' AS x")
        database.close()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]
        self.before = self.state()

    @property
    def paths(self) -> list[str]:
        """What an attack would write or read."""
        parquet = next(self.lake.data.rglob("*.parquet"))
        names = [self.folder / "text.csv", self.folder / "database.sqlite", self.folder / "new.csv", "new.csv"]
        inside = [self.lake.catalog_file, parquet, self.lake.root / "new.csv", self.lake.data / "new", "/etc/passwd"]
        return [*map(str, [*names, *inside]), f"http://127.0.0.1:{self.port}/x.csv", "s3://bucket/x.parquet"]

    @property
    def for_the_wall(self) -> list[str]:
        """One of each kind."""
        parquet = str(next(self.lake.data.rglob("*.parquet")))
        names = ["text.csv", "database.sqlite", "store/catalog.sqlite", "store/data/new", "store/new"]
        return [parquet, *(str(self.folder / name) for name in names)]

    def state(self) -> dict[Path, str]:
        """The content of each file, of the store and beside it."""
        files = [path for path in self.folder.rglob("*") if path.name != "catalog.sqlite-shm"]
        return {path: hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else "" for path in files}

    def require_untouched(self) -> None:
        assert self.state() == self.before
        with pytest.raises(BlockingIOError):
            self.server.accept()


@pytest.fixture(scope="module")
def place(pristine, tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("attacked")
    lake = Lake(Path(shutil.copytree(pristine, folder / "store")))
    with lake.commit("put observations") as transaction:
        transaction.insert("observations", pa.table({"source": ["lab"] * 18, "value": [float(i) for i in range(18)]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", HOME)
        place = Place(lake, folder)
        yield place
        place.server.close()


def attacks(place: Place, functions: list[str], seed: int) -> Iterator[tuple[str, bool]]:
    """Statements without end, and whether each must be refused."""
    choose = random.Random(seed)
    paths = place.paths
    while True:
        kind = choose.randrange(4)
        if kind == 0:
            statement, refused = choose.choice(WRITING), True
        elif kind == 1:
            statement, refused = choose.choice(QUERIES).replace("{source}", choose.choice(SOURCES)), True
        else:
            name = choose.choice(functions)
            call = f'"{name}"({choose.choice(ARGUMENTS)})'
            if kind == 2:
                statement, refused = f"SELECT {call}", name.lower() not in FUNCTIONS
            else:
                statement = choose.choice(QUERIES).replace("{source}", call)
                refused = name.lower() not in TABLE_FUNCTIONS
        text = choose.choice(EXPLAINS) + "".join(
            choose.choice(SPACES) if letter == " " and choose.random() < 0.3 else letter for letter in statement
        )
        values = {"{path}": choose.choice(paths), "{folder}": str(place.folder), "{port}": str(place.port)}
        for name, value in values.items():
            text = text.replace(name, value)
        yield text, refused


def test_no_attack_of_the_grammar_gets_through(place):
    frame_of_python = pa.table({"x": [SECRET]})  # DuckDB would read variables of the caller
    with connect_locked(place.lake) as con:
        functions = sorted(
            {name for (name,) in con.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()}
        )
        assert len(functions) > 900
        made = attacks(place, functions, seed=14)
        for _ in range(N_ATTACKS):
            sql, refused = next(made)
            try:
                output = str(query(con, sql).fetchmany(1000))
            except InputError as error:
                output = str(error)
            except duckdb.Error as error:  # of a value, on the way
                assert not refused, sql
                output = str(error)
            else:
                assert not refused, sql
            assert SECRET not in output, sql
            assert HOME not in output, sql
        assert frame_of_python.num_rows == 1
        assert query(con, "SELECT count(*) FROM observations").fetchall() == [(18,)]
    place.require_untouched()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("EXPLAIN (ANALYZE /* ) SELECT 1 -- */ ) COPY (SELECT 42) TO '{catalog}'", "COPY does not"),
        ("SELECT * FROM histogram('__ducklake_metadata_lake.pg_catalog.pg_authid', rolpassword)", "function histogram"),
        ("SELECT json_serialize_plan('SELECT * FROM postgres_scan(''host=x'')')", "function json_serialize_plan"),
        ("FROM frame_of_python", "frame_of_python is not one"),
        ("SELECT current_setting('temp_directory')", "function current_setting"),
        ("SHOW memory_limit", "memory_limit is not one"),
        ("WITH a AS (FROM sqlite_master), sqlite_master AS (SELECT 1) FROM a", "sqlite_master is not one"),
        ("WITH sqlite_master AS (FROM sqlite_master) FROM sqlite_master", "sqlite_master is not one"),
        (
            "(WITH sqlite_master AS (SELECT 1) FROM sqlite_master) UNION ALL FROM sqlite_master",
            "sqlite_master is not one",
        ),
        ('WITH "duc\u212adb_settings" AS (SELECT 1) FROM duckdb_settings', "duckdb_settings is not one"),
        ("WITH RECURSIVE x AS (FROM x UNION ALL FROM x) FROM x", "x is not one"),
        ("SELECT medain(value) FROM observations", 'Did you mean "median"'),
        ("SHOW TABLES FROM __ducklake_metadata_lake", "does not know SHOW"),
        ("EXPLAIN (FORMAT json, CODEGEN) SELECT 1", "SQL"),
        ("EXPLAIN\u2003SELECT\u2003getenv('HOME')", "SQL"),
        ("EXPLAIN\u00a0(\u2003ANALYZE\u00a0)\u2003COPY (SELECT 42) TO '{catalog}'", "SQL"),
        ("SELECT 1\0; DROP TABLE observations", "zero character"),
        ("SELECT '\udc80'", "UTF-8"),
        (f"SELECT {'+'.join('1' * 900)}", "nested too deeply"),
    ],
)
def test_what_is_refused_is_named(place, sql, message):
    frame_of_python = pa.table({"x": [SECRET]})
    with connect_locked(place.lake) as con, pytest.raises(InputError, match=message):
        query(con, sql.format(catalog=place.lake.catalog_file)).fetchall()
    assert frame_of_python.num_rows == 1
    place.require_untouched()


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW DATABASES",
        "SHOW TABLES FROM lake.main",
        "SELECT table_name FROM information_schema.tables",
        "WITH a AS (SELECT 1 AS x), b AS (FROM a) SELECT * FROM b, (WITH c AS (FROM a) FROM c)",
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 5) SELECT * FROM x",
        "WITH RECURSIVE t(a, b) USING KEY (a) AS (SELECT 1, 2 UNION SELECT a, b + 1 FROM recurring.t WHERE b < 4) FROM t",
        "SELECT COLUMNS('material.*') FROM lake.main.observations",
        "SELECT histogram(value), quantile_cont(value, [0.1, 0.5]), mode(source) FROM OBSERVATIONS",
        "SELECT source.upper(), [x + 1 for x in [1, 2]], extract(year from now()), '{{\"a\": 1}}'::JSON ->> 'a' FROM lineage",
        "SELECT {{'class': 'x', 'function_name': 'getenv', 'type': 'BASE_TABLE', 'sample': 1, 'alias': 2}}",
        "SELECT now(), current_date, '2020-01-01'::TIMESTAMPTZ",  # fetched by a module that is imported in the thread
        "EXPLAIN (ANALYZE, FORMAT json) VALUES (1)",
        "EXPLAIN /* é */ (SELECT 1) UNION (SELECT 2)",
        "EXPLAIN (VALUES (1))",
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        "SELECT * FROM lake.table_info()",
    ],
)
def test_reading_is_not_hindered(place, sql):
    with connect_locked(place.lake) as con:
        assert query(con, sql.format()).fetchall()


def test_each_function_that_is_allowed_exists(place):
    with connect_locked(place.lake) as con:
        names = {name.lower() for (name,) in con.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    of_the_lake = {
        "current_snapshot",
        "snapshots",
        "table_changes",
        "table_deletions",
        "table_info",
        "table_insertions",
    }
    assert names | of_the_lake | {"unnest"} >= FUNCTIONS | TABLE_FUNCTIONS


@ENFORCED
@pytest.mark.parametrize(
    "sql",
    [
        *(sql for sql in WRITING if sql.startswith(("COPY", "EXPORT", "IMPORT", "CALL", "LOAD", "INSTALL"))),
        *(
            "ATTACH '{path}' AS o (TYPE sqlite); CREATE TABLE o.x AS SELECT 1",
            "ATTACH '{path}' AS o; CREATE TABLE o.x (i INT)",
        ),
        "ATTACH 'ducklake:sqlite:{path}' AS o (DATA_PATH '{folder}/'); CREATE TABLE o.x AS SELECT 1",
        "SELECT * FROM sqlite_query('__ducklake_metadata_lake', 'DELETE FROM ducklake_snapshot RETURNING *')",
        "SELECT * FROM sqlite_scan('{path}', 'secrets')",
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_blob('{path}')",
        "SET enable_external_access = true; SELECT * FROM read_text('{path}')",
        "SET allowed_directories = ['/']; SELECT * FROM read_text('{path}')",
        "PRAGMA enable_profiling = json; PRAGMA profiling_output = '{path}'; SELECT 1",
        "INSERT INTO observations (source) VALUES ('x')",
        "DROP TABLE observations",
        "FROM frame_of_python",
    ],
)
def test_behind_the_parser_stands_a_wall(place, sql):
    """The connection itself, past all that judges statements."""
    frame_of_python = pa.table({"x": [SECRET]})
    for path in place.for_the_wall if "{path}" in sql else [""]:
        with connect_locked(place.lake) as con:
            output = ""
            try:
                for statement in con.extract_statements(sql.format(path=path, folder=place.folder, port=place.port)):
                    output = str(con.execute(statement).fetchall())
            except duckdb.Error as error:
                output = str(error)
            assert SECRET not in output
        place.require_untouched()
    assert frame_of_python.num_rows == 1


@ENFORCED
def test_only_the_reader_is_confined(place):
    with FeatureStore.open(place.lake.root) as store:
        store.sql("FROM observations")
        (place.folder / "text.csv").read_text()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("matstrata-reader")]


def test_a_reader_leaves_nothing_behind(place, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with connect_locked(place.lake) as con:
        assert len(list(folder.iterdir())) == 1
        query(con, "FROM observations").fetchall()
    connect_locked(place.lake)  # and forgotten
    assert list(folder.iterdir()) == []
