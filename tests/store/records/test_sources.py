"""A refresh writes the difference: the change feed says what the source changed, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matstrata.store.records.checks import conservation
from matstrata.store.records.sources import content_version, ingested, rejected


def ask(lake, question, source):
    with lake.reader() as con:
        return question(con, source)


OLD, NEW = "a" * 64, "b" * 64
ROWS = [("r1", "GaN", 3.4), ("r2", "Si", 1.1), ("r3", "ZnO", 3.3)]


def feed(lake, table, first, last, columns):
    with lake.reader() as con:
        return con.execute(
            f"SELECT change_type, {columns} FROM lake.table_changes('{table}', ?, ?) ORDER BY ALL", [first, last]
        ).fetchall()


def rows(lake, columns, table="observations"):
    with lake.reader() as con:
        return con.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()


def test_first_time_all_is_inserted(lake, put):
    done = put("lab", ROWS, [("r4", "value.missing")])
    assert (done.inserted, done.updated, done.deleted, done.rejections, done.changed) == (3, 0, 0, 1, True)
    assert rows(lake, "source_record, material_id, value") == ROWS
    assert rows(lake, "source_record, rule_id", "rejections") == [("r4", "value.missing")]


def test_the_difference_is_inserted_updated_and_deleted(lake, put):
    put("lab", ROWS, file=OLD)
    done = put("lab", [ROWS[0], ("r2", "Si", 1.12), ("r5", "InN", 0.7)], file=NEW)
    assert (done.inserted, done.updated, done.deleted) == (1, 1, 1)
    assert feed(lake, "observations", done.snapshot, done.snapshot, "source_record, value") == [
        ("delete", "r3", 3.3),
        ("insert", "r5", 0.7),
        ("update_postimage", "r2", 1.12),
        ("update_preimage", "r2", 1.1),
    ]


def test_what_did_not_change_keeps_the_file_in_which_it_was_first_read(lake, put):
    put("lab", ROWS, file=OLD)
    put("lab", [ROWS[0], ("r2", "Si", 1.12), ROWS[2]], file=NEW)
    assert rows(lake, "source_record, file_sha256") == [("r1", OLD), ("r2", NEW), ("r3", OLD)]


def test_the_same_content_touches_no_observation(lake, put):
    before = ask(lake, content_version, "lab"), put("lab", ROWS, [("r4", "value.missing")], file=OLD)
    version = ask(lake, content_version, "lab")
    done = put("lab", ROWS, [("r4", "value.missing")], file=NEW)
    assert before[0] != version
    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)
    assert feed(lake, "observations", done.snapshot, done.snapshot, "source_record") == []
    assert feed(lake, "rejections", done.snapshot, done.snapshot, "source_record") == []
    assert ask(lake, content_version, "lab") == version


RECORDS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sampled_from(["GaN", "Si"]), st.sampled_from([0.5, 1.0]), st.integers(1, 3)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(RECORDS, min_size=2, max_size=2))
def test_any_state_follows_any_other_by_its_difference(lake, put, states):
    """Records keep their key, change what they say, and move in the file."""
    put("lab", [])
    before: dict = {}
    for after in states:
        done = put("lab", [(f"row {at}", f, v, {"key": key}) for key, (f, v, at) in after.items()])
        assert rows(lake, "source_record, material_id, value") == sorted(
            (f"row {n}", f, v) for f, v, n in after.values()
        )
        updated = [key for key in before.keys() & after.keys() if before[key][:2] != after[key][:2]]
        new, gone = after.keys() - before.keys(), before.keys() - after.keys()
        assert (done.inserted, done.updated, done.deleted) == (len(new), len(updated), len(gone))
        before = after


def test_rejections_are_listed_in_the_order_of_the_records(lake, put):
    put("lab", [], [(name, "value.missing") for name in ("b row 2", "row 10", "row 9", "b row 11")])
    listed = [row["source_record"] for row in rejected(lake, "lab")]
    assert listed == ["b row 2", "b row 11", "row 9", "row 10"]


def test_rejections_differ_likewise(lake, put):
    put("lab", ROWS, [("r4", "value.missing"), ("r5", "formula.syntax")], file=OLD)
    done = put("lab", ROWS, [("r5", "formula.syntax"), ("r6", "value.missing")], file=NEW)
    assert feed(lake, "rejections", done.snapshot, done.snapshot, "source_record") == [
        ("delete", "r4"),
        ("insert", "r6"),
    ]
    assert rows(lake, "source_record, file_sha256", "rejections") == [("r5", OLD), ("r6", NEW)]


def test_a_mended_record_moves_from_the_rejections_to_the_observations(lake, put):
    put("lab", ROWS[:2], [("r3", "value.missing")])
    put("lab", ROWS)
    assert rows(lake, "source_record") == [("r1",), ("r2",), ("r3",)]
    assert rows(lake, "*", "rejections") == []
    assert ask(lake, conservation, "lab").holds


def test_other_sources_are_left_alone(lake, put):
    put("lab", ROWS)
    put("other", [("r1", "GaN", 3.0)], [("r9", "value.missing")])
    put("lab", [])
    assert rows(lake, "source, material_id") == [("other", "GaN")]
    assert rows(lake, "source", "rejections") == [("other",)]
    assert rows(lake, "source", "sources") == [("lab",), ("other",)]


def test_a_row_inserted_at_the_top_moves_the_others_without_changing_them(lake, put):
    """Positions follow the newest file, so that every record of it is found once; contents stay untouched."""
    put("lab", [("row 1", "GaN", 3.4, {"key": "a"}), ("row 2", "Si", 1.1, {"key": "b"})], file=OLD)
    version = ask(lake, content_version, "lab")
    moved = [("row 2", "GaN", 3.4, {"key": "a"}), ("row 3", "Si", 1.1, {"key": "b"})]
    done = put("lab", moved, [("row 1", "value.missing")], file=NEW)
    assert rows(lake, "source_record, material_id, file_sha256") == [("row 2", "GaN", OLD), ("row 3", "Si", OLD)]
    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)
    assert ask(lake, content_version, "lab") == version
    assert ask(lake, conservation, "lab").holds


def test_one_property_of_a_record_changes(lake, put):
    gap, index = {"property": "band_gap"}, {"property": "refractive_index"}
    put("lab", [("r1", "GaN", 3.4, gap), ("r1", "GaN", 2.3, index)], file=OLD)
    done = put("lab", [("r1", "GaN", 3.4, gap), ("r1", "GaN", 2.4, index)], file=NEW)
    assert (done.inserted, done.updated, done.deleted) == (0, 1, 0)
    assert rows(lake, "property, value, file_sha256") == [("band_gap", 3.4, OLD), ("refractive_index", 2.4, NEW)]
    assert ask(lake, conservation, "lab").holds


def test_the_snapshot_says_what_was_refreshed(lake, put):
    done = put("lab", ROWS, [("r4", "value.missing")], file=NEW)
    with lake.reader() as con:
        message, facts = con.execute(
            "SELECT commit_message, commit_extra_info FROM lake.snapshots() WHERE snapshot_id = ?", [done.snapshot]
        ).fetchone()
    facts = json.loads(facts)
    assert message == "refresh source lab"
    assert facts["file_sha256"] == NEW
    assert [facts[name] for name in ("inserted", "updated", "deleted", "rejected")] == [3, 0, 0, 1]


def test_the_ingested_row(lake, put):
    assert ask(lake, ingested, "lab") == {}
    put("lab", ROWS, [("r4", "value.missing")], policy="mean")
    row = ask(lake, ingested, "lab")["lab"]
    assert (row["policy"], row["rows_in"], row["rows_accepted"], row["rows_rejected"]) == ("mean", 4, 3, 1)


@pytest.mark.parametrize(
    ("change", "same"),
    [((), True), ((("r1", "GaN", 3.5),), False), ((("r9", "GaN", 3.4),), False)],
    ids=["nothing", "value", "record"],
)
def test_the_content_version_follows_the_content(lake, put, change, same):
    put("lab", ROWS)
    before = ask(lake, content_version, "lab")
    put("lab", [*change, *ROWS[len(change) :]], file=NEW)
    assert (ask(lake, content_version, "lab") == before) is same


def test_the_content_version_does_not_follow_the_order(lake, put):
    put("lab", ROWS)
    put("other", ROWS)
    before = ask(lake, content_version, "lab")
    put("lab", [])
    put("lab", ROWS[::-1])
    assert ask(lake, content_version, "lab") == before != ask(lake, content_version, "other")
