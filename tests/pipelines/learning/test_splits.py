"""No split may separate what belongs together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.splits import assign_folds, check_folds, split_units
from matstrata.schemas.terms import Kind, Split


def samples(groups: list[int], systems: list[int]) -> Samples:
    """Materials of given groups and systems."""
    n = len(groups)
    return Samples(
        "s",
        Kind.EXPERIMENT,
        ("gap",),
        np.array([f"H{i + 2}O" for i in range(n)]),
        np.array([f"g{g}" for g in groups]),
        np.array([f"s{s}" for s in systems]),
        np.zeros((n, 1)),
        np.zeros((n, 1)),
    )


labels = st.integers(2, 40).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 12), min_size=n, max_size=n) for _ in range(2)))
)


@settings(deadline=None)  # the first clustering imports scikit-learn
@given(labels, st.integers(2, 7), st.integers(0, 5), st.sampled_from(list(Split)))
def test_no_split_separates_a_group(given_labels, n_folds, seed, protocol):
    materials = samples(*given_labels)
    units = split_units(materials, protocol)
    if len(np.unique(units)) < 2:
        with pytest.raises(LearningError, match="nothing to hold out"):
            assign_folds(units, n_folds, seed)
        return
    folds = assign_folds(units, n_folds, seed)
    check_folds(materials.group_ids, folds)
    if protocol is Split.CHEMICAL_SYSTEM:
        check_folds(materials.chemical_systems, folds)
    assert set(folds) == set(range(min(n_folds, len(np.unique(units)))))


def test_folds_are_balanced_though_groups_are_not():
    units = np.repeat(np.arange(40), [30] * 2 + [2] * 38)
    sizes = np.bincount(assign_folds(units, 4, 0))
    assert sizes.max() - sizes.min() <= 2


def test_fewer_groups_than_folds_gives_as_many_folds_as_groups():
    assert set(assign_folds(np.array([0, 0, 1, 1, 2]), 5, 0)) == {0, 1, 2}


def test_a_group_in_two_folds_is_named():
    with pytest.raises(LeakageError, match="group GaAs is in folds 0 and 1"):
        check_folds(np.array(["GaAs", "GaN", "GaAs"]), np.array([0, 0, 1]))


def test_a_dopant_that_vanishes_from_the_group_joins_its_systems():
    """ZnO and ZnO:Al share a group; under the chemical-system protocol Al-O-Zn must not be tested on ZnO's model."""
    units = split_units(samples([0, 0, 1], [0, 1, 2]), Split.CHEMICAL_SYSTEM)
    assert units[0] == units[1] != units[2]


def test_clusters_are_left_out_whole_with_every_group(measured):
    units = split_units(measured, Split.CLUSTER)
    assert 2 <= len(np.unique(units)) <= 10
    check_folds(measured.group_ids, assign_folds(units, 5, seed=0))
    np.testing.assert_array_equal(units, split_units(measured, Split.CLUSTER))
