"""Releases: names for snapshots, which maintenance may not expire.

Not here: finding the snapshot that a name means (`store.lake.as_of`), what differs between two
(`store.upkeep.release_diff`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.files import DATA
from matstrata.store.lake.lake import Lake, current_snapshot

_RELEASE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")  # a letter first: never taken for a snapshot or a date
_CREATED = "create release"


@dataclass(frozen=True, slots=True)
class Release:
    """A named snapshot; `created` is false where the release existed before."""

    name: str
    snapshot: int
    note: str | None
    created_at: datetime
    created: bool = False


def create(lake: Lake, name: str, *, snapshot: int | None = None, note: str | None = None) -> Release:
    """Name a snapshot, by default the newest. Repeating it changes nothing; a name is never moved.

    Raises:
        InputError: The name is invalid or that of another snapshot, or there is no such snapshot.
    """
    if not _RELEASE_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} can't name a release: use a letter, followed by up to 63 letters, digits, dots, dashes and "
            "underscores"
        )
    lake.snapshot()  # raises where there is no store
    with lake.commit(f"{_CREATED} {name}") as transaction:
        con = transaction.con
        newest = current_snapshot(con)
        pinned = newest if snapshot is None else snapshot
        taken = {release.name: release for release in _rows(con)}.get(name)
        if taken is not None:
            if taken.snapshot == pinned or (snapshot is None and _nothing_since(con, taken.snapshot)):
                return taken
            raise InputError(
                f"release {name} exists, of snapshot {taken.snapshot}; a release is never moved: choose another name"
            )
        _require_snapshot(con, pinned)
        made = Release(name, pinned, note, datetime.now(UTC), created=True)
        row = {"name": name, "snapshot": pinned, "note": note, "created_at": made.created_at}
        transaction.insert("releases", pa.Table.from_pylist([row], schema=TABLES["releases"].arrow_schema))
        transaction.facts.update(release=name, pins=pinned)
    return made


def releases(lake: Lake) -> list[Release]:
    """All releases, the oldest snapshot first."""
    with lake.reader() as con:
        return _rows(con)


def get_release(lake: Lake, name: str) -> Release:
    """One release.

    Raises:
        InputError: There is no release of this name.
    """
    by_name = {release.name: release for release in releases(lake)}
    if name not in by_name:
        raise InputError(f"there is no release {name!r}; there are: {', '.join(by_name) or 'none yet'}")
    return by_name[name]


def attach_statement(lake: Lake, snapshot: int) -> str:
    """The SQL by which any DuckDB client sees the store as of a snapshot, read-only."""
    extensions = "; ".join(f"INSTALL {name}" for name in ("ducklake", lake.catalog.extension, *lake.files.extensions))
    attach = lake.catalog.statement(lake.files.url(DATA), f"READ_ONLY, SNAPSHOT_VERSION {snapshot}")
    return f"-- needs DuckDB's extensions, installed once: {extensions};\n{attach};\nUSE {CATALOG};\n"


def pins(con: duckdb.DuckDBPyConnection) -> Mapping[int, list[str]]:
    """The snapshots that must stay readable, each with the releases, frozen training sets and models that need it."""
    pinned: dict[int, list[str]] = {}
    for statement in (
        "SELECT snapshot, 'release ' || name FROM releases",
        "SELECT snapshot, 'training set ' || training_set_id[:12] FROM training_sets",
        "SELECT snapshot, 'model ' || model_id[:12] FROM models",
    ):
        for snapshot, what in con.execute(f"{statement} ORDER BY ALL").fetchall():
            if snapshot is not None:
                pinned.setdefault(int(snapshot), []).append(what)
    return pinned


def _rows(con: duckdb.DuckDBPyConnection) -> list[Release]:
    rows = con.execute("SELECT name, snapshot, note, created_at FROM releases ORDER BY snapshot, name").fetchall()
    return [Release(*row) for row in rows]


def _nothing_since(con: duckdb.DuckDBPyConnection, snapshot: int) -> bool:
    """Whether nothing but releases were made since a snapshot."""
    later = con.execute(
        f"SELECT count(*) FROM {CATALOG}.snapshots() WHERE snapshot_id > {snapshot} "
        f"AND NOT coalesce(starts_with(commit_message, '{_CREATED} '), false)"
    ).fetchone()
    return later == (0,)


def _require_snapshot(con: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    """Refuse a snapshot that expired or never existed."""
    row = con.execute(
        f"SELECT count(*) FILTER (snapshot_id = {snapshot:d}), max(snapshot_id) FROM {CATALOG}.snapshots()"
    ).fetchone()
    assert row is not None
    exists, newest = row
    if not exists:
        raise InputError(f"the store has no snapshot {snapshot}; the newest is {newest}, and old ones may have expired")
