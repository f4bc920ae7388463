"""Intervals that hold, and a domain that means something."""

import numpy as np
import pytest

from matstrata.pipelines.learning.neighbors import fit_neighbourhood
from matstrata.pipelines.learning.stack.difficulty import NEIGHBOURS, fit_difficulty
from matstrata.pipelines.learning.stack.domain import fit_domain
from matstrata.pipelines.learning.stack.intervals import calibrate


def test_exchangeable_materials_fall_inside_nine_times_in_ten():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(20):
        features = rng.normal(size=(400, 3))
        errors = rng.normal(size=400) * np.exp(features[:, 0])
        old, new = slice(0, 200), slice(200, 400)
        place = fit_neighbourhood(features[old])
        nearest, _ = place.nearest_outside(np.arange(200), NEIGHBOURS)
        agreed = np.zeros(200)
        calibration = calibrate(errors[old], np.zeros(200), np.ones(200), nearest, agreed, hurdle=False)
        expected = calibration.difficulty.of(place.nearest(features[new], NEIGHBOURS)[0], agreed)
        lower, upper = calibration.interval(np.zeros(200), np.ones(200), expected)
        half_width = (upper - lower) / 2
        inside.append(((lower <= errors[new]) & (errors[new] <= upper)).mean())
        hard = features[new][:, 0] > 1
        assert half_width[hard].mean() > 1.5 * half_width[~hard].mean()
    assert 0.88 < np.mean(inside) < 0.92


def test_too_few_materials_promise_nothing():
    nobody = np.zeros((9, 1), dtype=np.intp)
    calibration = calibrate(np.ones(9), np.zeros(9), np.ones(9), nobody, np.zeros(9), hurdle=False)
    assert calibration.quantile == np.inf


def test_metals_and_non_metals_are_each_covered_nine_times_in_ten():
    """Gaps of 0 with a chance that is right on average, the others with errors that grow with the first descriptor."""
    rng = np.random.default_rng(5)
    covered = {True: [], False: []}
    for _ in range(10):
        features = rng.normal(size=(1200, 2))
        chances = rng.beta(0.4, 0.6, size=1200)
        sizes = 1 + np.exp(features[:, 0])
        values = np.where(rng.random(1200) < chances, sizes + 0.3 * sizes * rng.normal(size=1200), 0.0).clip(0)
        old, new = slice(0, 600), slice(600, 1200)
        place = fit_neighbourhood(features[old])
        nearest, _ = place.nearest_outside(np.arange(600), NEIGHBOURS)
        agreed = np.zeros(600)
        calibration = calibrate(values[old], sizes[old], chances[old], nearest, agreed, hurdle=True)
        expected = calibration.difficulty.of(place.nearest(features[new], NEIGHBOURS)[0], agreed)
        lower, upper = calibration.interval(sizes[new], chances[new], expected)
        inside = (lower <= values[new]) & (values[new] <= upper)
        for metal, found in covered.items():
            found.append(inside[(values[new] == 0) == metal].mean())
    assert 0.87 < np.mean(covered[True]) < 0.95
    assert 0.86 < np.mean(covered[False]) < 0.93


def test_models_of_all_materials_need_less_room_than_those_of_a_part():
    rng = np.random.default_rng(6)
    place = fit_neighbourhood(rng.normal(size=(200, 3)))
    nearest, _ = place.nearest_outside(np.arange(200), NEIGHBOURS)
    values, zeros = rng.normal(size=200), np.zeros(200)
    whole, part = (
        calibrate(values, zeros, np.ones(200), nearest, zeros, hurdle=False, trained=share) for share in (1.0, 0.75)
    )
    assert part.quantile == pytest.approx(whole.quantile * 0.75**0.25)


def test_an_expected_error_ignores_neighbours_that_do_not_count():
    difficulty = fit_difficulty(np.array([1.0, np.nan, 3.0]))
    nearest = np.array([[0, 1], [1, 1], [0, 2]])
    np.testing.assert_allclose(difficulty.of(nearest, np.zeros(3)), np.array([1.0, 2.0, 2.0]) + 0.5)


def test_neighbours_of_a_training_material_lie_outside_its_unit():
    features = np.array([[0.0], [0.0], [1.0], [1.1]])
    found, distances = fit_neighbourhood(features).nearest_outside(np.array([0, 0, 1, 2]), 2)
    assert set(found[0]) == {2, 3}
    assert (distances[0] > 0).all()


def test_constant_and_undefined_descriptors_count_for_nothing():
    features = np.array([[0.0, 5.0, np.nan], [1.0, 5.0, np.nan], [2.0, 5.0, np.nan]])
    found, distances = fit_neighbourhood(features).nearest(features, 1)
    assert found[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(distances, 0)


def test_far_hard_or_made_of_unknown_elements_is_outside():
    near = np.tile(np.linspace(0.1, 1, 100)[:, None], 5)
    easy = np.linspace(0, 1, 100)
    domain = fit_domain(near, easy, np.array(["GaN"] * 100))
    ids = np.array(["GaN", "GaN", "GaN", "GaAs"])
    distances = np.array([0.5, 3.0, 0.5, 0.5])[:, None].repeat(5, axis=1)
    inside = domain.contains(distances, np.array([0.2, 0.2, 3.0, 0.2]), ids)
    assert inside.tolist() == [True, False, False, False]
