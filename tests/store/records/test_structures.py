"""Which structures wait for their group, and that only what changes is written."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from matstrata.schemas.tables import TABLES
from matstrata.store.records.structures import structures_summary, waiting, write_groups


@pytest.fixture
def give(lake):
    def give(rows: Sequence[tuple[str, str, str | None]]) -> None:
        schema = TABLES["structures"].arrow_schema
        rows = [
            {**dict.fromkeys(schema.names), "source": "lab", "cif": "data_", "structure_id": i, "material_id": m, "structure_group": g}
            for i, m, g in rows
        ]  # fmt: skip
        with lake.commit("structures") as transaction:
            transaction.insert("structures", pa.Table.from_pylist(rows, schema=schema))

    return give


def groups(lake) -> dict[str, str | None]:
    with lake.reader() as con:
        return dict(con.execute("SELECT structure_id, structure_group FROM structures").fetchall())


def test_nothing_waits_in_an_empty_store(lake):
    assert waiting(lake).num_rows == 0
    assert structures_summary(lake)[:2] == (0, 0)


def test_all_of_a_composition_wait_where_one_is_new(lake, give):
    give([("s3", "ClNa", None), ("s1", "ClNa", "s1"), ("s2", "O2Ti", "s2")])
    table = waiting(lake)
    assert table["structure_id"].to_pylist() == ["s1", "s3"]
    assert table.column_names == [
        "structure_id", "material_id", "space_group", "protostructure", "cif", "structure_group",
    ]  # fmt: skip


def test_groups_are_written_and_nothing_waits_any_more(lake, give):
    give([("s1", "ClNa", None), ("s2", "ClNa", None), ("s3", "O2Ti", "s3")])
    write_groups(lake, {"s1": "s1", "s2": "s1"})
    assert groups(lake) == {"s1": "s1", "s2": "s1", "s3": "s3"}
    assert waiting(lake).num_rows == 0
    assert structures_summary(lake)[:2] == (3, 2)


def test_only_what_changes_is_written(lake, give):
    give([("s1", "ClNa", "s1"), ("s2", "ClNa", None)])
    write_groups(lake, {"s1": "s1", "s2": "s1"})
    last = lake.snapshot()
    with lake.reader() as con:
        feed = con.execute(
            "SELECT DISTINCT structure_id FROM lake.table_changes('structures', ?, ?)", [last, last]
        ).fetchall()
    assert feed == [("s2",)]


def test_the_same_groups_make_no_snapshot(lake, give):
    give([("s1", "ClNa", None)])
    write_groups(lake, {"s1": "s1"})
    before = lake.snapshot()
    write_groups(lake, {"s1": "s1"})
    assert lake.snapshot() == before


def test_the_summary_follows_structures_and_groups(lake, give):
    give([("s1", "ClNa", None), ("s2", "ClNa", None)])
    hashes = [structures_summary(lake)[2]]
    for named in ({"s1": "s1", "s2": "s2"}, {"s2": "s1"}):
        write_groups(lake, named)
        hashes.append(structures_summary(lake)[2])
    give([("s3", "O2Ti", "s3")])
    hashes.append(structures_summary(lake)[2])
    assert len(set(hashes)) == 4
    assert structures_summary(lake)[2] == hashes[-1]
