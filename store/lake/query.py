"""Read-only SQL for everyone: statements that only read, on a connection that can't reach files or the network.

Not here: output formats (`pipelines.cli.app`).
"""

from __future__ import annotations

import re

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.sql import literal

_EXPLAIN = re.compile(r"^(\s|--.*\n|/\*[\s\S]*?\*/)*EXPLAIN(\s+ANALYZE\b|\s*\([^)]*\))?", re.IGNORECASE)

# sqlite_scan and DuckLake's maintenance bypass DuckDB's lock on files; the function `query` hides other calls.
_TABLE_FUNCTIONS = frozenset(
    {
        *("current_snapshot", "snapshots", "table_changes", "table_deletions", "table_info", "table_insertions"),
        *("duckdb_columns", "duckdb_functions", "duckdb_schemas", "duckdb_tables", "duckdb_views", "pragma_table_info"),
        *("generate_series", "histogram", "json_each", "json_tree", "range", "repeat", "unnest"),
    }
)
_CATALOG_TABLES = "__ducklake"  # on PostgreSQL, all that its user may read lies behind this name


def connect_locked(lake: Lake, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection that sees only the store; its settings are locked."""
    con = lake.connect_reader(snapshot)
    con.execute(f"SET allowed_directories = [{literal(lake.files.url(''))}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def query(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run one reading statement; the result can be fetched from what is returned.

    Raises:
        InputError: The SQL is wrong, holds more or less than one statement, would write, or calls a table function
            that reaches beyond the store.
    """
    try:
        statement = _single(con, sql)
        explained = statement.type == duckdb.StatementType.EXPLAIN  # EXPLAIN ANALYZE runs what it explains
        _require_reading(con, _single(con, _EXPLAIN.sub("", statement.query)) if explained else statement)
        return con.execute(statement)
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error


def _single(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = con.extract_statements(sql)
    if len(statements) > 1 and not statements[0].query:  # DuckDB makes two of it, of which one would write
        raise InputError("PIVOT needs its values here: PIVOT … ON kind IN ('experiment', 'computation') USING …")
    if len(statements) != 1:
        raise InputError(f"give one SQL statement, not {len(statements)}")
    return statements[0]


def _require_reading(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> None:
    if statement.type != duckdb.StatementType.SELECT:
        raise InputError(
            f"SQL here only reads, and {statement.type.name} does not; use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
        )
    text = literal(statement.query)  # DuckDB imports pandas (0.5 s) to bind a parameter
    names = con.execute(
        "SELECT DISTINCT key, lower(CASE key WHEN 'function' THEN value ->> 'function_name' ELSE value ->> '$' END) "
        f"FROM json_tree(json_serialize_sql({text})) "
        "WHERE key IN ('function', 'catalog_name', 'schema_name', 'table_name')"
    ).fetchall()
    # DuckDB may read the store's own folder, in which FROM 'data/…/x.parquet' would be a table
    files = sorted(name for key, name in names if key == "table_name" and "." in name)
    if files:
        raise InputError(f"SQL here reads tables, and {', '.join(files)} would be a file")
    if any(key in ("catalog_name", "schema_name") and name.startswith(_CATALOG_TABLES) for key, name in names):
        raise InputError("SQL here reads the tables of the store, and not those of its catalog")
    refused = sorted({name for key, name in names if key == "function"} - _TABLE_FUNCTIONS)
    if refused:
        raise InputError(
            f"SQL here reads the store only, and {', '.join(refused)} may reach beyond; "
            f"the table functions to use are {', '.join(sorted(_TABLE_FUNCTIONS))}"
        )
