"""The differences between two snapshots: counts first, then examples.

Not here: what a release is (`store.upkeep.releases`).
"""

from __future__ import annotations

from typing import Any

import duckdb

from matstrata.schemas.terms import Subset
from matstrata.store.lake.as_of import resolve_as_of
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.sql import literal

Rows = list[dict[str, Any]]

_COMPARED_COLUMNS = ("file_sha256", "contract_sha256", "rows_in", "rows_accepted", "rows_rejected")


def diff(lake: Lake, before: str, after: str, examples: int = 5) -> dict[str, Any]:
    """The differences between two snapshots, each given by a number, a time or the name of a release.

    Args:
        lake: The store.
        before: The earlier snapshot.
        after: The later snapshot; the reverse order works as well.
        examples: The number of values of each kind.

    Returns:
        `from`, `to`: the snapshots; `rows`: per table its rows in both; `sources`: those added, removed or changed,
        with the changed facts; `observations`: per source, values added, removed and changed; `schema`: columns added
        and removed, types changed; `features`: versions with their rows in both; `metrics`: figures of the serving
        ensembles in both; `examples`: observations changed, added, removed. Lists are empty where nothing differs.

    Raises:
        InputError: There is no such snapshot.
    """
    a, b = resolve_as_of(lake, before), resolve_as_of(lake, after)
    tables, schema = _columns(lake, a), _columns(lake, b)
    both = sorted(tables.keys() & schema.keys())
    with lake.reader() as con:

        def rows(statement: str) -> Rows:
            return con.execute(statement).to_arrow_table().to_pylist()

        return {
            "from": {"asked": before, "snapshot": a},
            "to": {"asked": after, "snapshot": b},
            "rows": _row_counts(con, tables, schema, a, b),
            "sources": rows(_sources(a, b)),
            "observations": rows(_observations(a, b)),
            "schema": _schema(tables, schema),
            "features": rows(_features(a, b)),
            "metrics": rows(_metrics(a, b)) if {"main.models", "main.model_metrics"} <= set(both) else [],
            "examples": rows(_examples(a, b, examples)),
        }


def _at(table: str, snapshot: int) -> str:
    return f"(FROM {table} AT (VERSION => {snapshot}))"


