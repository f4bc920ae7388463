"""The view `labels`: which observations become a label, and by which policy."""

from __future__ import annotations

from typing import Any

import pytest


def labels(lake, columns: str = "material_id, value") -> list[tuple]:
    with lake.reader() as con:
        return con.execute(f"SELECT {columns} FROM labels ORDER BY ALL").fetchall()


def gan(*values: tuple[float, dict[str, Any]]) -> list[tuple]:
    return [(f"r{i}", "GaN", value, {"method": "optics"} | other) for i, (value, other) in enumerate(values)]


RANKED = gan((3.4, {"rank": 2.0}), (9.9, {"rank": 1.0}), (1.1, {"rank": 3.0}))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("median", 3.4), ("mean", 4.8), ("min", 1.1), ("max", 9.9), ("lowest_energy", 9.9), ("newest", 1.1)],
)
def test_policies(lake, put, policy, expected):
    put("lab", RANKED, method="optics", policy=policy)
    ((value, n, spread, applied),) = labels(lake, "value, n_observations, spread, policy")
    assert (value, n, spread) == (pytest.approx(expected), 3, pytest.approx(8.8))
    assert applied == policy


@pytest.mark.parametrize("policy", ["lowest_energy", "newest"])
def test_without_any_rank_the_median_is_taken(lake, put, policy):
    put("lab", gan((3.4, {}), (9.9, {}), (1.1, {})), policy=policy)
    assert labels(lake) == [("GaN", 3.4)]


@pytest.mark.parametrize(("policy", "expected"), [("lowest_energy", 3.4), ("newest", 1.1)])
def test_what_has_no_rank_is_not_chosen(lake, put, policy, expected):
    put("lab", gan((9.9, {}), (3.4, {"rank": -5.0}), (1.1, {"rank": 0.0})), policy=policy)
    assert labels(lake) == [("GaN", expected)]


def test_methods_are_kept_apart(lake, put):
    put("dft", gan((1.7, {"method": "PBE"}), (1.9, {"method": "PBE"}), (3.2, {"method": "HSE"})), kind="computation")
    assert labels(lake, "method, value, n_observations") == [("HSE", 3.2, 1), ("PBE", pytest.approx(1.8), 2)]


def test_sources_and_materials_are_kept_apart(lake, put):
    put("a", [*gan((3.4, {})), ("r9", "Si", 1.1)])
    put("b", gan((3.5, {})))
    assert labels(lake, "source, material_id, value") == [("a", "GaN", 3.4), ("a", "Si", 1.1), ("b", "GaN", 3.5)]


class TestAnotherKindThanTheSources:
    """A compilation of measurements may hold computed values; without a method of their own they are no labels."""

    def test_without_a_method_of_its_own_it_is_no_label(self, lake, put):
        put("lab", gan((3.4, {}), (1.7, {"kind": "computation"})), method="optics")
        assert labels(lake, "kind, method, value") == [("experiment", "optics", 3.4)]

    def test_with_one_it_is_a_label_of_its_kind(self, lake, put):
        put("lab", gan((3.4, {}), (1.7, {"kind": "computation", "method": "PBE"})), method="optics")
        assert labels(lake, "kind, method, value") == [("computation", "PBE", 1.7), ("experiment", "optics", 3.4)]

    def test_a_measured_value_among_computed_ones_is_no_label_either(self, lake, put):
        rows = gan((1.7, {"method": "PBE"}), (3.4, {"method": "PBE", "kind": "experiment"}))
        put("dft", rows, kind="computation", method="PBE")
        assert labels(lake, "kind, method, value") == [("computation", "PBE", 1.7)]


class TestTemperatures:
    window = {"label_min_temperature_k": 280.0, "label_max_temperature_k": 320.0}
    rows = gan((3.0, {"temperature_k": 300.0}), (3.2, {"temperature_k": 320.0}), (9.0, {"temperature_k": 77.0}))

    def test_those_inside_the_window_are_preferred(self, lake, put):
        put("lab", self.rows, **self.window)
        assert labels(lake, "value, n_observations") == [(pytest.approx(3.1), 2)]

    def test_others_are_taken_where_there_are_no_better_ones(self, lake, put):
        put("lab", self.rows[2:], **self.window)
        assert labels(lake) == [("GaN", 9.0)]

    def test_one_that_is_not_stated_counts_as_inside(self, lake, put):
        put("lab", [*self.rows[2:], *gan((4.0, {}))], **self.window)
        assert labels(lake) == [("GaN", 4.0)]
