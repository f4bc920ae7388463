"""The DDL of a store's tables and views: what makes it complete.

Not here: what the tables hold (`schemas.tables`), the views' queries (`store.lake.views`), nor feature tables
(`store.features.sets`).
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from matstrata.schemas.tables import TABLES, Column, Table
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.signatures import signature
from matstrata.store.lake.sql import identifier, literal
from matstrata.store.lake.views import VIEWS, WIDE, wide_view

_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "list<item: string>": "VARCHAR[]",
    "list<item: double>": "DOUBLE[]",
}


def missing_statements(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The DDL of what a store lacks: tables, columns, the schema of features, views; empty for a complete store."""
    columns = con.execute(
        f"SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = '{CATALOG}' "
        "AND schema_name = 'main'"
    ).fetchall()
    tables = {table for table, _ in columns}
    statements: list[str] = []
    for table in TABLES.values():
        if table.name not in tables:
            statements += create_statements(table)
            continue
        for column in table.columns:
            if (table.name, column.name) not in columns:
                kind = _DUCKDB_TYPES[str(column.type)]
                statements += [
                    f"ALTER TABLE {table.name} ADD COLUMN {identifier(column.name)} {kind}",
                    create_column_comment(table.name, column),
                ]
    schemas = con.execute(f"SELECT schema_name FROM duckdb_schemas() WHERE database_name = '{CATALOG}'").fetchall()
    if ("features",) not in schemas:
        statements.append("CREATE SCHEMA features")
    views = _views(con)
    for name, (row, definition) in VIEWS.items():
        statements += _replace_view(views, name, row, definition)
    if WIDE not in views:
        statements += _replace_view(views, WIDE, *wide_view(_methods(con) if "observations" in tables else []))
    return statements


def refresh_wide_view(con: duckdb.DuckDBPyConnection) -> None:
    """Give `labels_wide` the columns of the properties and methods that the store holds now."""
    for statement in _replace_view(_views(con), WIDE, *wide_view(_methods(con))):
        con.execute(statement)


def _methods(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return con.execute("SELECT DISTINCT property, kind, method FROM observations WHERE method <> ''").fetchall()


def _views(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The comment of each view, by its name."""
    return dict(
        con.execute(f"SELECT view_name, comment FROM duckdb_views() WHERE database_name = '{CATALOG}'").fetchall()
    )


def _replace_view(views: Mapping[str, str], name: str, row: str, definition: str) -> list[str]:
    """The DDL of a view, none where the store has this very one: the comment ends with a hash of the definition."""
    comment = f"{row} ({signature(definition)[:8]})"
    if views.get(name) == comment:
        return []
    return [
        f"CREATE OR REPLACE VIEW {name} AS {definition}",
        f"COMMENT ON VIEW {name} IS {literal(comment)}",
    ]


def create_statements(table: Table) -> list[str]:
    """The DDL of a table, with units and definitions as comments."""
    columns = ", ".join(f"{identifier(column.name)} {_DUCKDB_TYPES[str(column.type)]}" for column in table.columns)
    statements = [f"CREATE TABLE {table.name} ({columns})"]
    if table.partitioned_by:
        statements.append(f"ALTER TABLE {table.name} SET PARTITIONED BY ({table.partitioned_by})")
    statements.append(f"COMMENT ON TABLE {table.name} IS {literal('One row is ' + table.row)}")
    return statements + [create_column_comment(table.name, column) for column in table.columns]


def create_column_comment(table: str, column: Column) -> str:
    """The statement that puts a column's definition and unit where any SQL client finds them."""
    return f"COMMENT ON COLUMN {table}.{identifier(column.name)} IS {literal(column.comment)}"
