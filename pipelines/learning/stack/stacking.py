"""Level 2: the meta-learner, which joins the predictions of level-1 models into one number and can be read.

Stacking (Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1) with non-negative weights (Breiman 1996,
doi:10.1007/BF00117832) that sum to one: each weight is the share that a model decides. From the sizes s_j and the
probabilities p_k of not being zero that level-1 models predict for a material,

    s = sum_j w_j s_j,    w_j >= 0,    sum_j w_j = 1
    p = 1 / (1 + exp(-(a logit(sum_k v_k p_k) + b))),    v_k >= 0,    sum_k v_k = 1
    y = s g(p),    g(p) = min(max((p - low) / (high - low), 0), 1)

with a and b by Platt's method (logistic regression of the class on the log-odds). Without a hurdle (`models.hurdle`)
y = s. The gate g has the least absolute error, and so approximates the median of the two classes, where the product
s p would be the mean. Everything is fitted to out-of-fold predictions only.
Not here: the models (`level1`), intervals (`intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.models.hurdle import MAX_EXACT_ZERO_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHT_REGULARIZATION = 0.02  # towards equal weights
REWEIGHTING_STEPS = 10  # the weights settle to three digits in about five
MIN_RESIDUAL = 0.05  # typical errors, below which residuals count as squares
MIN_WEIGHT = 0.05  # smaller ones become 0, so that models which add little need not be saved and evaluated
MIN_CHANCE = 0.002  # distance of probabilities from 0 and 1


@dataclass(frozen=True, slots=True)
class Meta:
    """The meta-learner, in the symbols of the module's equations.

    Attributes:
        size_weights: (c,) the w_j.
        chance_weights: (d,) the v_k; none where zero is not a class of its own.
        slope: The a of the calibration.
        intercept: The b of the calibration.
        gate: low and high.
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
        """Join (m, d) probabilities of not being zero to (m,) calibrated ones; 1 without a hurdle."""
        if not len(self.chance_weights):
            return np.ones(len(chances))
        calibrated: NDArray[np.float64] = 1 / (
            1 + np.exp(-(self.slope * _log_odds(chances @ self.chance_weights) + self.intercept))
        )
        return calibrated

    def share(self, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the share g(p) of the size that is predicted, (m,), from (m,) joint probabilities."""
        return _gate(chance, *self.gate)

    def used(self) -> Meta:
        """Reduce the meta-learner to the models that have a weight."""
        return replace(
            self,
            size_weights=self.size_weights[self.size_weights > 0],
            chance_weights=self.chance_weights[self.chance_weights > 0],
        )


def fit_meta(sizes: NDArray[np.float64], chances: NDArray[np.float64], values: NDArray[np.float64]) -> Meta:
    """Fit the meta-learner.

    Args:
        sizes: (n, c) out-of-fold sizes.
        chances: (n, d) out-of-fold probabilities of not being zero; d = 0 without a hurdle.
        values: (n,) measured values.
    """
    if not chances.shape[1]:
        return Meta(fit_weights(sizes, values), np.empty(0), 1.0, 0.0, (0.0, 1.0))
    positive = values != 0
    size_weights = fit_weights(sizes[positive], values[positive])
    chance_weights = fit_weights(chances, positive.astype(np.float64), steps=1)
    slope, intercept = _calibrate(_log_odds(chances @ chance_weights), positive)
    chance = Meta(size_weights, chance_weights, slope, intercept, (0.0, 1.0)).chance(chances)
    return Meta(size_weights, chance_weights, slope, intercept, _fit_gate(chance, sizes @ size_weights, values))


def cross_fit(
    sizes: NDArray[np.float64], chances: NDArray[np.float64], values: NDArray[np.float64], folds: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Join out-of-fold predictions, each fold by a meta-learner fitted to the other folds.

    Args:
        sizes: (n, c) out-of-fold sizes.
        chances: (n, d) out-of-fold probabilities.
        values: (n,) measured values.
        folds: (n,) the fold of each material.

    Returns:
        (n,) sizes, probabilities, and shares of the size, to calibrate intervals on.
    """
    joined, chance, share = np.empty((3, len(values)))
    for fold in range(folds.max() + 1):
        test = folds == fold
        meta = fit_meta(sizes[~test], chances[~test], values[~test])
        joined[test], chance[test] = meta.size(sizes[test]), meta.chance(chances[test])
        share[test] = meta.share(chance[test])
    return joined, chance, share


def fit_weights(
    out_of_fold: NDArray[np.float64], values: NDArray[np.float64], steps: int = REWEIGHTING_STEPS
) -> NDArray[np.float64]:
    """Fit weights w of least absolute error, non-negative and summing to one.

    With E_ij the error of model j for material i and t the mean of all |E_ij|, minimizes over w >= 0, sum_j w_j = 1

        sum_i |r_i| + (c n / 2) sum_j (w_j - 1/k)^2,    r_i = sum_j w_j E_ij / t,

    for n materials and k models, with c = `WEIGHT_REGULARIZATION`: with few materials, models that predict nearly the
    same share their weight instead of one taking all of it by chance. Absolute errors keep a few materials that no
    model describes from deciding. They are minimized by iteratively reweighted least squares (Holland & Welsch 1977,
    doi:10.1080/03610927708827533): each step is a non-negative least-squares problem with r_i^2 / max(|r_i|,
    `MIN_RESIDUAL`) of the step before; with a single step, r_i^2 itself is minimized, with c n in place of c n / 2.
    Weights below `MIN_WEIGHT` are set to zero, and the others scaled to sum to one.

    Args:
        out_of_fold: (n, k) predictions.
        values: (n,) measured values.
        steps: Number of reweighting steps.

    Returns:
        (k,) weights.
    """
    from scipy.optimize import nnls  # deferred: 0.2 s

    n, k = out_of_fold.shape
    errors = out_of_fold - values[:, None]
    typical = float(np.abs(errors).mean()) or 1.0
    # Rows: every material's error, the regularization, and a sum of one that outweighs them all.
    strength, total = np.sqrt(WEIGHT_REGULARIZATION * n), 1e3 * np.sqrt(n)
    right_side = np.concatenate([np.zeros(n), np.full(k, strength / k), [total]])
    weights, emphasis = np.full(k, 1 / k), np.ones(n)
    for step in range(steps):
        if step or steps > 1:
            emphasis = np.sqrt(1 / np.maximum(np.abs(errors @ weights) / typical, MIN_RESIDUAL))
        system = np.vstack([errors / typical * emphasis[:, None], strength * np.eye(k), np.full((1, k), total)])
        weights, _ = nnls(system, right_side)
        weights = weights / weights.sum()
    weights[weights < MIN_WEIGHT] = 0.0
    return weights / weights.sum()


def _log_odds(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = chances.clip(MIN_CHANCE, 1 - MIN_CHANCE)
    odds: NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def _calibrate(log_odds: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit Platt's slope and intercept by logistic regression."""
    from sklearn.linear_model import LogisticRegression  # deferred: 1.5 s

    if positive.all() or not positive.any():
        return 1.0, 0.0
    fitted = LogisticRegression(C=1e3).fit(log_odds[:, None], positive)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _fit_gate(
    chance: NDArray[np.float64], size: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[float, float]:
    """Find the gate of least absolute error that predicts at most `MAX_EXACT_ZERO_SHARE` of the zeros as exactly 0."""
    highest = float(np.quantile(chance[values == 0], MAX_EXACT_ZERO_SHARE))
    grid = [(min(low / 20, highest), high / 20) for low in range(1, 13) for high in range(low + 1, 21)]
    errors = [float(np.abs(size * _gate(chance, *gate) - values).mean()) for gate in grid]
    return grid[int(np.argmin(errors))]


def _gate(chance: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return ((chance - low) / (high - low)).clip(0.0, 1.0)
