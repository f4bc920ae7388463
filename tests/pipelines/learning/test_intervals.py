"""Intervals that hold, and a domain that means something."""

import numpy as np

from pipelines.learning.domain import fit_domain
from pipelines.learning.intervals import NEIGHBOURS, calibrate
from pipelines.learning.neighbours import fit_neighbourhood


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
        calibration = calibrate(errors[old], np.zeros(200), nearest, agreed)
        half_width = calibration.quantile * calibration.difficulty(place.nearest(features[new], NEIGHBOURS)[0], agreed)
        inside.append((np.abs(errors[new]) <= half_width).mean())
        hard = features[new][:, 0] > 1
        assert half_width[hard].mean() > 1.5 * half_width[~hard].mean()
    assert 0.88 < np.mean(inside) < 0.92


def test_too_few_materials_promise_nothing():
    calibration = calibrate(np.ones(9), np.zeros(9), np.zeros((9, 1), dtype=np.intp), np.zeros(9))
    assert calibration.quantile == np.inf


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
