"""A store that an older version made gets what it lacks, once, in one snapshot; its data stay."""

from __future__ import annotations

import pytest

from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake

ROWS = [("r1", "GaN", 3.4), ("r2", "Si", 1.1)]
OLD_VIEW = (
    "CREATE OR REPLACE VIEW labels AS SELECT material_id, property, max(value) AS value FROM observations GROUP BY ALL"
)


@pytest.fixture
def older(lake: Lake, put):
    """Make the store what an older version would have made of it, with data in it."""

    def older(*statements: str) -> Lake:
        put("lab", ROWS)
        with lake.commit("an older version") as transaction:
            for statement in statements:
                transaction.con.execute(statement)
        return lake

    return older


def rows(lake: Lake, sql: str) -> list[tuple]:
    with lake.reader() as con:
        return con.execute(sql).fetchall()


def columns(lake: Lake) -> set[tuple[str, str]]:
    return set(
        rows(
            lake,
            "SELECT table_name, column_name FROM duckdb_columns() c JOIN duckdb_tables() t USING (database_name, table_name) "
            "WHERE database_name = 'lake' AND c.schema_name = 'main'",
        )
    )


DECLARED = {(table.name, column) for table in TABLES.values() for column in table.column_names}
COLUMNS_GONE = ("ALTER TABLE observations DROP COLUMN rank", "ALTER TABLE sources DROP COLUMN doi")
CASES = [
    COLUMNS_GONE,
    ("DROP TABLE structures",),
    ("DROP TABLE structures", "DROP TABLE releases", *COLUMNS_GONE),
    ("DROP SCHEMA features",),
    ("DROP VIEW labels",),
    (OLD_VIEW,),
    (OLD_VIEW, "COMMENT ON VIEW labels IS 'reconciled values, one for each material, property and source (01234567)'"),
]


@pytest.mark.parametrize(
    "statements", CASES, ids=["columns", "table", "both", "schema", "no view", "old view", "old comment"]
)
def test_it_is_completed_in_one_snapshot_and_only_once(older, statements):
    lake = older(*statements)
    before = lake.snapshot()
    lake.init()
    assert lake.snapshot() == before + 1
    assert columns(lake) >= DECLARED
    assert rows(lake, "SELECT source_record, material_id, value FROM observations ORDER BY 1") == ROWS
    assert rows(lake, "SELECT material_id, kind, n_observations FROM labels ORDER BY 1") == [
        ("GaN", "experiment", 1),
        ("Si", "experiment", 1),
    ]
    assert rows(lake, "SELECT 1 FROM duckdb_schemas() WHERE database_name = 'lake' AND schema_name = 'features'")
    lake.init()
    assert lake.snapshot() == before + 1


def test_a_new_column_is_empty_and_explained(older):
    lake = older(*COLUMNS_GONE)
    lake.init()
    assert rows(lake, "SELECT DISTINCT rank FROM observations") == [(None,)]
    ((comment, kind),) = rows(
        lake,
        "SELECT comment, data_type FROM duckdb_columns() WHERE table_name = 'observations' AND column_name = 'rank'",
    )
    assert kind == "DOUBLE"
    assert comment


def test_a_grown_store_is_refreshed_like_any_other(older, put):
    lake = older(*COLUMNS_GONE)
    lake.init()
    assert (put("lab", ROWS).inserted, put("lab", ROWS).updated) == (0, 0)
    done = put("lab", [("r1", "GaN", 3.5, {"rank": 1.0}), ROWS[1]])
    assert (done.inserted, done.updated, done.deleted) == (0, 1, 0)
    assert rows(lake, "SELECT material_id, value, rank FROM observations ORDER BY 1") == [
        ("GaN", 3.5, 1.0),
        ("Si", 1.1, None),
    ]


def test_what_was_can_still_be_asked(older):
    lake = older(*COLUMNS_GONE)
    before = lake.snapshot()
    lake.init()
    with lake.reader(before) as con:
        assert con.execute("SELECT count(*) FROM observations").fetchone() == (2,)
        assert "rank" not in con.execute("FROM observations").to_arrow_table().column_names


def test_columns_of_ones_own_are_left_alone(older):
    lake = older("ALTER TABLE materials ADD COLUMN mine VARCHAR", "CREATE TABLE notes (note VARCHAR)")
    before = lake.snapshot()
    lake.init()
    assert lake.snapshot() == before
