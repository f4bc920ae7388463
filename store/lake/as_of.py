"""The meanings of 'as of': a snapshot's number, a moment, or the name of a release; each becomes a snapshot.

Not here: making releases, or reading at a snapshot (`Lake.reader`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from numbers import Integral
from typing import Any

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.lake import Lake

AsOf = int | str | date | datetime | None


def resolve_as_of(lake: Lake, as_of: AsOf) -> int:
    """The number of the snapshot that `as_of` means; None means the newest.

    A text is the name of a release, else a snapshot's number, else a moment in ISO 8601. A moment means the last
    snapshot that is dated at or before it, and is UTC where it has no time zone; a date means its first moment.

    Snapshots are numbered in the order in which they were committed, and dated by the clock of the machine that did.
    Clocks differ and are set back, so 'the last' goes by number: of all snapshots with a date at or before the moment,
    the highest number. Its state includes every snapshot below it, also one that a clock ahead has dated later.

    Raises:
        InputError: There is no such snapshot or release; or the moment is before the first snapshot, or among states
            that maintenance has removed.
    """
    meant: Any = int(as_of) if isinstance(as_of, Integral) else as_of  # NumPy's integers too
    if meant is not None and not isinstance(meant, int | str | date):
        raise InputError(f"as of {meant!r}: give a snapshot's number, a release, or a time")
    with lake.reader() as con:
        if isinstance(meant, str):
            meant = _meaning(con, meant)
        if isinstance(meant, date):
            return _at(con, meant if isinstance(meant, datetime) else datetime.combine(meant, time()))
        rows = con.execute(f"SELECT snapshot_id FROM {CATALOG}.snapshots() ORDER BY snapshot_id").fetchall()
    snapshots = [row[0] for row in rows]
    if meant is None:
        return snapshots[-1]
    if meant not in snapshots:
        reason = "has expired" if 0 <= meant < snapshots[-1] else f"does not exist; the newest is {snapshots[-1]}"
        raise InputError(f"snapshot {meant} {reason}")
    return int(meant)


def _meaning(con: duckdb.DuckDBPyConnection, text: str) -> int | datetime:
    releases = dict(con.execute("SELECT name, snapshot FROM releases ORDER BY created_at").fetchall())
    if text in releases:
        return int(releases[text])
    if text.isdecimal():
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        listed = ", ".join(releases) or "none yet"
        raise InputError(
            f"{text!r} is not a release (there are: {listed}), a snapshot's number or a time such as 2026-05-31T12:00Z"
        ) from None


def _at(con: duckdb.DuckDBPyConnection, moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    rows = con.execute(
        f"SELECT snapshot_id, epoch_us(snapshot_time) FROM {CATALOG}.snapshots() ORDER BY snapshot_id"
    ).fetchall()
    microseconds = round(moment.timestamp() * 1_000_000)
    last = max((snapshot for snapshot, time in rows if time <= microseconds), default=None)
    if last is None:
        first = datetime.fromtimestamp(min(time for _, time in rows) / 1_000_000, UTC)
        raise InputError(f"the store begins at {first:%Y-%m-%dT%H:%M:%SZ}, after {moment.isoformat()}")
    following = min((snapshot for snapshot, _ in rows if snapshot > last), default=last + 1)
    if following != last + 1:
        raise InputError(
            f"the states between the snapshots {last} and {following} have expired, and {moment.isoformat()} is "
            f"among them; give one of these two, or a release"
        )
    return int(last)
