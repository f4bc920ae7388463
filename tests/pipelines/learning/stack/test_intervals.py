"""Intervals with their nominal coverage, and the applicability domain."""

import numpy as np
import pytest

from matstrata.pipelines.learning.neighbors import fit_neighborhood
from matstrata.pipelines.learning.stack.difficulty import DIFFICULTY_NEIGHBORS, fit_difficulty
from matstrata.pipelines.learning.stack.domain import fit_domain
from matstrata.pipelines.learning.stack.intervals import calibrate


def test_nine_in_ten_exchangeable_materials_are_covered():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(20):
        features = rng.normal(size=(400, 3))
        errors = rng.normal(size=400) * np.exp(features[:, 0])
        train, test = slice(0, 200), slice(200, 400)
        neighborhood = fit_neighborhood(features[train])
        nearest, _ = neighborhood.nearest_outside(np.arange(200), DIFFICULTY_NEIGHBORS)
        no_disagreement = np.zeros(200)
        calibration = calibrate(errors[train], np.zeros(200), np.ones(200), nearest, no_disagreement, hurdle=False)
        expected = calibration.difficulty.of(
            neighborhood.nearest(features[test], DIFFICULTY_NEIGHBORS)[0], no_disagreement
        )
        lower, upper = calibration.interval(np.zeros(200), np.ones(200), expected)
        half_width = (upper - lower) / 2
        inside.append(((lower <= errors[test]) & (errors[test] <= upper)).mean())
        hard = features[test][:, 0] > 1
        assert half_width[hard].mean() > 1.5 * half_width[~hard].mean()
    assert 0.88 < np.mean(inside) < 0.92


def test_too_few_materials_give_infinite_intervals():
    nearest = np.zeros((9, 1), dtype=np.intp)
    calibration = calibrate(np.ones(9), np.zeros(9), np.ones(9), nearest, np.zeros(9), hurdle=False)
    assert calibration.quantile == np.inf


def test_nine_in_ten_metals_and_nine_in_ten_non_metals_are_covered():
    """Gaps of 0 with a chance that is right on average, the others with errors that grow with the first descriptor."""
    rng = np.random.default_rng(5)
    covered = {True: [], False: []}
    for _ in range(10):
        features = rng.normal(size=(1200, 2))
        chances = rng.beta(0.4, 0.6, size=1200)
        sizes = 1 + np.exp(features[:, 0])
        values = np.where(rng.random(1200) < chances, sizes + 0.3 * sizes * rng.normal(size=1200), 0.0).clip(0)
        train, test = slice(0, 600), slice(600, 1200)
        neighborhood = fit_neighborhood(features[train])
        nearest, _ = neighborhood.nearest_outside(np.arange(600), DIFFICULTY_NEIGHBORS)
        no_disagreement = np.zeros(600)
        calibration = calibrate(values[train], sizes[train], chances[train], nearest, no_disagreement, hurdle=True)
        expected = calibration.difficulty.of(
            neighborhood.nearest(features[test], DIFFICULTY_NEIGHBORS)[0], no_disagreement
        )
        lower, upper = calibration.interval(sizes[test], chances[test], expected)
        inside = (lower <= values[test]) & (values[test] <= upper)
        for metal, shares in covered.items():
            shares.append(inside[(values[test] == 0) == metal].mean())
    assert 0.87 < np.mean(covered[True]) < 0.95
    assert 0.86 < np.mean(covered[False]) < 0.93


def test_models_of_all_materials_have_narrower_intervals_than_those_of_a_part():
    rng = np.random.default_rng(6)
    neighborhood = fit_neighborhood(rng.normal(size=(200, 3)))
    nearest, _ = neighborhood.nearest_outside(np.arange(200), DIFFICULTY_NEIGHBORS)
    values, zeros = rng.normal(size=200), np.zeros(200)
    whole, part = (
        calibrate(values, zeros, np.ones(200), nearest, zeros, hurdle=False, trained_share=share)
        for share in (1.0, 0.75)
    )
    assert part.quantile == pytest.approx(whole.quantile * 0.75**0.25)


def test_an_expected_error_ignores_neighbors_that_do_not_count():
    difficulty = fit_difficulty(np.array([1.0, np.nan, 3.0]))
    nearest = np.array([[0, 1], [1, 1], [0, 2]])
    np.testing.assert_allclose(difficulty.of(nearest, np.zeros(3)), np.array([1.0, 2.0, 2.0]) + 0.5)


def test_neighbors_of_a_training_material_are_outside_its_unit():
    features = np.array([[0.0], [0.0], [1.0], [1.1]])
    nearest, distances = fit_neighborhood(features).nearest_outside(np.array([0, 0, 1, 2]), 2)
    assert set(nearest[0]) == {2, 3}
    assert (distances[0] > 0).all()


def test_constant_and_undefined_descriptors_are_ignored():
    features = np.array([[0.0, 5.0, np.nan], [1.0, 5.0, np.nan], [2.0, 5.0, np.nan]])
    nearest, distances = fit_neighborhood(features).nearest(features, 1)
    assert nearest[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(distances, 0)


def test_far_hard_or_made_of_unknown_elements_is_outside():
    near = np.tile(np.linspace(0.1, 1, 100)[:, None], 5)
    easy = np.linspace(0, 1, 100)
    domain = fit_domain(near, easy, np.array(["GaN"] * 100))
    ids = np.array(["GaN", "GaN", "GaN", "GaAs"])
    distances = np.array([0.5, 3.0, 0.5, 0.5])[:, None].repeat(5, axis=1)
    inside = domain.contains(distances, np.array([0.2, 0.2, 3.0, 0.2]), ids)
    assert inside.tolist() == [True, False, False, False]
