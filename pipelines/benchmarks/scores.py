"""Figures of predictions: errors, by class where zero is one, coverage, and gains in pairs. Pure.

Not here: what predicted (`judging`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


def score(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, Any]:
    """Errors of (n,) predictions; `mae_metal` and `mae_nonmetal` over those that are zero and are not, if any."""
    errors = np.abs(predicted - measured)
    zero = measured == 0
    scatter = ((measured - measured.mean()) ** 2).sum()
    return {
        "n": len(measured),
        "mae": float(errors.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / scatter) if scatter > 0 else None,
        "mae_nonmetal": mean(errors, ~zero),
        "mae_metal": mean(errors, zero),
    }


def mean(values: NDArray[Any], rows: NDArray[np.bool_]) -> float | None:
    """The mean over some rows; None where there are none."""
    return float(values[rows].mean()) if rows.any() else None


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
