"""Labels that contradict each other are found: beyond the scatter of measurements, or the smallest of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.lake.views import CONFLICT_FACTOR
from matstrata.store.records.conflicts import conflicts
from matstrata.store.records.noise import replicate_noise

SCATTER = 0.1
REPEATED = [("r1", "Si", 1.0), ("r2", "Si", 1.0 + SCATTER * 2**0.5)]  # two values whose deviation is SCATTER


@pytest.fixture
def sources(put):
    """Give the store sources of experimental gaps; `method` and so on may be told for all of a source's rows."""

    def give(name: str, rows: Sequence[tuple[str, str, float]], **other: Any) -> None:
        kind = other.get("kind", "experiment")
        put(
            name,
            [(*row, {"method": "optics", **other}) for row in rows],
            kind=kind,
            method=other.get("method", "optics"),
        )

    return give


def pairs(rows: Sequence[dict[str, Any]]) -> list[tuple]:
    return [(row["material_id"], row["source_a"], row["source_b"], pytest.approx(row["difference"])) for row in rows]


def test_a_pair_beyond_the_noise_is_found_and_one_within_is_not(lake, sources):
    sources("a", [*REPEATED, ("r3", "GaN", 3.4), ("r4", "ZnO", 3.3)])
    sources("b", [("r1", "GaN", 3.4 + 1.9 * SCATTER), ("r2", "ZnO", 3.3 - 2.1 * SCATTER)])
    threshold, rows = conflicts(lake, "band_gap", "experiment")
    assert threshold == pytest.approx(CONFLICT_FACTOR * SCATTER)
    assert pairs(rows) == [("ZnO", "a", "b", 2.1 * SCATTER)]
    (row,) = rows
    assert (row["value_a"], row["n_a"], row["n_b"], row["remark"]) == (3.3, 1, 1, "")


def test_the_worst_comes_first(lake, sources):
    sources("a", [*REPEATED, ("r3", "GaN", 3.4), ("r4", "ZnO", 3.3), ("r5", "InP", 1.3)])
    sources("b", [("r1", "GaN", 4.4), ("r2", "ZnO", 5.3), ("r3", "InP", 2.8)])
    assert [row["material_id"] for row in conflicts(lake, "band_gap", "experiment")[1]] == ["ZnO", "InP", "GaN"]


def test_three_sources_make_three_pairs(lake, sources):
    for number, name in enumerate("abc"):
        sources(name, [("r1", "GaN", 1.0 + number)])
    contradicting = pairs(conflicts(lake, "band_gap", "experiment")[1])
    assert sorted(pair[1:3] for pair in contradicting) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_where_nothing_was_measured_twice_any_difference_counts(lake, sources):
    sources("a", [("r1", "GaN", 3.4), ("r2", "ZnO", 3.3)])
    sources("b", [("r1", "GaN", 3.4001), ("r2", "ZnO", 3.3)])
    threshold, rows = conflicts(lake, "band_gap", "experiment")
    assert threshold == 0
    assert pairs(rows) == [("GaN", "a", "b", 0.0001)]


class TestTheSmallestOfReplicates:
    """A compilation that took the smallest of another's replicates is found out though it lies within the noise."""

    many = [("r1", "ZnO", 3.0), ("r2", "ZnO", 3.3), ("r3", "ZnO", 3.4)]

    @pytest.mark.parametrize(("many", "one"), [("b", "a"), ("a", "b")])
    def test_it_is_remarked_whichever_comes_first(self, lake, sources, many, one):
        sources(many, self.many)
        sources(one, [("r1", "ZnO", 3.0)])
        threshold, (row,) = conflicts(lake, "band_gap", "experiment")
        assert row["difference"] < threshold
        assert row["remark"] == f"{one} has the smallest of {many}, not that nearest to their mean"

    @pytest.mark.parametrize("value", [3.3, 3.4, 3.1])
    def test_another_choice_is_none_of_our_business(self, lake, sources, value):
        sources("a", self.many)
        sources("b", [("r1", "ZnO", value)])
        assert conflicts(lake, "band_gap", "experiment")[1] == []

    def test_the_smallest_may_be_the_nearest(self, lake, sources):
        sources("a", [("r1", "ZnO", 3.0), ("r2", "ZnO", 3.0), ("r3", "ZnO", 3.4)])
        sources("b", [("r1", "ZnO", 3.0)])
        assert conflicts(lake, "band_gap", "experiment")[1] == []


class TestKinds:
    def test_they_are_never_compared_with_each_other(self, lake, sources):
        sources("a", [("r1", "GaN", 3.4)])
        sources("b", [("r1", "GaN", 1.7)], kind="computation", method="PBE")
        assert conflicts(lake, "band_gap", "experiment")[1] == []
        assert conflicts(lake, "band_gap", "computation")[1] == []

    def test_computations_are_compared_with_each_other(self, lake, sources):
        sources("a", [("r1", "GaN", 9.0)])
        sources("b", [("r1", "GaN", 1.7)], kind="computation", method="PBE")
        sources("c", [("r1", "GaN", 3.2)], kind="computation", method="HSE")
        ((row,), (none, empty)) = (
            conflicts(lake, "band_gap", "computation")[1],
            conflicts(lake, "band_gap", "experiment"),
        )
        assert (row["method_a"], row["method_b"]) == ("PBE", "HSE")
        assert (none, empty) == (0, [])

    def test_the_scatter_of_computations_is_no_noise(self, lake, sources):
        sources("a", REPEATED, kind="computation", method="PBE")
        sources("b", [("r1", "Si", 1.1)], kind="computation", method="HSE")
        assert conflicts(lake, "band_gap", "computation")[0] == 0


def test_other_properties_are_left_out(lake, sources):
    sources("a", [("r1", "GaN", 3.4)])
    sources("b", [("r1", "GaN", 2.4)], property="refractive_index")
    assert conflicts(lake, "band_gap", "experiment")[1] == []


@pytest.mark.parametrize(
    ("property", "kind", "sentence"),
    [
        ("bandgap", "experiment", "band_gap"),
        ("band_gap", "computation", "no computation of band_gap"),
        ("refractive_index", "experiment", "no experiment of refractive_index"),
    ],
)
def test_what_is_not_there_is_said(lake, sources, property, kind, sentence):
    sources("a", [("r1", "GaN", 3.4)])
    with pytest.raises(InputError, match=sentence):
        conflicts(lake, property, kind)


def test_the_noise_of_one_method_is_that_method_s_own(lake, put):
    """A source may be named with its method, as the target of an ensemble is."""
    rows = [("r1", "Si", 1.0), ("r2", "Si", 1.2), ("r3", "Ge", 0.6), ("r4", "Ge", 0.8), ("r5", "Ge", 0.7)]
    calm = [("r6", "Si", 1.0), ("r7", "Si", 1.02)]
    by_method = [(*row, {"method": "optics"}) for row in rows] + [(*row, {"method": "transport"}) for row in calm]
    put("a", by_method, kind="experiment", method="optics")
    assert replicate_noise(lake, "a:transport", "band_gap") == pytest.approx(0.02 / 2**0.5)
    assert replicate_noise(lake, "a:optics", "band_gap") == pytest.approx((0.04 / 3) ** 0.5)
    assert replicate_noise(lake, "a", "band_gap") == replicate_noise(lake, "a:optics", "band_gap")
    assert replicate_noise(lake, "a:ellipsometry", "band_gap") is None
