"""Text inside SQL: the one way to quote it.

Values are bound wherever DuckDB can bind them; these are for where it can't (DDL, ATTACH, views), and for the few
lookups where binding would import pandas (0.5 s). Not here: what users may ask (`store.lake.query`).
"""

from __future__ import annotations

from collections.abc import Iterable


def literal(text: str) -> str:
    """A text as an SQL literal, quotes included."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Texts as literals, separated by commas: the inside of `IN (…)`."""
    return ", ".join(map(literal, texts))


def identifier(name: str) -> str:
    """A name of a table, column or schema, quoted."""
    return '"' + name.replace('"', '""') + '"'
