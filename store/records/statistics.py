"""How columns are distributed: summarized at each materialization and refresh, and compared with an earlier snapshot.

The table `statistics` holds the present state; what it was at a release is read at the release's snapshot. Not here:
the validation of values (`pipelines.ingest.validating.validation`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.schemas.tables import TABLES, feature_label
from matstrata.store.lake.as_of import AsOf, resolve_as_of
from matstrata.store.lake.lake import Lake, Transaction

PERCENTILES = 101
HISTOGRAM_BINS = 20
DRIFT_THRESHOLD = 0.1  # Kolmogorov-Smirnov distance at which a tenth of the values has moved


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a column has moved.

    `reference` is the subject that it is compared with: the same, or an older version of the feature set. `distance` is
    the largest difference between the two cumulative distributions (Kolmogorov-Smirnov), to within the 0.01 of their
    percentiles; `missing_before` and `missing_now` are shares.
    """

    subject: str
    column: str
    reference: str
    distance: float
    missing_before: float
    missing_now: float

    @property
    def drifted(self) -> bool:
        """Whether values, or missing ones, have moved by more than `DRIFT_THRESHOLD`."""
        return self.distance > DRIFT_THRESHOLD or abs(self.missing_now - self.missing_before) > DRIFT_THRESHOLD


def summarize(subject: str, columns: Iterable[tuple[str, NDArray[np.float64]]]) -> pa.Table:
    """Rows of the table `statistics`, one for each named column of numbers."""
    now = datetime.now(UTC)
    rows = []
    for name, values in columns:
        finite = np.sort(values[np.isfinite(values)])
        row: dict[str, Any] = dict.fromkeys(("lowest", "highest", "quantiles", "histogram"))
        if len(finite):
            at = np.linspace(0, len(finite) - 1, PERCENTILES).round().astype(int)
            row = {
                "lowest": finite[0],
                "highest": finite[-1],
                "quantiles": finite[at],
                "histogram": _histogram(finite),
            }
        counts = {"rows": len(values), "missing": len(values) - len(finite)}
        rows.append({"subject": subject, "column": name, **counts, **row, "computed_at": now})
    return pa.Table.from_pylist(rows, schema=TABLES["statistics"].arrow_schema)


def record(transaction: Transaction, subject: str, rows: pa.Table) -> None:
    """Put the statistics of a subject in place of its earlier ones."""
    transaction.con.execute("DELETE FROM statistics WHERE subject = ?", [subject])
    transaction.insert("statistics", rows)


def of_features(table: pa.Table, label: str, columns: Sequence[str]) -> pa.Table:
    """The statistics of a version of a feature set, given as a table."""
    return summarize(label, ((name, table[name].to_numpy()) for name in columns))


def of_source(con: duckdb.DuckDBPyConnection, source: str) -> pa.Table:
    """The statistics of what a source reports, by property, kind and method."""
    table = con.execute(
        "SELECT concat_ws(', ', property, kind, method) AS name, value FROM observations WHERE source = ?",
        [source],
    ).to_arrow_table()
    encoded = table["name"].combine_chunks().dictionary_encode()
    codes, values = encoded.indices.to_numpy(), table["value"].to_numpy()
    names = sorted((name, code) for code, name in enumerate(encoded.dictionary.to_pylist()))
    return summarize(source, ((name, values[codes == code]) for name, code in names))


def statistics(lake: Lake, subject: str | None = None, as_of: AsOf = None) -> list[dict[str, Any]]:
    """The rows of the table, of one subject or of all, now or as of a snapshot, moment or release."""
    snapshot = None if as_of is None else resolve_as_of(lake, as_of)
    with lake.reader() as con:
        return _rows(con, subject, snapshot)


def last_release(con: duckdb.DuckDBPyConnection) -> tuple[str, int] | None:
    """Name and snapshot of the newest release, None where there is none."""
    row = con.execute("SELECT name, snapshot FROM releases ORDER BY created_at DESC, snapshot DESC LIMIT 1").fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


def drift(lake: Lake, subject: str | None = None, since: AsOf = None) -> list[Drift]:
    """How far columns have moved since a snapshot, moment or release, by default the last release; the worst first.

    A version of a feature set that did not exist then is compared with the newest one that did. A column that has no
    statistics on one side is left out; without any release there is nothing to compare with.
    """
    snapshot = None if since is None else resolve_as_of(lake, since)
    with lake.reader() as con:
        if snapshot is None:
            release = last_release(con)
            if release is None:
                return []
            snapshot = release[1]
        return drift_since(con, subject, snapshot)


def drift_since(con: duckdb.DuckDBPyConnection, subject: str | None, snapshot: int) -> list[Drift]:
    """As `drift`, from a snapshot to what `con` sees."""
    then: dict[str, dict[str, dict[str, Any]]] = {}
    for row in _rows(con, None, snapshot):
        then.setdefault(row["subject"], {})[row["column"]] = row
    sets = con.execute("SELECT name, version FROM feature_sets").fetchall()
    versions = {feature_label(name, version): (name, version) for name, version in sets}
    moved = []
    for row in _rows(con, subject):
        reference = _reference(row["subject"], then, versions)
        before = then.get(reference, {}).get(row["column"])
        if before is not None:
            far = distance(before["quantiles"], row["quantiles"])
            moved.append(Drift(row["subject"], row["column"], reference, far, _missing(before), _missing(row)))
    return sorted(moved, key=lambda each: (-each.distance, each.subject, each.column))


def _reference(subject: str, then: Collection[str], versions: Mapping[str, tuple[str, int]]) -> str:
    """The subject for comparison: the same, or for a new version of a feature set the newest that existed then."""
    if subject in then or subject not in versions:
        return subject
    name, number = versions[subject]
    older = [(n, label) for label, (other, n) in versions.items() if other == name and n < number and label in then]
    return max(older)[1] if older else subject


def _rows(con: duckdb.DuckDBPyConnection, subject: str | None, snapshot: int | None = None) -> list[dict[str, Any]]:
    version = "" if snapshot is None else f"AT (VERSION => {snapshot:d})"
    try:
        rows = con.execute(
            f"FROM statistics {version} WHERE subject = $subject OR $subject IS NULL ORDER BY ALL", {"subject": subject}
        )
    except duckdb.CatalogException:
        return []  # a snapshot from before the table was introduced
    return rows.to_arrow_table().to_pylist()


def distance(before: Sequence[float] | None, now: Sequence[float] | None) -> float:
    """Kolmogorov-Smirnov distance of two distributions given by percentiles: 0 for equal, 1 for disjoint ones.

    D = max over x of |F_before(x) - F_now(x)|, with F the empirical cumulative distributions of the percentiles.
    """
    if before is None or now is None:
        return 0.0 if before is now else 1.0
    one, other = np.asarray(before), np.asarray(now)
    grid = np.concatenate([one, other])
    cumulative = [np.searchsorted(each, grid, side="right") / len(each) for each in (one, other)]
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def _missing(row: Mapping[str, Any]) -> float:
    return float(row["missing"] / row["rows"]) if row["rows"] else 0.0


def _histogram(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts of sorted values in equal intervals; all in the first where there is only one value."""
    edges = np.linspace(values[0], values[-1], HISTOGRAM_BINS + 1)
    upto = np.searchsorted(values, edges[1:-1], side="left")
    return np.diff(np.concatenate([[0], upto, [len(values)]])).astype(np.float64)
