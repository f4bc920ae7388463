"""Kernel ridge regression that finds out how far each kind of input reaches.

Inputs come in blocks: the columns of one feature set, what the helpers say, the layers of a network. Two materials are
alike as exp(-sum over blocks of rate * distance), the distance in a block being Euclidean over its standardised
columns, divided by the root of their number, so that 13 columns can weigh as much as 132. That is a product of
exponential (Matérn 1/2) kernels, one for each block (Rasmussen & Williams 2006, chapter 4). The rates are those by
which held-out folds are predicted best, which one inverse tells without fitting again (An, Liu & Venkatesh 2007,
doi:10.1016/j.patcog.2006.12.015). Not here: what the blocks are (`level1`).
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

FIRST_RATE, FIRST_NOISE = 0.1, 0.01  # where the search begins
RATES, NOISES = (1e-3, 3.0), (1e-3, 1.0)  # where it stays
PULL = 3e-5  # to where it begins, so that chance among few materials does not silence a block
ROBUST = 0.3  # standard deviations beyond which an error counts by its size, not its square
LOOKED_AT = 1000  # materials at most to find rates by: more change them little, and the time grows by the cube
STEPS = 25
SETTLED = 1e-5  # share of the loss by which a step must lower it
FOLDS = 5
FAR = 8.0  # standard deviations at which inputs are held
SAME = 1e-12  # square of a distance below which it is rounding
ROWS = 2000  # predicted at a time, so that a large request keeps memory small


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the blocks reach.

    Attributes:
        widths: Numbers of columns of the b blocks, in order.
        rates: (b,) how fast likeness falls with the distance in each block.
        noise: Variance of a measurement, as a share of that of the values.
    """

    widths: tuple[int, ...]
    rates: Floats
    noise: float

    def likeness(self, a: Floats, b: Floats) -> Floats:
        """How alike m and n materials are, (m, n), by where they lie."""
        distance = np.zeros((len(a), len(b)))
        for block, rate in zip(_blocks(self.widths), self.rates, strict=True):
            distance += rate * _distances(a[:, block], b[:, block])
        return np.exp(-distance)


@dataclass(frozen=True, slots=True)
class Places:
    """Where materials lie.

    Attributes:
        middle: (d,) median of each column, in place of what is missing.
        centre: (d,) mean of each.
        spread: (d,) standard deviation of each; infinite where all are equal.
    """

    middle: Floats
    centre: Floats
    spread: Floats

    def of(self, inputs: Floats, widths: Sequence[int]) -> Floats:
        """Standardise (m, d) inputs, so that Euclidean distances are those of the blocks."""
        scaled = ((np.where(np.isfinite(inputs), inputs, self.middle) - self.centre) / self.spread).clip(-FAR, FAR)
        for block in _blocks(widths):
            scaled[:, block] /= np.sqrt(max(1, np.isfinite(self.spread[block]).sum()))
        return scaled


@dataclass(frozen=True, slots=True)
class Kernel:
    """A fitted kernel ridge regression.

    Attributes:
        places: Where materials lie.
        reach: How far the blocks reach.
        points: (n, d) where the training materials lie.
        coefficients: (n,) what each adds.
        mean: Of the training values: what is said far from all of them.
    """

    places: Places
    reach: Reach
    points: Floats
    coefficients: Floats
    mean: float

    def predict(self, inputs: Floats) -> Floats:
        """Predict (m,) values from (m, d) inputs."""
        starts = range(0, max(len(inputs), 1), ROWS)
        parts = [self.places.of(inputs[start : start + ROWS], self.reach.widths) for start in starts]
        return np.concatenate([self.reach.likeness(p, self.points) @ self.coefficients for p in parts]) + self.mean


def fit_kernel(inputs: Floats, values: Floats, reach: Reach) -> Kernel:
    """Fit on (n, d) inputs, NaN where unknown, and (n,) values."""
    places = _find_places(inputs)
    points = places.of(inputs, reach.widths)
    system = reach.likeness(points, points)
    system[np.diag_indices_from(system)] += reach.noise
    mean = float(values.mean())
    coefficients = np.linalg.solve(system, values - mean).astype(np.float64)
    return Kernel(places, reach, points, coefficients, mean)


