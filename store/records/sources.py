"""Refreshing a source by difference: only records whose content changed are written, in one transaction.

Not here: reading and validating the source (`pipelines.ingest`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import signature
from matstrata.store.lake.tables import refresh_wide_view
from matstrata.store.records.statistics import of_source, record

_REJECTION = "md5(concat_ws(chr(31), source_record, rule_id, reason, raw))"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The changes that a refresh made to the store."""

    inserted: int
    updated: int
    deleted: int
    rejections: int
    snapshot: int
    changed: bool


def ingested(con: duckdb.DuckDBPyConnection, *sources: str) -> dict[str, dict[str, Any]]:
    """The `sources` rows of these sources, by name, without those that were never ingested."""
    rows = con.execute("SELECT * FROM sources WHERE source IN (SELECT unnest(?))", [list(sources)]).to_arrow_table()
    return {row["source"]: row for row in rows.to_pylist()}


def refresh(
    lake: Lake,
    row: Mapping[str, Any],
    observations: pa.Table,
    rejections: pa.Table,
    validations: pa.Table,
    structures: pa.Table,
) -> Refreshed:
    """Replace what the store holds of one source by the given tables, touching only what differs.

    An observation whose `observation_id` stays and whose `record_hash` changed is updated, so that the change feed
    (`table_changes`) shows exactly what the source changed. Unchanged observations keep the hash of the file in which
    they were first read; where only their place in the file moved, they follow it and don't count as updated.

    Args:
        lake: The store.
        row: The `sources` row.
        observations: Rows with the schema of `observations`; `observation_id` is unique.
        rejections: Rows with the schema of `rejections`.
        validations: Rows with the schema of `validations`.
        structures: Rows with the schema of `structures`; `structure_id` is unique. Groups are kept.

    Returns:
        The numbers of changes, and the snapshot.
    """
    source = row["source"]
    facts = {"source": source, "file_sha256": row["file_sha256"], "contract_sha256": row["contract_sha256"]}
    with lake.commit(f"refresh source {source}", facts) as transaction:
        con = transaction.con
        con.register("new_observations", observations)
        con.execute(
            "CREATE TEMP TABLE difference AS SELECT n.observation_id AS new_id, o.observation_id AS old_id, "
            "n.source_record, n.record_hash <> o.record_hash AS changed FROM new_observations n FULL JOIN "
            "(SELECT observation_id, record_hash, source_record FROM observations WHERE source = ?) o "
            "USING (observation_id) WHERE o.observation_id IS NULL OR n.observation_id IS NULL "
            "OR n.record_hash <> o.record_hash OR n.source_record <> o.source_record",
            [source],
        )
        columns = [name for name in TABLES["observations"].column_names if name != "observation_id"]
        assignments = ", ".join(f"{name} = n.{name}" for name in columns)
        updated = _count(
            con.execute(
                f"UPDATE observations o SET {assignments} FROM new_observations n WHERE o.source = ? "
                "AND o.observation_id = n.observation_id AND n.observation_id IN "
                "(SELECT new_id FROM difference WHERE changed)",
                [source],
            )
        )
        con.execute(
            "UPDATE observations o SET source_record = d.source_record FROM difference d "
            "WHERE o.source = ? AND o.observation_id = d.new_id AND NOT d.changed",
            [source],
        )
        deleted = _count(
            con.execute(
                "DELETE FROM observations WHERE source = ? "
                "AND observation_id IN (SELECT old_id FROM difference WHERE new_id IS NULL)",
                [source],
            )
        )
        inserted = _count(
            con.execute(
                "INSERT INTO observations BY NAME SELECT * FROM new_observations "
                "WHERE observation_id IN (SELECT new_id FROM difference WHERE old_id IS NULL)"
            )
        )
        _refresh_structures(con, source, structures)
        _refresh_rejections(con, source, rejections)
        con.execute("DELETE FROM sources WHERE source = ?", [source])
        transaction.insert("sources", pa.Table.from_pylist([dict(row)], schema=TABLES["sources"].arrow_schema))
        transaction.insert("validations", validations)
        refresh_wide_view(con)
        record(transaction, source, of_source(con, source))
        transaction.facts.update(inserted=inserted, updated=updated, deleted=deleted, rejected=rejections.num_rows)
    return Refreshed(inserted, updated, deleted, rejections.num_rows, transaction.snapshot, transaction.changed)


def keep_refusal(lake: Lake, source: str, validations: pa.Table) -> None:
    """Record the validation of refused files; nothing is written where the last validation had the same result.

    Args:
        lake: The store.
        source: The source; its data don't change.
        validations: Rows with the schema of `validations`; empty where the records broke rules before validation.
    """
    if not validations.num_rows:
        return
    with lake.reader() as con:
        last = con.execute(
            "SELECT * FROM validations WHERE source = $source "
            "AND validated_at = (SELECT max(validated_at) FROM validations WHERE source = $source)",
            {"source": source},
        ).to_arrow_table()
    timeless = [name for name in validations.column_names if name != "validated_at"]
    before, now = (sorted(map(repr, table.select(timeless).to_pylist())) for table in (last, validations))
    if before == now:
        return
    with lake.commit(f"refuse source {source}", {"source": source}) as transaction:
        transaction.insert("validations", validations)


