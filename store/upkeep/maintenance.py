"""Maintenance: old snapshots go, small files are merged, files full of deleted rows are rewritten, unused ones deleted.

What a release, a training set or a model pins is never touched, and is read before and after to prove it. Each step is
a commit of its own: if the process is killed anywhere, the store works, and the next run carries on. Nothing is deleted
before its grace period is over, so that queries which began earlier can finish.

Not here: finding damage (`store.upkeep.doctor`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import duckdb

from matstrata.schemas.errors import WorkError
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.files import Stored
from matstrata.store.lake.inventory import (
    DataFile,
    data_files,
    forget_scheduled,
    orphaned_files,
    scheduled_files,
    size,
    unregistered_files,
)
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.upkeep.releases import pins

log = logging.getLogger("matstrata.store")

_MAX_DELETED_SHARE = 0.25  # above it, a file is rewritten without its deleted rows
_MERGED_UP_TO = 512 << 20  # DuckLake's target size of a file, in bytes


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept besides pinned snapshots: the newest ones, those of the last days; and unused files for a while."""

    keep_snapshots: int = 20
    keep_days: float = 7
    grace_hours: float = 24


@dataclass(frozen=True, slots=True)
class Space:
    """A number of files, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did, or would do.

    `merged` counts the files put together or rewritten (an estimate beforehand), `unneeded` those that only expired
    snapshots read, `deleted` what is freed now, and `waiting` what the next run after the grace frees.
    """

    expired: tuple[int, ...]
    kept: int
    pinned: Mapping[int, list[str]]
    unneeded: Space
    merged: int
    deleted: Space
    waiting: Space


def plan(lake: Lake, policy: Policy) -> Maintained:
    """What `maintain` would do now; nothing is written."""
    with lake.reader() as con:
        pinned, retained, expired = _snapshots(con, policy)
        files = data_files(con)
        unneeded = [file for file in files if not any(file.seen_by(snapshot) for snapshot in retained)]
        stored = lake.files.listed("")
        waiting, due = _unused(con, stored, policy)
        live = [file for file in files if file not in unneeded]
    freed = Space(len(unneeded), sum(file.size for file in unneeded))
    later = Space(len(waiting) + freed.files, size(waiting, stored) + freed.bytes)
    now = Space(len(due), size(due, stored))
    if not policy.grace_hours:
        now, later = Space(now.files + later.files, now.bytes + later.bytes), Space(0, 0)
    return Maintained(tuple(expired), len(retained), pinned, freed, _mergeable(live).total(), now, later)


def maintain(lake: Lake, policy: Policy) -> Maintained:
    """Carry out what `plan` describes.

    Raises:
        WorkError: A pinned snapshot reads differently afterwards (no file has been deleted then), or the disk refuses.
    """
    with lake.commit("maintain: flush") as transaction:  # rows that an older version left in the catalog
        transaction.con.execute(f"CALL ducklake_flush_inlined_data('{CATALOG}')")
    with lake.commit("maintain: expire snapshots") as transaction:
        pinned, retained, expired = _snapshots(transaction.con, policy)
        files = data_files(transaction.con)
        if expired:
            log.info("expiring %s snapshots of %s", f"{len(expired):,}", f"{len(expired) + len(retained):,}")
            transaction.con.execute(f"CALL ducklake_expire_snapshots('{CATALOG}', versions => {expired})")
    unneeded = [file for file in files if not any(file.seen_by(snapshot) for snapshot in retained)]
    tables = sorted(_mergeable(file for file in files if file not in unneeded))
    merged = _compact(lake, tables) if tables else 0
    deleted, waiting = _clean(lake, policy)
    freed = Space(len(unneeded), sum(file.size for file in unneeded))
    return Maintained(tuple(expired), len(retained), pinned, freed, merged, deleted, waiting)


def _snapshots(con: duckdb.DuckDBPyConnection, policy: Policy) -> tuple[Mapping[int, list[str]], list[int], list[int]]:
    """The pinned, the retained and the expiring snapshots: explicit ids, as age alone can't tell which are needed."""
    pinned = pins(con)
    listed = con.execute(
        f"SELECT snapshot_id, snapshot_time FROM {CATALOG}.snapshots() ORDER BY snapshot_id DESC"
    ).fetchall()
    limit = datetime.now(UTC) - timedelta(days=policy.keep_days)
    retained = [
        snapshot
        for position, (snapshot, made) in enumerate(listed)
        if position < max(1, policy.keep_snapshots) or made > limit or snapshot in pinned
    ]
    return pinned, retained, sorted({snapshot for snapshot, _ in listed} - set(retained))