def find_reach(inputs: Floats, values: Floats, widths: Sequence[int], folds: NDArray[np.intp], seed: int) -> Reach:
    """Find the rates by which held-out folds are predicted best.

    Args:
        inputs: (n, d) columns, NaN where unknown.
        values: (n,) measured values.
        widths: Numbers of columns of the blocks, d in all.
        folds: (n,) fold of each material, no unit in two.
        seed: Fixes which materials are looked at, where there are many.
    """
    from scipy.optimize import minimize  # deferred: 0.2 s

    looked_at = np.sort(np.random.default_rng(seed).permutation(len(values))[:LOOKED_AT])
    values, folds = values[looked_at], folds[looked_at]
    points = _find_places(inputs[looked_at]).of(inputs[looked_at], widths)
    distances = np.array([_distances(points[:, block], points[:, block]) for block in _blocks(widths)])
    scaled = (values - values.mean()) / (values.std() or 1.0)
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    start = np.log([*([FIRST_RATE] * len(widths)), FIRST_NOISE])

    def loss(logs: Floats) -> tuple[float, Floats]:
        found, slope = _held_out_loss(distances, scaled, held_out, np.exp(logs[:-1]), float(np.exp(logs[-1])))
        return found + PULL * float(((logs - start) ** 2).sum()), slope + 2 * PULL * (logs - start)

    limits = [*([tuple(np.log(RATES))] * len(widths)), tuple(np.log(NOISES))]
    options = {"maxiter": STEPS, "ftol": SETTLED}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    return Reach(tuple(widths), np.exp(found[:-1]), float(np.exp(found[-1])))


def train_kernel(inputs: Floats, values: Floats, widths: Sequence[int], units: NDArray[np.intp], seed: int) -> Kernel:
    """Find the rates by folds that keep (n,) units whole, and fit on all."""
    folds = assign_folds(units, FOLDS, seed)
    return fit_kernel(inputs, values, find_reach(inputs, values, widths, folds, seed))


def _held_out_loss(
    distances: Floats, values: Floats, held_out: Sequence[NDArray[np.intp]], rates: Floats, noise: float
) -> tuple[float, Floats]:
    """The mean loss over held-out folds, and its slope along the logarithms of the rates and of the noise.

    With C the inverse of the system, the errors of a fold are (C_ff)^-1 (C y)_f; the rest is the chain rule.
    """
    from scipy.linalg import inv  # deferred: 0.2 s

    likeness = np.exp(-np.tensordot(rates, distances, axes=1))
    system = likeness.copy()
    system[np.diag_indices_from(system)] += noise
    inverse = inv(system, assume_a="pos", overwrite_a=True, check_finite=False)
    coefficients = inverse @ values
    pulls, turns = np.empty((2, len(values), len(held_out)))
    loss = 0.0
    for place, fold in enumerate(held_out):
        columns = inverse[:, fold]
        block = np.linalg.inv(columns[fold])
        errors = block @ coefficients[fold]
        length = np.sqrt(1 + (errors / ROBUST) ** 2)
        loss += ROBUST * float((length - 1).sum()) / len(values)
        pulls[:, place] = columns @ (block @ (errors / (ROBUST * length * len(values))))
        turns[:, place] = columns @ errors - coefficients
    turned = pulls @ turns.T  # the loss's slope along each entry of the system
    along_noise = noise * float(np.trace(turned))
    turned *= likeness
    return loss, np.array([*(-rates * np.tensordot(distances, turned, axes=2)), along_noise])


def _find_places(inputs: Floats) -> Places:
    known = np.isfinite(inputs)
    columns = zip(inputs.T, known.T, strict=True)
    middle = np.array([np.median(column[there]) if there.any() else 0.0 for column, there in columns])
    filled = np.where(known, inputs, middle)
    centre, spread = filled.mean(axis=0), filled.std(axis=0)
    spread[spread <= 1e-9 * (1 + np.abs(centre))] = np.inf
    return Places(middle, centre, spread)


def _distances(a: Floats, b: Floats) -> Floats:
    """Euclidean distances, (m, n)."""
    squares = a @ (-2 * b.T)
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)[None, :]
    squares[squares < SAME] = 0.0
    return np.sqrt(squares)


def _blocks(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(widths)
    return [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