def remove(lake: Lake, source: str) -> int:
    """Delete all that the store holds of a source, in one commit. Returns the number of observations deleted.

    Raises:
        InputError: The store holds no such source.
    """
    with lake.reader() as con:
        rows = ingested(con, source)
    if not rows:
        raise InputError(f"the store holds no source {source!r}; 'matstrata sources list' shows the sources")
    with lake.commit(f"remove source {source}", {"source": source}) as transaction:
        removed = _count(transaction.con.execute("DELETE FROM observations WHERE source = ?", [source]))
        for table in ("structures", "rejections", "validations", "sources"):
            transaction.con.execute(f"DELETE FROM {table} WHERE source = ?", [source])
        transaction.facts.update(deleted=removed)
    return removed


def _refresh_structures(con: duckdb.DuckDBPyConnection, source: str, structures: pa.Table) -> None:
    """Replace the structures of a source; a structure's id is a hash of its content, so only its place can change."""
    con.register("new_structures", structures)
    con.execute(
        "DELETE FROM structures WHERE source = ? AND structure_id NOT IN (SELECT structure_id FROM new_structures)",
        [source],
    )
    con.execute(
        "UPDATE structures s SET source_record = n.source_record FROM new_structures n "
        "WHERE s.structure_id = n.structure_id AND s.source_record <> n.source_record"
    )
    con.execute("INSERT INTO structures BY NAME SELECT * FROM new_structures ANTI JOIN structures USING (structure_id)")


def _refresh_rejections(con: duckdb.DuckDBPyConnection, source: str, rejections: pa.Table) -> None:
    """Replace the rejections of a source; those that stay are not written again."""
    con.register("new_rejections", rejections)
    con.execute(
        f"DELETE FROM rejections WHERE source = ? AND {_REJECTION} NOT IN (SELECT {_REJECTION} FROM new_rejections)",
        [source],
    )
    con.execute(
        f"INSERT INTO rejections BY NAME SELECT * FROM new_rejections WHERE {_REJECTION} NOT IN "
        f"(SELECT {_REJECTION} FROM rejections WHERE source = ?)",
        [source],
    )


def _count(result: Any) -> int:
    return int(result.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Earlier:
    """The result of a source's last refresh, with which the next one is compared."""

    observations: int
    middle: Mapping[str, tuple[float, float]]


def earlier(con: duckdb.DuckDBPyConnection, source: str) -> Earlier | None:
    """Number of observations, and the middle 80 % of the values of each property; None before the first refresh."""
    rows = con.execute(
        "SELECT property, count(*), quantile_cont(value, 0.1), quantile_cont(value, 0.9) FROM observations "
        "WHERE source = ? GROUP BY property",
        [source],
    ).fetchall()
    if not rows:
        return None
    return Earlier(sum(row[1] for row in rows), {name: (low, high) for name, _, low, high in rows})


def formulas(con: duckdb.DuckDBPyConnection, source: str) -> pa.Table:
    """The composition as which each spelling of a source was read, without spellings that say more than a composition.

    Returns:
        (n,) `formula_reported`, `material_id`.
    """
    return con.execute(
        "SELECT formula_reported, any_value(material_id) AS material_id FROM observations "
        "WHERE source = ? AND NOT list_contains(flags, 'formula.suffix') GROUP BY formula_reported",
        [source],
    ).to_arrow_table()


def content_versions(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> dict[str, str]:
    """A hash of the observations of each source: the same content, the same version."""
    rows = con.execute(
        "SELECT s.source, count(observation_id), bit_xor(md5_number(observation_id || record_hash)) "
        "FROM (SELECT unnest(?) AS source) s LEFT JOIN observations o USING (source) GROUP BY s.source",
        [list(sources)],
    ).fetchall()
    return {source: signature(content) for source, *content in rows}


def content_version(con: duckdb.DuckDBPyConnection, source: str) -> str:
    """As `content_versions`, of one source."""
    return content_versions(con, [source])[source]


def rejected(lake: Lake, source: str, rule_id: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """The rejections of a source, by file and in the order of its records."""
    file, number = "regexp_replace(source_record, '\\d+$', '')", "regexp_extract(source_record, '\\d+$')"
    where, parameters = ("AND rule_id = $rule", {"rule": rule_id}) if rule_id else ("", {})
    with lake.reader() as con:
        return (
            con.execute(
                "SELECT source_record, rule_id, reason, raw, file_sha256 FROM rejections "
                f"WHERE source = $source {where} ORDER BY {file}, try_cast({number} AS HUGEINT), source_record "
                + ("" if limit is None else f"LIMIT {limit:d}"),
                {"source": source, **parameters},
            )
            .to_arrow_table()
            .to_pylist()
        )


def reported(lake: Lake, source: str) -> list[dict[str, Any]]:
    """The properties that a source reports, by method, with counts, range and flags."""
    with lake.reader() as con:
        return (
            con.execute(
                "SELECT property, unit, kind, method, count(*) AS observations, "
                "count(DISTINCT material_id) AS materials, "
                "min(value) AS lowest, median(value) AS median, max(value) AS highest, "
                "count(*) FILTER (len(flags) > 0) AS flagged "
                "FROM observations WHERE source = ? GROUP BY ALL ORDER BY ALL",
                [source],
            )
            .to_arrow_table()
            .to_pylist()
        )