def _columns(lake: Lake, snapshot: int) -> dict[str, dict[str, str]]:
    """The columns and types of each table at a snapshot; the snapshot must exist."""
    with lake.reader(snapshot) as con:
        listed = con.execute(
            "SELECT c.schema_name || '.' || c.table_name, c.column_name, c.data_type FROM duckdb_columns() c "
            "JOIN duckdb_tables() t USING (database_name, schema_name, table_name) "
            f"WHERE c.database_name = '{CATALOG}' ORDER BY ALL"
        ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in listed:
        columns.setdefault(table, {})[column] = kind
    return columns


def _schema(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> Rows:
    rows = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table, {}), after.get(table, {})
        if not old or not new:
            change = "table added" if new else "table removed"
            rows.append({"table": table, "column": None, "change": change})
            continue
        for column in sorted(old.keys() | new.keys()):
            if column not in old:
                rows.append({"table": table, "column": column, "change": f"added, {new[column]}"})
            elif column not in new:
                rows.append({"table": table, "column": column, "change": "removed"})
            elif old[column] != new[column]:
                rows.append({"table": table, "column": column, "change": f"{old[column]} to {new[column]}"})
    return rows


def _row_counts(
    con: duckdb.DuckDBPyConnection, before: dict[str, dict[str, str]], after: dict[str, dict[str, str]], a: int, b: int
) -> Rows:
    """The tables whose number of rows differs."""

    def count(table: str, tables: dict[str, dict[str, str]], snapshot: int) -> int | None:
        if table not in tables:
            return None
        row = con.execute(f"SELECT count(*) FROM {_at(table, snapshot)}").fetchone()
        assert row is not None
        return int(row[0])

    rows = [
        {"table": table, "before": count(table, before, a), "after": count(table, after, b)}
        for table in sorted(before.keys() | after.keys())
    ]
    return [row for row in rows if row["before"] != row["after"]]


def _sources(a: int, b: int) -> str:
    facts = ", ".join(f"CASE WHEN x.{name} IS DISTINCT FROM y.{name} THEN '{name}' END" for name in _COMPARED_COLUMNS)
    return f"""
        SELECT source, CASE WHEN x.rows_in IS NULL THEN 'added' WHEN y.rows_in IS NULL THEN 'removed'
                ELSE 'changed' END AS change,
            CASE WHEN x.rows_in IS NOT NULL AND y.rows_in IS NOT NULL
                THEN list_filter([{facts}], lambda name: name IS NOT NULL) ELSE [] END AS differs,
            x.rows_in AS records_before, y.rows_in AS records_after,
            x.rows_rejected AS rejected_before, y.rows_rejected AS rejected_after
        FROM {_at("sources", a)} x FULL JOIN {_at("sources", b)} y USING (source)
        WHERE ({", ".join(f"x.{name}" for name in _COMPARED_COLUMNS)})
            IS DISTINCT FROM ({", ".join(f"y.{name}" for name in _COMPARED_COLUMNS)})
        ORDER BY source
    """


def _compared(a: int, b: int) -> str:
    """Observations of both snapshots side by side, those that differ."""
    columns = "observation_id, source, material_id, property, value, unit, record_hash"
    return f"""
        SELECT coalesce(x.source, y.source) AS source, coalesce(x.material_id, y.material_id) AS material_id,
            coalesce(x.property, y.property) AS property, x.value AS before, y.value AS after,
            coalesce(x.unit, y.unit) AS unit, observation_id,
            CASE WHEN x.record_hash IS NULL THEN 'added' WHEN y.record_hash IS NULL THEN 'removed'
                WHEN x.value IS DISTINCT FROM y.value THEN 'value changed' ELSE 'details changed' END AS change
        FROM (SELECT {columns} FROM {_at("observations", a)}) x
        FULL JOIN (SELECT {columns} FROM {_at("observations", b)}) y USING (observation_id)
        WHERE x.record_hash IS DISTINCT FROM y.record_hash
    """


def _observations(a: int, b: int) -> str:
    return f"""
        SELECT source, count(*) FILTER (change = 'added') AS added, count(*) FILTER (change = 'removed') AS removed,
            count(*) FILTER (change = 'value changed') AS value_changed,
            count(*) FILTER (change = 'details changed') AS details_changed
        FROM ({_compared(a, b)}) GROUP BY source ORDER BY source
    """


def _examples(a: int, b: int, number: int) -> str:
    return f"""
        SELECT change, source, material_id, property, before, after, unit FROM ({_compared(a, b)})
        QUALIFY row_number() OVER (PARTITION BY change ORDER BY abs(after - before) DESC NULLS LAST, observation_id)
            <= {number}
        ORDER BY change DESC, abs(after - before) DESC NULLS LAST, observation_id
    """


def _features(a: int, b: int) -> str:
    return f"""
        SELECT name, version, x.rows AS before, y.rows AS after, len(coalesce(y.columns, x.columns)) AS columns,
            CASE WHEN x.signature IS NULL THEN 'added' WHEN y.signature IS NULL THEN 'removed' ELSE 'rows' END AS change
        FROM {_at("feature_sets", a)} x FULL JOIN {_at("feature_sets", b)} y USING (name, version)
        WHERE x.rows IS DISTINCT FROM y.rows OR x.signature IS DISTINCT FROM y.signature ORDER BY name, version
    """


def _metrics(a: int, b: int) -> str:
    def figures(snapshot: int) -> str:
        return f"""
            SELECT m.property, f.protocol, f.setting, f.metric, f.value, m.model_id
            FROM {_at("models", snapshot)} m JOIN {_at("model_metrics", snapshot)} f USING (model_id)
            WHERE m.serving AND m.source IS NULL AND f.subset = {literal(Subset.ALL)}
        """

    return f"""
        SELECT property, protocol, setting, metric, x.value AS before, y.value AS after,
            x.model_id AS model_before, y.model_id AS model_after
        FROM ({figures(a)}) x FULL JOIN ({figures(b)}) y USING (property, protocol, setting, metric)
        WHERE x.value IS DISTINCT FROM y.value ORDER BY ALL
    """
