"""The meta-learner: readable weights, calibrated probabilities, the gate."""

import numpy as np
import pytest

from matstrata.pipelines.learning.stack.stacking import cross_fit, fit_meta, fit_weights


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


def test_a_few_outliers_do_not_decide_the_weights(columns):
    values, held_out = columns
    values = values.copy()
    values[:6] += 30
    assert fit_weights(held_out, values)[0] > 0.85


def test_constant_values_give_weights(columns):
    assert fit_weights(np.ones((20, 3)), np.ones(20)) == pytest.approx(np.full(3, 1 / 3))


def test_a_fold_does_not_choose_its_own_weights_gate_or_calibration(columns):
    values, held_out = columns
    gaps = np.abs(values) * (values > 0)
    chances = (1 / (1 + np.exp(-4 * held_out[:, :1]))).clip(0.01, 0.99)
    folds = np.arange(300) % 3
    changed = gaps.copy()
    changed[folds == 0] = 99.0
    before, after = (cross_fit(held_out, chances, v, folds) for v in (gaps, changed))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[folds == 0], new[folds == 0])


def test_probabilities_are_calibrated_and_the_gate_is_near_the_median():
    """Probabilities that are overconfident by a factor of 3 in log-odds; size 1: the median is 0 below one half, 1 above."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.02, 0.98, size=4000)
    values = (rng.random(4000) < truth).astype(float)
    overconfident = 1 / (1 + (1 / truth - 1) ** 3)
    meta = fit_meta(np.ones((4000, 1)), overconfident[:, None], values)
    assert np.abs(meta.chance(overconfident[:, None]) - truth).mean() < 0.03
    low, high = meta.gate
    assert low < 0.55
    assert high > 0.4
    error = np.abs(meta.share(meta.chance(overconfident[:, None])) - values).mean()
    assert error < np.abs(truth - values).mean()


def test_the_share_of_zeros_predicted_as_zero_is_limited():
    """Probabilities so sharp that a gate at one half would predict 97 % of the zeros as exactly 0."""
    rng = np.random.default_rng(4)
    positive = rng.random(2000) < 0.5
    chances = np.where(positive, rng.beta(12, 2, size=2000), rng.beta(2, 9, size=2000))
    values = np.where(positive, 3.0, 0.0)
    meta = fit_meta(np.full((2000, 1), 3.0), chances[:, None], values)
    predicted_zero = meta.share(meta.chance(chances[:, None])) == 0
    assert 0.85 < predicted_zero[~positive].mean() <= 0.925


def test_without_a_hurdle_all_of_the_size_is_predicted(columns):
    values, held_out = columns
    meta = fit_meta(held_out, np.empty((300, 0)), values)
    np.testing.assert_array_equal(meta.share(meta.chance(np.empty((300, 0)))), 1)
