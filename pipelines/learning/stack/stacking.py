"""Level 2: what joins the level-1 models into one number, and can be read.

Weights are non-negative and sum to one: each is the share that a model decides. Where zero is a class of its own
(`hurdle`), the joint chance of not being zero is calibrated, and a gate turns it into the share of the size that is
predicted: none below its lower end, all above its upper end. That is the median of the two classes, made soft, where
the product of chance and size would be the mean. All is fitted on held-out predictions only.
Not here: the models (`level1`), intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.models.hurdle import SURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

PULL = 0.02  # strength of the pull to equal weights
STEPS = 10  # of reweighting; the weights settle to three digits in about five
LEAST = 0.05  # weights below count as none, so that models which say nothing of their own need not be kept and asked
EDGE = 0.002  # chances are kept this far from 0 and 1


@dataclass(frozen=True, slots=True)
class Meta:
    """The meta-learner.

    Attributes:
        size_weights: (c,) shares of the regressors.
        chance_weights: (d,) shares of the classifiers; none where zero is no class of its own.
        slope: Of the calibration: log-odds in to log-odds out.
        intercept: Of the calibration.
        gate: Chances from which on something, and all of the size, is predicted.
    """

    size_weights: NDArray[np.float64]
    chance_weights: NDArray[np.float64]
    slope: float
    intercept: float
    gate: tuple[float, float]

    def size(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Join (m, c) predicted sizes to (m,)."""
        return sizes @ self.size_weights

    def chance(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Join (m, d) chances of not being zero to (m,) calibrated ones; 1 where zero is no class of its own."""
        if not len(self.chance_weights):
            return np.ones(len(chances))
        calibrated: NDArray[np.float64] = 1 / (
            1 + np.exp(-(self.slope * _log_odds(chances @ self.chance_weights) + self.intercept))
        )
        return calibrated

    def share(self, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of the size that is predicted, (m,), from (m,) joint chances."""
        return _gate(chance, *self.gate)

    def used(self) -> Meta:
        """The same for those models alone that have a weight."""
        return replace(
            self,
            size_weights=self.size_weights[self.size_weights > 0],
            chance_weights=self.chance_weights[self.chance_weights > 0],
        )


def fit_meta(sizes: NDArray[np.float64], chances: NDArray[np.float64], values: NDArray[np.float64]) -> Meta:
    """Fit the meta-learner on held-out (n, c) sizes, (n, d) chances (d = 0 without a hurdle) and (n,) values."""
    if not chances.shape[1]:
        return Meta(fit_weights(sizes, values), np.empty(0), 1.0, 0.0, (0.0, 1.0))
    positive = values != 0
    size_weights = fit_weights(sizes[positive], values[positive])
    chance_weights = fit_weights(chances, positive.astype(np.float64), steps=1)
    slope, intercept = _calibrate(_log_odds(chances @ chance_weights), positive)
    chance = Meta(size_weights, chance_weights, slope, intercept, (0.0, 1.0)).chance(chances)
    return Meta(size_weights, chance_weights, slope, intercept, _fit_gate(chance, sizes @ size_weights, values))


def cross_joined(
    sizes: NDArray[np.float64], chances: NDArray[np.float64], values: NDArray[np.float64], folds: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Join held-out predictions, each fold by what the other folds fitted.

    Returns:
        (n,) sizes, chances, and shares of the size, to calibrate intervals on.
    """
    joined, chance, share = np.empty((3, len(values)))
    for fold in range(folds.max() + 1):
        test = folds == fold
        meta = fit_meta(sizes[~test], chances[~test], values[~test])
        joined[test], chance[test] = meta.size(sizes[test]), meta.chance(chances[test])
        share[test] = meta.share(chance[test])
    return joined, chance, share


def fit_weights(held_out: NDArray[np.float64], values: NDArray[np.float64], steps: int = STEPS) -> NDArray[np.float64]:
    """Find (c,) weights for (n, c) held-out predictions of (n,) values.

    Minimises the absolute error (by iteratively reweighted least squares, so that a few materials that no model
    understands do not decide; with one step, the squared error), with a pull to equal weights: with few materials,
    near-equal columns share their weight instead of one taking all of it by chance.
    """
    from scipy.optimize import nnls  # deferred: 0.2 s

    n, c = held_out.shape
    errors = held_out - values[:, None]
    typical = float(np.abs(errors).mean()) or 1.0
    # Rows: every material's error, the pull, and a sum of one that outweighs them all.
    pull, total = np.sqrt(PULL * n), 1e3 * np.sqrt(n)
    wanted = np.concatenate([np.zeros(n), np.full(c, pull / c), [total]])
    weights, emphasis = np.full(c, 1 / c), np.ones(n)
    for step in range(steps):
        if step or steps > 1:
            emphasis = np.sqrt(1 / np.maximum(np.abs(errors @ weights) / typical, 0.05))
        system = np.vstack([errors / typical * emphasis[:, None], pull * np.eye(c), np.full((1, c), total)])
        weights, _ = nnls(system, wanted)
        weights = weights / weights.sum()
    weights[weights < LEAST] = 0.0
    return weights / weights.sum()


def _log_odds(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = chances.clip(EDGE, 1 - EDGE)
    odds: NDArray[np.float64] = np.log(kept / (1 - kept))
    return odds


def _calibrate(log_odds: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt's two numbers, by logistic regression."""
    from sklearn.linear_model import LogisticRegression  # deferred: 1.5 s

    if positive.all() or not positive.any():
        return 1.0, 0.0
    fitted = LogisticRegression(C=1e3).fit(log_odds[:, None], positive)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _fit_gate(
    chance: NDArray[np.float64], size: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[float, float]:
    """The gate of least absolute error of those that give not more than `SURE` of the zeros an exact 0."""
    highest = float(np.quantile(chance[values == 0], SURE))
    grid = [(min(low / 20, highest), high / 20) for low in range(1, 13) for high in range(low + 1, 21)]
    errors = [float(np.abs(size * _gate(chance, *gate) - values).mean()) for gate in grid]
    return grid[int(np.argmin(errors))]


def _gate(chance: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return ((chance - low) / (high - low)).clip(0.0, 1.0)
