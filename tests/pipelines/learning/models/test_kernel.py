"""The kernel says what its peer says, finds out what matters, and judges itself as fitting again would."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from matstrata.pipelines.learning.models import kernel
from matstrata.pipelines.learning.models.kernel import Reach, find_reach, fit_kernel
from matstrata.pipelines.learning.samples import Samples

FOLDS = np.arange(120) % 5


@pytest.fixture
def values(measured: Samples) -> np.ndarray:
    return measured.values[:, 0]


def test_one_block_is_a_gaussian_process_with_a_matern_kernel(measured: Samples, values: np.ndarray) -> None:
    fitted = fit_kernel(measured.features, values, Reach((5,), np.array([0.7]), 0.05))
    scaled = (measured.features - measured.features.mean(axis=0)) / measured.features.std(axis=0)
    peer = GaussianProcessRegressor(Matern(np.sqrt(5) / 0.7, nu=0.5), alpha=0.05, optimizer=None)
    peer.fit(scaled, values - values.mean())
    others = measured.features[:40] + 0.3
    peer_says = peer.predict((others - measured.features.mean(axis=0)) / measured.features.std(axis=0)) + values.mean()
    np.testing.assert_allclose(fitted.predict(others), peer_says, rtol=1e-7)


def test_a_wide_block_has_no_more_say(measured: Samples, values: np.ndarray) -> None:
    """Doubling the columns of one feature set changes nothing, be it wide or constant."""
    rates = np.array([0.3, 0.4])
    plain = fit_kernel(measured.features, values, Reach((2, 3), rates, 0.01)).predict(measured.features)
    doubled = np.hstack([measured.features[:, :2], measured.features])
    np.testing.assert_allclose(fit_kernel(doubled, values, Reach((4, 3), rates, 0.01)).predict(doubled), plain)
    constant = np.hstack([np.ones((120, 2)), measured.features])
    np.testing.assert_allclose(fit_kernel(constant, values, Reach((4, 3), rates, 0.01)).predict(constant), plain)


def test_what_says_nothing_is_silenced(measured: Samples, values: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(size=(120, 5))
    reach = find_reach(np.hstack([noise, measured.features]), values, (5, 5), FOLDS, 0)
    assert reach.rates[1] > 5 * reach.rates[0]
    assert kernel.NOISES[0] <= reach.noise <= kernel.NOISES[1]


def test_the_rates_are_better_than_those_that_the_search_began_with(measured: Samples, values: np.ndarray) -> None:
    inputs = np.hstack([np.random.default_rng(0).normal(size=(120, 5)), measured.features])
    first = Reach((5, 5), np.full(2, kernel.FIRST_RATE), kernel.FIRST_NOISE)

    def error(reach: Reach) -> float:
        test = FOLDS == 0
        return float(
            np.abs(fit_kernel(inputs[~test], values[~test], reach).predict(inputs[test]) - values[test]).mean()
        )

    assert error(find_reach(inputs[FOLDS != 0], values[FOLDS != 0], (5, 5), FOLDS[FOLDS != 0], 0)) < 0.9 * error(first)


def test_a_held_out_fold_is_judged_as_by_fitting_again_and_the_slope_is_right(
    measured: Samples, values: np.ndarray
) -> None:
    points = measured.features / np.sqrt(5)
    distances = np.array([kernel._distances(points[:, part], points[:, part]) for part in (slice(2), slice(2, 5))])
    folds = [np.flatnonzero(fold == FOLDS) for fold in range(5)]
    logs = np.log([0.4, 0.9, 0.05])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        return kernel._held_out_loss(distances, values, folds, np.exp(at[:-1]), float(np.exp(at[-1])))

    likeness = np.exp(-np.tensordot([0.4, 0.9], distances, axes=1))
    again = 0.0
    for fold in folds:
        others = np.setdiff1d(np.arange(120), fold)
        system = likeness[np.ix_(others, others)] + 0.05 * np.eye(len(others))
        errors = values[fold] - likeness[np.ix_(fold, others)] @ np.linalg.solve(system, values[others])
        again += kernel.ROBUST * float((np.sqrt(1 + (errors / kernel.ROBUST) ** 2) - 1).sum()) / 120
    found, slope = loss(logs)
    assert found == pytest.approx(again)
    steps = [(loss(logs + step)[0] - loss(logs - step)[0]) / 2e-5 for step in 1e-5 * np.eye(3)]
    np.testing.assert_allclose(slope, steps, rtol=1e-4)


def test_far_from_all_that_was_measured_it_says_the_mean(measured: Samples, values: np.ndarray) -> None:
    fitted = fit_kernel(measured.features, values, Reach((5,), np.array([3.0]), 0.01))
    far = fitted.predict(np.full((1, 5), 1e6))
    assert abs(far[0] - values.mean()) < 0.01 * values.std()
    assert np.isfinite(fitted.predict(np.full((2, 5), np.nan))).all()
