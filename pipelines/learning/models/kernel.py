"""Kernel ridge regression with one length scale for each block of inputs, optimized on held-out folds.

Inputs come in blocks: the columns of one feature set, the helpers' predictions, the hidden layers of a network. With
z the standardized columns, d_b the number of columns of block b that vary, and r_b the block's inverse length scale,

    k(x, x') = exp(-sum_b r_b ||z_b - z'_b|| / sqrt(d_b)),

a product of exponential (Matérn 1/2) kernels, one for each block (Rasmussen & Williams 2006, chapter 4). The division
by sqrt(d_b) lets 13 columns weigh as much as 132. With K the kernel matrix of the n training materials, y their values,
m the mean of y, and s the noise (a variance, as a share of that of the values), the prediction is

    f(x) = m + sum_i k(x, x_i) a_i,    a = (K + s I)^-1 (y - m).

r_b (1 / standard deviation) and s are those that predict held-out folds best (`optimize_kernel`). Not here: what the
blocks are (`stack.inputs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.splits import assign_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

INITIAL_INVERSE_LENGTH, INITIAL_NOISE = 0.1, 0.01  # where the search begins
INVERSE_LENGTH_BOUNDS, NOISE_BOUNDS = (1e-3, 3.0), (1e-3, 1.0)
KERNEL_REGULARIZATION = 3e-5  # towards the initial values, so that with few materials no block is turned off by chance
HUBER_DELTA = 0.3  # standard deviations of the values, beyond which an error counts linearly instead of squared
MAX_OPTIMIZATION_ROWS = 1000  # more change the length scales little, and the time grows with the cube
MAX_ITERATIONS = 25
RELATIVE_TOLERANCE = 1e-5  # share of the loss by which an iteration must lower it
OPTIMIZATION_FOLDS = 5
MAX_KERNEL_DEVIATIONS = 8.0  # standard deviations at which inputs are clipped
ROUNDING_SQUARE = 1e-12  # square of a distance below which it is rounding
KERNEL_BATCH_ROWS = 2000  # rows, so that a large request keeps memory small


@dataclass(frozen=True, slots=True)
class BlockKernel:
    """The kernel with its parameters.

    Attributes:
        widths: Numbers of columns of the b blocks, in order.
        inverse_lengths: (b,) inverse length scale of each block.
        noise: Variance of a measurement, as a share of that of the values.
    """

    widths: tuple[int, ...]
    inverse_lengths: Floats
    noise: float

    def matrix(self, a: Floats, b: Floats) -> Floats:
        """Evaluate the kernel between (m, d) and (n, d) standardized inputs: (m, n)."""
        distance = np.zeros((len(a), len(b)))
        for block, inverse_length in zip(_blocks(self.widths), self.inverse_lengths, strict=True):
            distance += inverse_length * _distances(a[:, block], b[:, block])
        return np.exp(-distance)


@dataclass(frozen=True, slots=True)
class BlockScaler:
    """Imputation and standardization of the inputs, fitted on training materials.

    Attributes:
        median: (d,) of each column, in place of what is missing.
        mean: (d,) of each column.
        deviation: (d,) standard deviation of each; infinite where all values are equal.
    """

    median: Floats
    mean: Floats
    deviation: Floats

    def transform(self, inputs: Floats, widths: Sequence[int]) -> Floats:
        """Standardize (m, d) inputs, and divide each block by the root of its number of columns that vary."""
        imputed = np.where(np.isfinite(inputs), inputs, self.median)
        scaled = ((imputed - self.mean) / self.deviation).clip(-MAX_KERNEL_DEVIATIONS, MAX_KERNEL_DEVIATIONS)
        for block in _blocks(widths):
            scaled[:, block] /= np.sqrt(max(1, np.isfinite(self.deviation[block]).sum()))
        return scaled


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """A fitted kernel ridge regression.

    Attributes:
        scaler: Standardizes inputs.
        kernel: The kernel.
        points: (n, d) standardized inputs of the training materials.
        coefficients: (n,) the a_i of the module's equation.
        mean: Of the training values: the prediction far from all of them.
    """

    scaler: BlockScaler
    kernel: BlockKernel
    points: Floats
    coefficients: Floats
    mean: float

    def predict(self, inputs: Floats) -> Floats:
        """Predict (m,) values from (m, d) inputs, NaN where unknown."""
        starts = range(0, max(len(inputs), 1), KERNEL_BATCH_ROWS)
        batches = [
            self.scaler.transform(inputs[start : start + KERNEL_BATCH_ROWS], self.kernel.widths) for start in starts
        ]
        return np.concatenate([self.kernel.matrix(b, self.points) @ self.coefficients for b in batches]) + self.mean


def fit_kernel_ridge(inputs: Floats, values: Floats, kernel: BlockKernel) -> KernelRidge:
    """Fit on (n, d) inputs, NaN where unknown, and (n,) values."""
    scaler = _fit_scaler(inputs)
    points = scaler.transform(inputs, kernel.widths)
    system = kernel.matrix(points, points)
    system[np.diag_indices_from(system)] += kernel.noise
    mean = float(values.mean())
    coefficients = np.linalg.solve(system, values - mean).astype(np.float64)
    return KernelRidge(scaler, kernel, points, coefficients, mean)


def optimize_kernel(
    inputs: Floats, values: Floats, widths: Sequence[int], folds: NDArray[np.intp], seed: int
) -> BlockKernel:
    """Choose the inverse length scales and the noise by which held-out folds are predicted best.

    With e_i the out-of-fold error of material i in standard deviations of the values, and t the parameters, minimizes

        (d / n) sum_i (sqrt(1 + (e_i / d)^2) - 1) + c sum_j (ln t_j - ln t_j0)^2

    by L-BFGS-B over the ln t_j, with d = `HUBER_DELTA`, c = `KERNEL_REGULARIZATION` and t_j0 the initial values.

    Args:
        inputs: (n, d) columns, NaN where unknown.
        values: (n,) measured values.
        widths: Numbers of columns of the blocks, d in all.
        folds: (n,) fold of each material, no unit in two.
        seed: Fixes which materials are used, where there are many.
    """
    from scipy.optimize import minimize  # deferred: 0.2 s

    rows = np.sort(np.random.default_rng(seed).permutation(len(values))[:MAX_OPTIMIZATION_ROWS])
    values, folds = values[rows], folds[rows]
    points = _fit_scaler(inputs[rows]).transform(inputs[rows], widths)
    distances = np.array([_distances(points[:, block], points[:, block]) for block in _blocks(widths)])
    scaled = (values - values.mean()) / (values.std() or 1.0)
    test_rows = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    start = np.log([*([INITIAL_INVERSE_LENGTH] * len(widths)), INITIAL_NOISE])

    def loss(logs: Floats) -> tuple[float, Floats]:
        error, gradient = _held_out_loss(distances, scaled, test_rows, np.exp(logs[:-1]), float(np.exp(logs[-1])))
        penalty = KERNEL_REGULARIZATION * float(((logs - start) ** 2).sum())
        return error + penalty, gradient + 2 * KERNEL_REGULARIZATION * (logs - start)

    bounds = [*([tuple(np.log(INVERSE_LENGTH_BOUNDS))] * len(widths)), tuple(np.log(NOISE_BOUNDS))]
    options = {"maxiter": MAX_ITERATIONS, "ftol": RELATIVE_TOLERANCE}
    logs = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return BlockKernel(tuple(widths), np.exp(logs[:-1]), float(np.exp(logs[-1])))


def train_kernel_ridge(
    inputs: Floats, values: Floats, widths: Sequence[int], units: NDArray[np.intp], seed: int
) -> KernelRidge:
    """Optimize the kernel by folds that keep (n,) units whole, and fit on all materials."""
    folds = assign_folds(units, OPTIMIZATION_FOLDS, seed)
    return fit_kernel_ridge(inputs, values, optimize_kernel(inputs, values, widths, folds, seed))


def _held_out_loss(
    distances: Floats, values: Floats, folds: Sequence[NDArray[np.intp]], inverse_lengths: Floats, noise: float
) -> tuple[float, Floats]:
    """Compute the mean loss over held-out folds, and its gradient along the logarithms of the parameters.

    With C = (K + s I)^-1, the errors of a held-out fold f follow without fitting again,

        e_f = (C_ff)^-1 (C y)_f

    (An, Liu & Venkatesh 2007, doi:10.1016/j.patcog.2006.12.015); the gradient is the chain rule through dC = -C dK C.

    Args:
        distances: (b, n, n) scaled distances within each block.
        values: (n,) standardized values.
        folds: Positions of the materials of each fold.
        inverse_lengths: (b,) inverse length scales.
        noise: The variance s.
    """
    from scipy.linalg import inv  # deferred: 0.2 s

    matrix = np.exp(-np.tensordot(inverse_lengths, distances, axes=1))
    system = matrix.copy()
    system[np.diag_indices_from(system)] += noise
    inverse = inv(system, assume_a="pos", overwrite_a=True, check_finite=False)
    coefficients = inverse @ values
    left, right = np.empty((2, len(values), len(folds)))  # factors of the gradient along the entries of the system
    loss = 0.0
    for column, fold in enumerate(folds):
        columns = inverse[:, fold]
        block = np.linalg.inv(columns[fold])
        errors = block @ coefficients[fold]
        length = np.sqrt(1 + (errors / HUBER_DELTA) ** 2)
        loss += HUBER_DELTA * float((length - 1).sum()) / len(values)
        left[:, column] = columns @ (block @ (errors / (HUBER_DELTA * length * len(values))))
        right[:, column] = columns @ errors - coefficients
    gradient = left @ right.T
    along_noise = noise * float(np.trace(gradient))
    gradient *= matrix
    return loss, np.array([*(-inverse_lengths * np.tensordot(distances, gradient, axes=2)), along_noise])


def _fit_scaler(inputs: Floats) -> BlockScaler:
    finite = np.isfinite(inputs)
    columns = zip(inputs.T, finite.T, strict=True)
    median = np.array([np.median(column[rows]) if rows.any() else 0.0 for column, rows in columns])
    imputed = np.where(finite, inputs, median)
    mean, deviation = imputed.mean(axis=0), imputed.std(axis=0)
    deviation[deviation <= 1e-9 * (1 + np.abs(mean))] = np.inf
    return BlockScaler(median, mean, deviation)


def _distances(a: Floats, b: Floats) -> Floats:
    """Compute Euclidean distances, (m, n)."""
    squares = a @ (-2 * b.T)
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)[None, :]
    squares[squares < ROUNDING_SQUARE] = 0.0
    return np.sqrt(squares)


def _blocks(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(widths)
    return [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
