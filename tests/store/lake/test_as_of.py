"""A moment means the last snapshot dated at or before it, and the last goes by number: clocks are set back, and differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store import FeatureStore
from matstrata.store.lake.as_of import resolve_as_of
from matstrata.store.lake.lake import Lake


def date_snapshots(lake: Lake, clocks: Sequence[str]) -> int:
    """Date the newest snapshots, in their order, as if they had been written by clocks at these times of one day.

    Returns:
        The number of the first of them. Those before are dated a year earlier.
    """
    first = lake.snapshot() - len(clocks) + 1
    with sqlite3.connect(lake.catalog_file) as catalog:
        catalog.execute("UPDATE ducklake_snapshot SET snapshot_time = '2025-05-31 00:00:00+00'")
        for number, clock in enumerate(clocks, first):
            moment = f"2026-05-31 {clock}:00.000000+00"
            catalog.execute("UPDATE ducklake_snapshot SET snapshot_time = ? WHERE snapshot_id = ?", [moment, number])
    return first


@pytest.fixture
def five(lake, put) -> Lake:
    """A store whose five newest snapshots hold 1, 2, 3, 4 and 5 records."""
    for n in range(1, 6):
        put("lab", [(f"r{i}", "GaN", float(i)) for i in range(n)])
    return lake


@pytest.mark.parametrize(
    ("clocks", "moment", "records"),
    [
        (["10:00", "11:00", "12:00", "13:00", "14:00"], "12:30", 3),
        (["10:00", "11:00", "12:00", "11:05", "11:10"], "11:06", 4),  # set back by an hour
        (["10:00", "11:00", "12:00", "11:05", "11:10"], "11:20", 5),  # now, by that clock: the newest
        (["10:00", "11:00", "12:00", "11:05", "11:10"], "10:30", 1),
        (["10:00", "12:00", "11:05", "13:00", "11:10"], "11:30", 5),  # two machines, one an hour ahead
        (["10:00", "12:00", "11:05", "13:00", "13:10"], "11:30", 3),
        (["10:00", "10:00", "10:00", "10:00", "10:00"], "10:00", 5),
    ],
)
def test_the_last_state_goes_by_number(five, clocks, moment, records):
    first = date_snapshots(five, clocks)
    as_of = f"2026-05-31T{moment}Z"
    assert resolve_as_of(five, as_of) == first + records - 1
    with FeatureStore.open(five.root, as_of=as_of) as store:
        assert len(store.observations()) == records


def test_a_later_moment_never_means_an_earlier_state(five):
    date_snapshots(five, ["10:00", "12:00", "11:05", "13:00", "11:10"])
    resolved = [resolve_as_of(five, datetime(2026, 5, 31, hour, 7, tzinfo=UTC)) for hour in range(24)]
    assert resolved == sorted(resolved)


def test_before_all_clocks_there_was_no_store(five):
    date_snapshots(five, ["10:00", "12:00", "11:05", "13:00", "11:10"])
    with pytest.raises(InputError, match="the store begins at 2025-05-31T00:00:00Z"):
        resolve_as_of(five, "2025-05-30")


def test_states_that_have_expired_are_not_guessed_whatever_the_clocks_said(five):
    first = date_snapshots(five, ["10:00", "12:00", "11:05", "11:10", "13:00"])
    with five.commit("make room") as transaction:
        transaction.con.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{first + 3}])")
    with pytest.raises(InputError, match=f"between the snapshots {first + 2} and {first + 4} have expired"):
        resolve_as_of(five, "2026-05-31T12:30Z")
    assert resolve_as_of(five, "2026-05-31T13:00Z") == first + 4
