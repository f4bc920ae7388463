"""Read-only SQL for everyone: statements that only read, on a connection that can't reach files or the network.

Not here: output formats (`pipelines.cli.app`).
"""

from __future__ import annotations

import json
import re
from typing import cast

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.store.lake.confined import Confined
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.query_tree import require_public
from matstrata.store.lake.sql import literal

_EXPLAINS = {"text", "json", "html", "graphviz", "yaml", "mermaid"}  # formats


def connect_locked(lake: Lake, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection that sees only the store; its settings are locked."""
    return cast("duckdb.DuckDBPyConnection", Confined(lake, snapshot))  # which has the methods that readers use


def query(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run one reading statement; the result can be fetched from what is returned.

    Raises:
        InputError: The SQL is wrong, holds more or less than one statement, would write, or reads or calls what is not
            public.
    """
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in sql):
        raise InputError("SQL: the text has a zero character, or bytes that are not UTF-8")
    try:
        statement = _single(con, sql)
        explain = ""
        if statement.type == duckdb.StatementType.EXPLAIN:  # EXPLAIN ANALYZE runs what it explains
            try:
                explain, inner = _explained(statement.query)
            except (IndexError, ValueError):  # no ')' where DuckDB's parser saw one: an odd space, or part of a letter
                raise InputError("SQL: of EXPLAIN, only its plain forms can be used here") from None
            statement = _single(con, inner)
        _require_reading(con, statement)
        return con.execute(explain + statement.query)
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error


def _single(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = con.extract_statements(sql)
    if len(statements) > 1 and not statements[0].query:  # DuckDB makes two of it, of which one would write
        raise InputError("PIVOT needs its values here: PIVOT … ON kind IN ('experiment', 'computation') USING …")
    if len(statements) != 1:
        raise InputError(f"give one SQL statement, not {len(statements)}")
    return statements[0]


def _explained(sql: str) -> tuple[str, str]:
    """An EXPLAIN made here, and the text after the one in `sql`, which is then judged and run as any other.

    Raises:
        InputError: It has other options than ANALYZE and FORMAT.
    """
    raw = sql.encode()
    starts = [start for start, kind in duckdb.tokenize(sql) if kind != duckdb.token_type.comment]
    words = [_word(raw[start:end]) for start, end in zip(starts, [*starts[1:], len(raw)], strict=True)]
    after, analyze, format = 1, False, "text"
    if words[1:2] == ["analyze"]:
        after, analyze = 2, True
    elif words[1:2] == ["("] and words[2] in ("analyze", "format"):
        end = words.index(")")
        for option in " ".join(words[2:end]).split(" , "):
            match option.split():
                case ["analyze"]:
                    analyze = True
                case ["format", name] if name in _EXPLAINS:
                    format = name
                case _:
                    raise InputError("SQL: of EXPLAIN's options, ANALYZE and FORMAT can be used here")
        after = end + 1
    inner = raw[starts[after] :].decode() if after < len(starts) else ""
    return f"EXPLAIN ({'ANALYZE, ' if analyze else ''}FORMAT {format}) ", inner


def _word(raw: bytes) -> str:
    """A token without the space and comments behind it."""
    return re.split(r"/\*|--|\s", raw.decode(errors="replace").lower(), maxsplit=1)[0]


def _require_reading(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> None:
    if statement.type != duckdb.StatementType.SELECT:
        raise InputError(
            f"SQL here only reads, and {statement.type.name} does not; use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
        )
    text = literal(statement.query)  # DuckDB imports pandas (0.5 s) to bind a parameter
    row = con.execute(f"SELECT json_serialize_sql({text})").fetchone()
    try:
        tree = json.loads(row[0]) if row else {}
    except RecursionError:
        raise InputError("SQL: the statement is nested too deeply") from None
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise InputError(f"SQL: the statement can't be judged: {tree.get('error_message', 'it is not one')}")
    require_public(tree["statements"][0])
