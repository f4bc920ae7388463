"""Releases: a name is never moved, a moment is found by number, name or time, and a comparison counts what differs."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.feature_store import FeatureStore
from matstrata.store.lake.as_of import resolve_as_of
from matstrata.store.lake.extensions import extension_file
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep import releases
from matstrata.store.upkeep.release_diff import diff


def test_a_release_is_the_newest_snapshot_or_the_one_given(lake, put):
    first = put("lab", [("1", "GaN", 3.4)]).snapshot
    put("lab", [("1", "GaN", 3.5)])
    newest = releases.create(lake, "new", note="for the paper")
    assert (newest.snapshot, newest.created) == (first + 1, True)
    assert releases.create(lake, "old", snapshot=first).snapshot == first
    assert [(each.name, each.note) for each in releases.releases(lake)] == [("old", None), ("new", "for the paper")]


def test_the_same_again_changes_nothing(lake, put):
    put("lab", [("1", "GaN", 3.4)])
    made = releases.create(lake, "v1")
    before = lake.snapshot()
    again = releases.create(lake, "v1")
    assert (again.snapshot, again.created, lake.snapshot()) == (made.snapshot, False, before)
    assert releases.create(lake, "v1", snapshot=made.snapshot).snapshot == made.snapshot


def test_a_name_is_never_moved(lake, put):
    put("lab", [("1", "GaN", 3.4)])
    made = releases.create(lake, "v1")
    put("lab", [("1", "GaN", 3.5)])
    with pytest.raises(InputError, match=f"release v1 exists, of snapshot {made.snapshot}"):
        releases.create(lake, "v1")
    with pytest.raises(InputError, match="never moved"):
        releases.create(lake, "v1", snapshot=made.snapshot - 1)
    assert releases.get_release(lake, "v1").snapshot == made.snapshot


@pytest.mark.parametrize("name", ["", "1", "2026-11-23", "a b", "a'b", "../x", "x" * 65, "é"])
def test_names_that_could_be_mistaken_are_refused(lake, name):
    with pytest.raises(InputError, match="can't name a release"):
        releases.create(lake, name)


def test_no_such_snapshot(lake):
    with pytest.raises(InputError, match="no snapshot 99"):
        releases.create(lake, "v1", snapshot=99)
    assert releases.releases(lake) == []


def test_a_moment_is_a_number_a_name_or_a_time(lake, put):
    before = put("lab", [("1", "GaN", 3.4)]).snapshot
    releases.create(lake, "v1")
    then = datetime.now(UTC)
    after = put("lab", [("1", "GaN", 3.5)]).snapshot
    assert resolve_as_of(lake, str(before)) == before
    assert resolve_as_of(lake, "v1") == before
    assert resolve_as_of(lake, then.isoformat()) == resolve_as_of(lake, then) == before + 1
    assert resolve_as_of(lake, then.replace(tzinfo=None).isoformat()) == before + 1
    assert resolve_as_of(lake, "2999-01-01") == after
    with pytest.raises(InputError, match="the store begins at"):
        resolve_as_of(lake, "1999-01-01")
    with pytest.raises(InputError, match=r"'v2' is not a release \(there are: v1\)"):
        resolve_as_of(lake, "v2")
    with FeatureStore.open(lake.root, as_of="v1") as store:
        assert store.snapshot == before
        assert store.observations(source="lab")["value"].to_pylist() == [3.4]


def test_any_client_sees_the_release_by_the_line_that_is_printed(lake, put):
    put("lab", [("1", "GaN", 3.4)])
    snapshot = releases.create(lake, "v1").snapshot
    put("lab", [("1", "GaN", 3.5), ("2", "Si", 1.1)])
    client = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("sqlite_scanner", "ducklake"):
        client.execute(f"LOAD '{extension_file(name)}'")
    client.execute(releases.attach_statement(lake, snapshot))
    assert client.execute("SELECT value FROM observations").fetchall() == [(3.4,)]
    assert client.execute("SELECT value FROM labels").fetchall() == [(3.4,)]
    with pytest.raises(duckdb.Error, match="read-only"):
        client.execute("DELETE FROM observations")
    client.close()


class TestDiff:
    @pytest.fixture
    def two(self, lake: Lake, put) -> Lake:
        """Two releases of a store that changed between in every way."""
        put("lab", [("1", "GaN", 3.4), ("2", "Si", 1.1), ("3", "Ge", 0.7)])
        put("gone", [("1", "AlN", 6.0)])
        releases.create(lake, "a")
        put(
            "lab",
            [("1", "GaN", 3.5), ("2", "Si", 1.1, {"reference": "another"}), ("4", "InN", 0.7)],
            [("5", "formula.syntax")],
            file="b" * 64,
        )
        put("more", [(str(i), "GaN", 3.0 + i) for i in range(10)])
        with lake.commit("another table") as transaction:
            transaction.con.execute("DELETE FROM observations WHERE source = 'gone'")
            transaction.con.execute("DELETE FROM sources WHERE source = 'gone'")
            transaction.con.execute("ALTER TABLE sources ADD COLUMN mood VARCHAR")
            transaction.con.execute("CREATE TABLE features.x_v1 (material_id VARCHAR)")
        releases.create(lake, "b")
        return lake

    def test_counts_first(self, two):
        difference = diff(two, "a", "b", examples=2)
        assert {(row["source"], row["change"]) for row in difference["sources"]} == {
            ("lab", "changed"),
            ("gone", "removed"),
            ("more", "added"),
        }
        (lab,) = (row for row in difference["sources"] if row["source"] == "lab")
        assert lab["differs"] == ["file_sha256", "rows_in", "rows_rejected"]
        assert {row["source"]: tuple(row.values())[1:] for row in difference["observations"]} == {
            "gone": (0, 1, 0, 0),
            "lab": (1, 1, 1, 1),
            "more": (10, 0, 0, 0),
        }
        assert {(row["table"], row["before"], row["after"]) for row in difference["rows"]} >= {
            ("main.observations", 4, 13),
            ("main.rejections", 0, 1),
            ("features.x_v1", None, 0),
        }
        assert {(row["table"], row["column"], row["change"]) for row in difference["schema"]} == {
            ("features.x_v1", None, "table added"),
            ("main.sources", "mood", "added, VARCHAR"),
        }

    def test_then_examples_the_largest_changes_first(self, two):
        difference = diff(two, "a", "b", examples=2)["examples"]
        assert [row["change"] for row in difference].count("added") == 2
        (changed,) = (row for row in difference if row["change"] == "value changed")
        assert (changed["material_id"], changed["before"], changed["after"], changed["unit"]) == ("GaN", 3.4, 3.5, "eV")

    def test_nothing_differs_from_itself(self, two):
        difference = diff(two, "b", "b")
        assert difference.keys() >= {"rows", "sources", "observations", "schema", "features", "metrics", "examples"}
        assert not any(difference[kind] for kind in difference if kind not in ("from", "to"))

    def test_metrics_of_the_serving_models(self, lake):
        for model, error in (("m1", 0.5), ("m2", 0.4)):
            with lake.commit(model) as transaction:
                con = transaction.con
                con.execute("UPDATE models SET serving = false")
                con.execute(f"INSERT INTO models (model_id, property, serving) VALUES ('{model}', 'band_gap', true)")
                con.execute(
                    "INSERT INTO model_metrics VALUES "
                    f"('{model}', 'grouped_kfold', 'strict', 'all', 'mae', {error}), "
                    f"('{model}', 'grouped_kfold', 'strict', 'metal', 'mae', 9)"
                )
        (row,) = diff(lake, str(lake.snapshot() - 1), str(lake.snapshot()))["metrics"]
        assert (row["metric"], row["before"], row["after"], row["model_after"]) == ("mae", 0.5, 0.4, "m2")
