"""The check that columns are distributed as they were at the last release.

Not here: the statistics (`store.records`).
"""

from __future__ import annotations

import dagster as dg
import duckdb

from matstrata.store.records.statistics import DRIFT_THRESHOLD, drift_since, last_release

_CHECK = "drift"
_LISTED = 20


def drift_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of an asset whose columns have statistics."""
    return dg.AssetCheckSpec(
        _CHECK,
        asset=key,
        description=f"no column has moved by more than {DRIFT_THRESHOLD:g} since the last release (KS)",
    )


def drift_result(con: duckdb.DuckDBPyConnection, subject: str) -> dg.AssetCheckResult:
    """Its result: a warning with the columns that moved. Without a release there is nothing to compare with."""
    release = last_release(con)
    moved = [each for each in drift_since(con, subject, release[1]) if each.drifted] if release else []
    lines = [
        f"| {each.column} | {each.distance:.3f} | {each.missing_before:.1%} | {each.missing_now:.1%} |"
        for each in moved[:_LISTED]
    ]
    table = "\n".join(["| column | distance | missing before | missing now |", "|---|---|---|---|", *lines])
    return dg.AssetCheckResult(
        check_name=_CHECK,
        passed=not moved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "since": release[0] if release else "no release yet",
            "columns that moved": len(moved),
            **({"compared with": moved[0].reference} if moved else {}),
            **({"moved": dg.MetadataValue.md(table)} if moved else {}),
        },
    )
