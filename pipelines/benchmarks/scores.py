"""Scores of published predictions, and paired differences of errors with confidence intervals. Pure.

Not here: scores of our own models (`pipelines.learning.evaluation.scores`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.learning.evaluation.scores import error_figures

BOOTSTRAP_RESAMPLES = 2000
GAIN_CONFIDENCE = 0.95


def score(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, Any]:
    """Score (n,) predictions; `mae_metal` and `mae_nonmetal` are over values that are zero and are not, if any."""
    errors, is_zero = np.abs(predicted - measured), measured == 0
    classes = {"mae_nonmetal": ~is_zero, "mae_metal": is_zero}
    return {
        **error_figures(predicted, measured),
        **{name: float(errors[rows].mean()) if rows.any() else None for name, rows in classes.items()},
    }


def paired_gain(
    worse: NDArray[np.float64], better: NDArray[np.float64], folds: NDArray[np.intp], seed: int = 0
) -> dict[str, Any]:
    """Compute the mean decrease of absolute errors, with its 95 % confidence interval.

    Over k folds with mean decreases g_f by Student's t, mean(g_f) +- t_(0.975, k-1) std(g_f) / sqrt(k), which the
    overlap of the training parts makes a little too narrow; with one fold only, by the bootstrap over its rows.

    Args:
        worse: (n,) absolute errors of the model to improve on.
        better: (n,) absolute errors of the other.
        folds: (n,) fold of each row.
        seed: Fixes the resamples.
    """
    gains = worse - better
    numbers = np.unique(folds)
    if len(numbers) == 1:
        picks = np.random.default_rng(seed).integers(len(gains), size=(BOOTSTRAP_RESAMPLES, len(gains)))
        low, high = np.quantile(gains[picks].mean(axis=1), [(1 - GAIN_CONFIDENCE) / 2, (1 + GAIN_CONFIDENCE) / 2])
        method = f"{BOOTSTRAP_RESAMPLES} resamples of the test rows"
    else:
        from scipy.stats import t  # deferred: 0.5 s

        by_fold = np.array([gains[folds == fold].mean() for fold in numbers])
        half = t.ppf((1 + GAIN_CONFIDENCE) / 2, len(by_fold) - 1) * by_fold.std(ddof=1) / np.sqrt(len(by_fold))
        low, high = by_fold.mean() - half, by_fold.mean() + half
        method = f"paired over {len(by_fold)} folds"
    return {"mae": float(gains.mean()), "ci95": [float(low), float(high)], "method": method}
