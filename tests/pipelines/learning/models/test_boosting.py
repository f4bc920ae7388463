"""Boosted trees: inputs may be missing, and the prediction of a material depends on that material alone."""

import numpy as np
import pytest

from matstrata.pipelines.learning.models.boosting import Boosted, Size, fit_boosted

SMALL = Size(trees=60, depth=4, learning_rate=0.2)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(400, 6))
    columns[rng.random(columns.shape) < 0.1] = np.nan
    return columns


@pytest.fixture(scope="module")
def values(inputs):
    return np.nan_to_num(inputs[:, 0]) ** 2 + 2 * (np.nan_to_num(inputs[:, 1]) > 0)


def test_numbers_are_learned_with_gaps_in_the_inputs(inputs, values):
    unseen = fit_boosted(inputs[:300], values[:300], SMALL, 0).predict(inputs[300:])
    assert np.abs(unseen - values[300:]).mean() < 0.4 * np.abs(values - values.mean()).mean()


def test_chances_are_learned_from_booleans(inputs, values):
    high = values > 1.5
    chance = fit_boosted(inputs[:300], high[:300], SMALL, 0).predict(inputs[300:])
    assert chance.min() >= 0
    assert chance.max() <= 1
    assert ((chance > 0.5) == high[300:]).mean() > 0.85


@pytest.mark.parametrize("everything", [True, False])
def test_a_single_class_is_predicted_for_all(inputs, everything):
    chance = fit_boosted(inputs, np.full(len(inputs), everything), SMALL, 0).predict(inputs)
    assert (np.abs(chance - everything) < 0.02).all()


def test_the_same_seed_gives_the_same_trees(inputs, values):
    first, second = (fit_boosted(inputs, values, SMALL, 7).predict(inputs) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_prediction_is_the_same_alone_and_among_others(inputs, values):
    model = fit_boosted(inputs, values, SMALL, 0)
    np.testing.assert_array_equal(model.predict(inputs)[:1], model.predict(inputs[:1]))


def test_the_serialized_trees_predict_the_same(inputs, values):
    model = fit_boosted(inputs, values, SMALL, 0)
    np.testing.assert_array_equal(Boosted(model.content.copy()).predict(inputs), model.predict(inputs))