def _mergeable(files: Iterable[DataFile]) -> Counter[str]:
    """How many files of each table would be replaced: small ones side by side, and those full of deleted rows."""
    live = [file for file in files if file.end is None]
    deleted = {file.number: file.rows for file in live if file.kind == "deletes"}
    counts, groups = Counter[str](), Counter[tuple[str, PurePosixPath]]()
    for file in live:
        if file.kind == "deletes":
            continue
        share = deleted.get(file.number, 0) / max(1, file.rows)
        if share > _MAX_DELETED_SHARE:
            counts[file.table] += 1
        elif not share and file.size < _MERGED_UP_TO:
            groups[file.table, PurePosixPath(file.path).parent] += 1
    for (table, _), count in groups.items():
        if count > 1:
            counts[table] += count
    return counts


def _compact(lake: Lake, tables: Sequence[str]) -> int:
    """Rewrite and merge files, and prove that what must stay readable reads as before. Returns how many it replaced.

    Args:
        lake: The store.
        tables: The tables of which files will be replaced.
    """
    with lake.reader() as con:
        watched = sorted({current_snapshot(con), *pins(con)})
        log.info("reading what is pinned, to compare it afterwards")
        before = _fingerprints(con, tables, watched)
        scheduled = len(scheduled_files(con))
        ended = sum(file.end is not None for file in data_files(con))
    with lake.commit("maintain: rewrite files") as transaction:
        log.info("rewriting files")
        transaction.con.execute(
            f"CALL ducklake_rewrite_data_files('{CATALOG}', delete_threshold => {_MAX_DELETED_SHARE})"
        )
    with lake.commit("maintain: merge files") as transaction:
        log.info("merging files")
        transaction.con.execute(f"CALL ducklake_merge_adjacent_files('{CATALOG}')")
    with lake.reader() as con:
        after = _fingerprints(con, tables, watched)
        changed = sorted(key for key, value in before.items() if after[key] != value)
        if changed:
            table, snapshot = changed[0]
            raise WorkError(
                f"after merging, {table} as of snapshot {snapshot} reads differently ({len(changed)} such cases); no "
                "file was deleted: restore the newest backup, and report this with the versions of DuckDB and DuckLake"
            )
        return len(scheduled_files(con)) - scheduled + sum(file.end is not None for file in data_files(con)) - ended


def _fingerprints(
    con: duckdb.DuckDBPyConnection, tables: Iterable[str], snapshots: Iterable[int]
) -> Mapping[tuple[str, int], tuple[int, int] | None]:
    """Row count and sum of row hashes of each table at each snapshot; None where it did not exist yet."""
    fingerprints: dict[tuple[str, int], tuple[int, int] | None] = {}
    for table in tables:
        for snapshot in snapshots:
            try:
                row = con.execute(
                    f"SELECT count(*), sum(hash(t)) FROM (FROM {table} AT (VERSION => {snapshot})) t"
                ).fetchone()
            except duckdb.CatalogException:
                row = None
            fingerprints[table, snapshot] = row
    return fingerprints


def _unused(
    con: duckdb.DuckDBPyConnection, stored: Mapping[str, Stored], policy: Policy
) -> tuple[list[str], list[str]]:
    """The files that nothing needs: those within their grace period, and those after it."""
    limit = _limit(policy)
    scheduled = [file for file in scheduled_files(con) if file.name in stored]
    strays = [*orphaned_files(con, stored), *unregistered_files(con, stored)]
    due = {file.name for file in scheduled if file.since < limit} | {
        name for name in strays if stored[name].modified < limit
    }
    return sorted({*(file.name for file in scheduled), *strays} - due), sorted(due)


def _limit(policy: Policy) -> datetime:
    """The moment before which a file must have become unneeded to be deleted."""
    return datetime.now(UTC) - timedelta(hours=policy.grace_hours)


def _clean(lake: Lake, policy: Policy) -> tuple[Space, Space]:
    """Delete the unneeded files whose grace period is over; the deleted and the waiting ones.

    DuckLake's own functions (1.0) compare times as text on a SQLite catalog, which makes a grace period of hours void,
    and miss orphans below a folder with a bracket in its name. Files are deleted before their rows: a run that is
    killed in between leaves rows of deleted files, which the next run removes.
    """
    with lake.commit("maintain: delete unused files") as transaction:
        stored = lake.files.listed("")
        waiting, due = _unused(transaction.con, stored, policy)
        for name in due:
            lake.files.delete(name)
        left = stored.keys() - set(due)
        gone = [file.number for file in scheduled_files(transaction.con) if file.name not in left]
        if gone:
            forget_scheduled(transaction.con, gone)
    return Space(len(due), size(due, stored)), Space(len(waiting), size(waiting, stored))
