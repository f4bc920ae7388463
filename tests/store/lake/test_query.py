"""SQL for everyone reads the store, and does nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.lake.query import connect_locked, query


@pytest.fixture
def con(lake, put):
    put("lab", [("r1", "GaN", 3.4), ("r2", "Si", 1.1), *((f"x{i}", f"Ga{i}N", 1.0) for i in range(2, 50))])
    with connect_locked(lake) as con:
        yield con


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT material_id, value FROM observations",
        "FROM observations",
        "select 1 ;",
        "-- a remark\nSELECT 1 /* and another */",
        "WITH gaps AS (SELECT * FROM observations) SELECT avg(value) FROM gaps",
        "SELECT * FROM labels WHERE value > (SELECT median(value) FROM labels)",
        "VALUES (1), (2)",
        "DESCRIBE observations",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SUMMARIZE observations",
        "EXPLAIN SELECT * FROM observations",
        "-- a remark\nexplain analyze SELECT * FROM observations",
        "/* a remark */ EXPLAIN ANALYZE SELECT * FROM observations",
        "PIVOT (SELECT property, source FROM observations) ON source IN ('lab') USING count(*)",
        "EXPLAIN (FORMAT json) SELECT 1",
        "SELECT * FROM lake.snapshots()",
        "SELECT * FROM lake.table_changes('observations', 1, 2)",
        "SELECT * FROM range(3), generate_series(1, 2)",
        "SELECT unnest([1, 2])",
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'observations'",
        "SELECT count(*) FROM observations AT (VERSION => 1)",
    ],
)
def test_reading_works(con, sql):
    assert query(con, sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO releases (name) VALUES ('x')",
        "WITH x AS (SELECT 'x' AS name) INSERT INTO releases (name) SELECT name FROM x",
        "UPDATE observations SET value = 0",
        "DELETE FROM observations",
        "CREATE TABLE mine (i INTEGER)",
        "CREATE TEMP TABLE mine (i INTEGER)",
        "CREATE MACRO f() AS 1",
        "DROP TABLE observations",
        "ALTER TABLE observations DROP value",
        "COPY observations TO '{inside}'",
        "COPY observations TO '{outside}'",
        "COPY releases FROM '{outside}'",
        "EXPORT DATABASE '{outside}'",
        "ATTACH '{outside}' AS other",
        "DETACH lake",
        "USE memory",
        "SET memory_limit = '1GB'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA threads = 1",
        "PRAGMA enable_profiling",
        "CALL lake.set_commit_message('me', 'hello')",
        "CHECKPOINT",
        "VACUUM",
        "INSTALL httpfs",
        "LOAD httpfs",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM observations",
        "EXPLAIN ANALYZE COPY observations TO '{inside}'",
        "/**/ EXPLAIN ANALYZE COPY observations TO '{inside}'",
        "EXPLAIN /**/ ANALYZE COPY observations TO '{inside}'",
        "EXPLAIN (ANALYZE) COPY observations TO '{inside}'",
        "EXPLAIN ANALYZE CREATE TABLE memory.main.mine AS SELECT 1",
        "SELECT * FROM ducklake_expire_snapshots('lake', older_than => now())",
        "SELECT * FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)",
        "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "SELECT * FROM ducklake_merge_adjacent_files('lake')",
        "SELECT * FROM lake.set_commit_message('me', 'hello')",
        "SELECT * FROM sqlite_query('__ducklake_metadata_lake', 'DELETE FROM ducklake_snapshot RETURNING *')",
        "SELECT 1; DELETE FROM observations",
        "SELECT 1; SELECT 2",
    ],
)
def test_writing_is_refused_and_changes_nothing(lake, con, tmp_path, sql):
    inside, outside = lake.data / "taken.csv", tmp_path / "taken.csv"
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="SQL"):
        query(con, sql.format(inside=inside, outside=outside)).fetchall()
    assert set(tmp_path.rglob("*")) == before
    assert query(con, "SELECT count(*) FROM observations").fetchall() == [(50,)]
    assert lake.snapshot() == 2


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{text}')",
        "read_text('{text}')",
        "read_blob('{text}')",
        "read_csv('{store}/../{name}')",
        "'{text}'",
        '"{text}"',
        "'{store}/data/main/materials/*.parquet'",
        "(WITH a AS (FROM '{store}/data/main/materials/*.parquet') FROM a)",
        "glob('{folder}/*')",
        "sniff_csv('{text}')",
        "parquet_metadata('{text}')",
        "parquet_schema('{store}/data/main/materials/*.parquet')",
        "read_json('{text}')",
        "read_parquet('{store}/**')",
        "query_table('{text}')",
        "duckdb_secrets()",
        "which_secret('s3://x', 's3')",
        "duckdb_settings()",
        "duckdb_logs()",
        "pragma_database_list()",
        "(SELECT getenv('HOME'))",
        "__ducklake_metadata_lake.ducklake_metadata",
        '"__DuckLake_metadata_lake".main.ducklake_snapshot',
        "(SELECT key FROM __ducklake_metadata_lake.ducklake_metadata)",
        "sqlite_scan('{database}', 'secrets')",
        "SQLite_Scan('{database}', 'secrets')",
        "system.main.sqlite_scan('{database}', 'secrets')",
        "(SELECT * FROM sqlite_scan('{database}', 'secrets'))",
        "query('SELECT * FROM sqlite_' || 'scan(''{database}'', ''secrets'')')",
        "releases WHERE name IN (SELECT x FROM sqlite_scan('{database}', 'secrets'))",
        "json_execute_serialized_sql(json_serialize_sql('SELECT * FROM sqlite_scan(''{database}'', ''secrets'')'))",
        "read_csv('http://localhost:1/x.csv')",
    ],
)
@pytest.mark.parametrize("verb", ["SELECT *", "EXPLAIN ANALYZE SELECT *", "SUMMARIZE SELECT *", "DESCRIBE SELECT *"])
def test_nothing_outside_the_store_can_be_read(lake, con, tmp_path, verb, source):
    text, database = tmp_path / "secret.csv", tmp_path / "secret.sqlite"
    text.write_text("x\nhush\n")
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE secrets AS SELECT 'hush' AS x")
    other.close()
    places = {"text": text, "database": database, "store": lake.root, "folder": tmp_path, "name": text.name}
    with pytest.raises(InputError, match="SQL"):
        query(con, f"{verb} FROM {source.format(**places)}").fetchall()


def test_a_pivot_is_told_to_name_its_values(con):
    with pytest.raises(InputError, match=r"PIVOT needs its values.*IN \("):
        query(con, "PIVOT (SELECT property, source FROM observations) ON source USING count(*)")


@pytest.mark.parametrize("sql", ["", " \n", "-- nothing"])
def test_no_statement(con, sql):
    with pytest.raises(InputError, match="one SQL statement, not 0"):
        query(con, sql)


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELEC 1", "SELEC"),
        ("SELECT * FROM observatons", 'Did you mean "observations'),
        ("SELECT valeu FROM observations", '"value"'),
        ("SELECT CAST('a' AS INTEGER)", "Could not convert"),
    ],
)
def test_wrong_sql_says_where(con, sql, hint):
    with pytest.raises(InputError, match=hint):
        query(con, sql).fetchall()


def test_a_snapshot_can_be_chosen(lake, put):
    snapshots = [put("lab", [("r1", "GaN", value)]).snapshot for value in (3.3, 3.4)]
    for snapshot, value in zip(snapshots, (3.3, 3.4), strict=True):
        with connect_locked(lake, snapshot) as con:
            assert query(con, "SELECT value FROM observations").fetchall() == [(value,)]


def test_a_store_with_a_quote_in_its_path(lake):
    from matstrata.store.lake.lake import Lake

    moved = Lake(Path(lake.root.rename(lake.root.with_name("it's mine"))))
    with connect_locked(moved) as con:
        assert query(con, "SELECT count(*) FROM observations").fetchall() == [(0,)]
