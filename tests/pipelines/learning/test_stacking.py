"""Weights that can be read."""

import numpy as np
import pytest

from pipelines.learning.stacking import cross_weighted, fit_weights


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    values = rng.normal(size=300)
    return values, np.column_stack([values + 0.1 * rng.normal(size=300), rng.normal(size=300)])


def test_the_better_column_gets_the_weight(columns):
    values, held_out = columns
    weights = fit_weights(held_out, values)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights[0] > 0.9


def test_equal_columns_share_their_weight(columns):
    values, held_out = columns
    weights = fit_weights(held_out[:, [0, 0]], values)
    np.testing.assert_allclose(weights, 0.5, atol=1e-6)


def test_a_few_materials_that_nothing_explains_do_not_decide(columns):
    values, held_out = columns
    values = values.copy()
    values[:6] += 30
    assert fit_weights(held_out, values)[0] > 0.85


def test_constant_values_give_weights(columns):
    assert fit_weights(np.ones((20, 3)), np.ones(20)) == pytest.approx(np.full(3, 1 / 3))


def test_a_fold_does_not_choose_its_own_weights(columns):
    values, held_out = columns
    folds = np.arange(300) % 3
    changed = values.copy()
    changed[folds == 0] = 99.0
    before, after = (cross_weighted(held_out, v, folds) for v in (values, changed))
    np.testing.assert_array_equal(before[folds == 0], after[folds == 0])
