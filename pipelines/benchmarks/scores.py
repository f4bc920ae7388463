"""Figures of published predictions, and gains in pairs with their confidence. Pure.

Not here: the figures of our own (`pipelines.learning.evaluation.evaluation`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.learning.evaluation.evaluation import error_figures

RESAMPLES = 2000
CONFIDENCE = 0.95


def score(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, Any]:
    """Errors of (n,) predictions; `mae_metal` and `mae_nonmetal` over those that are zero and are not, if any."""
    errors, zero = np.abs(predicted - measured), measured == 0
    classes = {"mae_nonmetal": ~zero, "mae_metal": zero}
    return {
        **error_figures(predicted, measured),
        **{name: float(errors[rows].mean()) if rows.any() else None for name, rows in classes.items()},
    }


def paired_gain(
    worse: NDArray[np.float64], better: NDArray[np.float64], folds: NDArray[np.intp], seed: int = 0
) -> dict[str, Any]:
    """By how much (n,) absolute errors fall, with its 95 % confidence interval.

    Over folds by Student's t, which the overlap of the training parts makes a little narrow; with one fold only, by
    resampling its rows.
    """
    gains = worse - better
    numbers = np.unique(folds)
    if len(numbers) == 1:
        picks = np.random.default_rng(seed).integers(len(gains), size=(RESAMPLES, len(gains)))
        low, high = np.quantile(gains[picks].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        method = f"{RESAMPLES} resamples of the test rows"
    else:
        from scipy.stats import t  # deferred: 0.5 s

        by_fold = np.array([gains[folds == fold].mean() for fold in numbers])
        half = t.ppf((1 + CONFIDENCE) / 2, len(by_fold) - 1) * by_fold.std(ddof=1) / np.sqrt(len(by_fold))
        low, high = by_fold.mean() - half, by_fold.mean() + half
        method = f"paired over {len(by_fold)} folds"
    return {"mae": float(gains.mean()), "ci95": [float(low), float(high)], "method": method}
