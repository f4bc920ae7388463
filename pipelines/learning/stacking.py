"""Level 2: weights that join the level-1 regressors, and can be read.

The weights are non-negative and sum to one: each is the share of the prediction that a regressor decides. They are
fitted on held-out predictions only. Not here: the regressors (`level1`), intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PULL = 0.02  # strength of the pull to equal weights
STEPS = 10  # of reweighting; the weights settle to three digits in about five


def fit_weights(held_out: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find (c,) weights for (n, c) held-out predictions of (n,) values.

    Minimises the absolute error (by iteratively reweighted least squares, so that a few materials that no model
    understands do not decide), with a pull to equal weights: with few materials, near-equal columns share their weight
    instead of one taking all of it by chance.
    """
    from scipy.optimize import nnls  # deferred: 0.2 s

    n, c = held_out.shape
    errors = held_out - values[:, None]
    typical = float(np.abs(errors).mean()) or 1.0
    # Rows: every material's error, the pull, and a sum of one that outweighs them all.
    pull, total = np.sqrt(PULL * n), 1e3 * np.sqrt(n)
    wanted = np.concatenate([np.zeros(n), np.full(c, pull / c), [total]])
    weights = np.full(c, 1 / c)
    for _ in range(STEPS):
        emphasis = np.sqrt(1 / np.maximum(np.abs(errors @ weights) / typical, 0.05))
        system = np.vstack([errors / typical * emphasis[:, None], pull * np.eye(c), np.full((1, c), total)])
        weights, _ = nnls(system, wanted)
        weights = weights / weights.sum()
    return weights


def cross_weighted(
    held_out: NDArray[np.float64], values: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Join held-out predictions, each fold by weights fitted on the other folds: (n,) predictions to calibrate on."""
    joined = np.empty(len(values))
    for fold in range(folds.max() + 1):
        test = folds == fold
        joined[test] = held_out[test] @ fit_weights(held_out[~test], values[~test])
    return joined
