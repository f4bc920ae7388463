"""Read-only SQL for everyone: statements that only read, on a connection that can't reach files or the network.

Not here: output formats (`pipelines.cli`).
"""

from __future__ import annotations

import duckdb

from schemas.errors import InputError
from store.lake import Lake

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


def connect_locked(lake: Lake, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection that sees nothing but the store; its settings can't be changed back."""
    con = lake.connect_reader(snapshot)
    root = lake.root.as_posix().replace("'", "''")
    con.execute(f"SET allowed_directories = ['{root}/']")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def query(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run one reading statement; the result can be fetched from what is returned.

    Raises:
        InputError: the SQL is wrong, holds more or less than one statement, or would write.
    """
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error
    if len(statements) != 1:
        raise InputError(f"give one SQL statement, not {len(statements)}")
    if statements[0].type not in _READING:
        raise InputError(
            f"SQL here only reads, and {statements[0].type.name} does not; "
            "use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
        )
    try:
        return con.execute(statements[0])
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error
