"""Checks of a source in the store: the conservation of records, and the results of validation.

Not here: the validation itself (`pipelines.ingest.validating.validation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from matstrata.schemas.rules import TABLE_RULES


@dataclass(frozen=True, slots=True)
class Conservation:
    """The records of a source: counted when read, and counted in the tables."""

    rows_in: int
    accepted: int
    rejected: int
    in_both: int
    observations: int
    by_rule: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether each record read is an observation or a rejection, and none is both."""
        return self.rows_in == self.accepted + self.rejected and self.in_both == 0

    def rejections_table(self) -> str:
        """Rejections by rule, as Markdown."""
        if not self.by_rule:
            return "none"
        lines = [f"| {rule} | {n:,} |" for rule, n in self.by_rule.items()]
        return "\n".join(["| rule | records |", "|---|---|", *lines])


@dataclass(frozen=True, slots=True)
class ValidationSummary:
    """The expectations of a source's last refresh."""

    rows: Sequence[Mapping[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether no expectation on the whole source failed; a record that failed one of its own is quarantined."""
        return all(
            row["success"] or row["severity"] == "warning" or row["rule_id"] not in TABLE_RULES for row in self.rows
        )

    def table(self) -> str:
        """The expectations, as Markdown."""
        lines = [
            f"| {row['rule_id']} | {row['property'] or row['column'] or ''} "
            f"| {row['checked']:,} | {row['unexpected']:,} |"
            for row in self.rows
        ]
        return "\n".join(["| expectation | of | checked | refused |", "|---|---|---|---|", *lines])


def conservation(con: duckdb.DuckDBPyConnection, source: str) -> Conservation:
    """Count the records of a source in the tables themselves."""
    counts = con.execute(
        "WITH seen AS (SELECT DISTINCT source_record FROM observations WHERE source = $source), "
        "refused AS (SELECT source_record FROM rejections WHERE source = $source) "
        "SELECT (SELECT rows_in FROM sources WHERE source = $source), (SELECT count(*) FROM seen), "
        "(SELECT count(*) FROM refused), (SELECT count(*) FROM seen SEMI JOIN refused USING (source_record)), "
        "(SELECT count(*) FROM observations WHERE source = $source)",
        {"source": source},
    ).fetchone()
    by_rule = con.execute(
        "SELECT rule_id, count(*) AS n FROM rejections WHERE source = ? GROUP BY rule_id ORDER BY n DESC, rule_id",
        [source],
    ).fetchall()
    assert counts is not None
    rows_in, accepted, rejected, in_both, observations = counts
    return Conservation(rows_in, accepted, rejected, in_both, observations, dict(by_rule))


def validation_summary(con: duckdb.DuckDBPyConnection, source: str) -> ValidationSummary:
    """The expectations of the refresh that the store's data of a source come from."""
    rows = con.execute(
        "SELECT v.* FROM validations v JOIN sources s ON v.source = s.source AND v.validated_at = s.refreshed_at "
        "WHERE v.source = ? ORDER BY ALL",
        [source],
    ).to_arrow_table()
    return ValidationSummary(rows.to_pylist())
