"""Kernel ridge regression: as scikit-learn's, with relevant blocks found, and held-out errors as by fitting again."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from matstrata.pipelines.learning.models import kernel
from matstrata.pipelines.learning.models.kernel import BlockKernel, fit_kernel_ridge, optimize_kernel
from matstrata.pipelines.learning.samples import Samples

FOLDS = np.arange(120) % 5


@pytest.fixture
def values(measured: Samples) -> np.ndarray:
    return measured.values[:, 0]


def test_one_block_is_a_gaussian_process_with_a_matern_kernel(measured: Samples, values: np.ndarray) -> None:
    fitted = fit_kernel_ridge(measured.features, values, BlockKernel((5,), np.array([0.7]), 0.05))
    scaled = (measured.features - measured.features.mean(axis=0)) / measured.features.std(axis=0)
    peer = GaussianProcessRegressor(Matern(np.sqrt(5) / 0.7, nu=0.5), alpha=0.05, optimizer=None)
    peer.fit(scaled, values - values.mean())
    new = measured.features[:40] + 0.3
    of_peer = peer.predict((new - measured.features.mean(axis=0)) / measured.features.std(axis=0)) + values.mean()
    np.testing.assert_allclose(fitted.predict(new), of_peer, rtol=1e-7)


def test_the_number_of_columns_of_a_block_does_not_matter(measured: Samples, values: np.ndarray) -> None:
    """Doubling the columns of one feature set changes nothing, be it wide or constant."""
    inverse_lengths = np.array([0.3, 0.4])
    plain = fit_kernel_ridge(measured.features, values, BlockKernel((2, 3), inverse_lengths, 0.01)).predict(
        measured.features
    )
    doubled = np.hstack([measured.features[:, :2], measured.features])
    np.testing.assert_allclose(
        fit_kernel_ridge(doubled, values, BlockKernel((4, 3), inverse_lengths, 0.01)).predict(doubled), plain
    )
    constant = np.hstack([np.ones((120, 2)), measured.features])
    np.testing.assert_allclose(
        fit_kernel_ridge(constant, values, BlockKernel((4, 3), inverse_lengths, 0.01)).predict(constant), plain
    )


def test_a_block_of_noise_gets_a_long_length_scale(measured: Samples, values: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(size=(120, 5))
    fitted = optimize_kernel(np.hstack([noise, measured.features]), values, (5, 5), FOLDS, 0)
    assert fitted.inverse_lengths[1] > 5 * fitted.inverse_lengths[0]
    assert kernel.NOISE_BOUNDS[0] <= fitted.noise <= kernel.NOISE_BOUNDS[1]


def test_the_optimized_length_scales_are_better_than_the_initial_ones(measured: Samples, values: np.ndarray) -> None:
    inputs = np.hstack([np.random.default_rng(0).normal(size=(120, 5)), measured.features])
    first = BlockKernel((5, 5), np.full(2, kernel.INITIAL_INVERSE_LENGTH), kernel.INITIAL_NOISE)

    def error(block_kernel: BlockKernel) -> float:
        test = FOLDS == 0
        return float(
            np.abs(
                fit_kernel_ridge(inputs[~test], values[~test], block_kernel).predict(inputs[test]) - values[test]
            ).mean()
        )

    assert error(optimize_kernel(inputs[FOLDS != 0], values[FOLDS != 0], (5, 5), FOLDS[FOLDS != 0], 0)) < 0.9 * error(
        first
    )


def test_held_out_errors_are_those_of_fitting_again_and_the_gradient_is_right(
    measured: Samples, values: np.ndarray
) -> None:
    points = measured.features / np.sqrt(5)
    distances = np.array([kernel._distances(points[:, part], points[:, part]) for part in (slice(2), slice(2, 5))])
    folds = [np.flatnonzero(fold == FOLDS) for fold in range(5)]
    logs = np.log([0.4, 0.9, 0.05])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        return kernel._held_out_loss(distances, values, folds, np.exp(at[:-1]), float(np.exp(at[-1])))

    matrix = np.exp(-np.tensordot([0.4, 0.9], distances, axes=1))
    again = 0.0
    for fold in folds:
        train = np.setdiff1d(np.arange(120), fold)
        system = matrix[np.ix_(train, train)] + 0.05 * np.eye(len(train))
        errors = values[fold] - matrix[np.ix_(fold, train)] @ np.linalg.solve(system, values[train])
        again += kernel.HUBER_DELTA * float((np.sqrt(1 + (errors / kernel.HUBER_DELTA) ** 2) - 1).sum()) / 120
    held_out, gradient = loss(logs)
    assert held_out == pytest.approx(again)
    steps = [(loss(logs + step)[0] - loss(logs - step)[0]) / 2e-5 for step in 1e-5 * np.eye(3)]
    np.testing.assert_allclose(gradient, steps, rtol=1e-4)


def test_far_from_all_measured_materials_the_mean_is_predicted(measured: Samples, values: np.ndarray) -> None:
    fitted = fit_kernel_ridge(measured.features, values, BlockKernel((5,), np.array([3.0]), 0.01))
    far = fitted.predict(np.full((1, 5), 1e6))
    assert abs(far[0] - values.mean()) < 0.01 * values.std()
    assert np.isfinite(fitted.predict(np.full((2, 5), np.nan))).all()
