"""Prediction intervals with coverage: conformal prediction with normalized out-of-fold residuals.

With f_i the out-of-fold prediction of training material i, and sigma(x) the error to expect (`difficulty`), the
nonconformity score, its quantile and the interval at the level 1 - alpha are

    score_i = |y_i - f_i| / sigma(x_i)
    q = the ceil((1 - alpha) (n + 1))-th smallest of the n scores; infinite where n < 1 / alpha
    [f(x) - g q sigma(x), f(x) + g q sigma(x)]

(normalized conformal regression: Papadopoulos, Vovk & Gammerman 2011, doi:10.1613/jair.3198; implementation: crepes).
About 1 - alpha of the materials exchangeable with the training ones are inside, whatever the models; nothing is tuned
on test rows. The scores come from models trained on the share t of the materials; those trained on all have smaller
errors, hence g = t^(1/4) (`ERROR_EXPONENT`). Where zero is a class of its own (`models.hurdle`), each class is covered
at about this level: the interval is the hull of 0, unless that class can be excluded, and of the interval of the size,
unless the other class can be. Not here: the predictions, and what makes a material difficult (`difficulty`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.models.hurdle import MAX_EXACT_ZERO_SHARE
from matstrata.pipelines.learning.stack.difficulty import Difficulty, fit_difficulty

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERVAL_LEVEL = 0.90
OTHER_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.95)  # at which an evaluation measures coverage too
MAX_COVERAGE_SHIFT = 0.02  # by which fewer of the materials that are not zero may be covered, as more zeros are
ERROR_EXPONENT = 0.25  # errors fall by this power of the number of training materials; see docs/decisions/0016
ZERO_ONLY_SHARE = 0.03  # of the non-zero materials, whose probability is so small that the interval is 0 alone
SETTLING_STEPS = 10  # of the quantile and of the probability below which 0 is inside; both are monotone in each other


@dataclass(frozen=True, slots=True)
class Calibration:
    """Turns a size, its probability of not being zero and its difficulty into an interval.

    Attributes:
        difficulty: The difficulty sigma of sizes.
        quantile: g q of the module's equations, in units of sigma; infinite where there are too few materials.
        size_from: Probability from which the interval of the size is included; 0 without a hurdle.
        zero_until: Probability up to which 0 is included; -1 without a hurdle.
    """

    difficulty: Difficulty
    quantile: float
    size_from: float
    zero_until: float

    def interval(
        self, sizes: NDArray[np.float64], chances: NDArray[np.float64], difficulty: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute lower and upper ends, (m,) each.

        Args:
            sizes: (m,) predicted sizes.
            chances: (m,) probabilities of not being zero.
            difficulty: (m,) errors to expect.
        """
        half = self.quantile * difficulty
        lower = np.where(chances <= self.zero_until, np.minimum(0.0, sizes - half), sizes - half)
        return np.where(chances < self.size_from, 0.0, lower), np.where(chances < self.size_from, 0.0, sizes + half)


def calibrate(
    values: NDArray[np.float64],
    sizes: NDArray[np.float64],
    chances: NDArray[np.float64],
    nearest: NDArray[np.intp],
    disagreement: NDArray[np.float64],
    *,
    hurdle: bool,
    predicted_zero: NDArray[np.bool_] | None = None,
    trained_share: float = 1.0,
    confidence: float = INTERVAL_LEVEL,
) -> Calibration:
    """Calibrate on the training materials; all predictions are out of fold, by group.

    Args:
        values: (n,) measured values.
        sizes: (n,) predicted sizes.
        chances: (n,) predicted probabilities of not being zero; all 1 without a hurdle.
        nearest: (n, k) nearest training materials of each, none of its own unit: the difficulty of a material may
            not be derived from its own residual.
        disagreement: (n,) standard deviation of the level-1 predictions.
        hurdle: Whether zero is a class of its own.
        predicted_zero: (n,) where 0 itself is predicted, and so is inside; None for nowhere.
        trained_share: Share t of the materials on which the models behind the predictions were trained.
        confidence: Share 1 - alpha of the materials that intervals shall cover.
    """
    has_size = values != 0 if hurdle else np.ones(len(values), dtype=bool)
    difficulty = fit_difficulty(np.where(has_size, np.abs(values - sizes), np.nan))
    expected, factor = difficulty.of(nearest, disagreement), trained_share**ERROR_EXPONENT
    if not hurdle:
        return Calibration(difficulty, factor * _quantile(np.abs(values - sizes), expected, confidence), 0.0, -1.0)
    size_from = float(np.quantile(chances[has_size], ZERO_ONLY_SHARE))
    if predicted_zero is None:
        predicted_zero = np.zeros(len(values), dtype=bool)
    # Zeros are covered more often, as most of them are predicted to be exactly that; the others less, so that the
    # coverage is `confidence` in all.
    share, zero_level = float(has_size.mean()), max(confidence, MAX_EXACT_ZERO_SHARE)
    size_level = (confidence - (1 - share) * zero_level) / share
    size_level = float(np.clip(size_level, confidence - MAX_COVERAGE_SHIFT, confidence))
    zero_until, quantile = 0.5, np.inf
    for _ in range(SETTLING_STEPS):
        # These are inside whatever the half-width.
        between = (values < sizes) & ((chances <= zero_until) | predicted_zero)
        residuals = np.where(between, 0.0, np.abs(values - sizes))
        residuals[chances < size_from] = np.inf
        quantile = factor * _quantile(residuals[has_size], expected[has_size], size_level)
        zero_excluded = (sizes - quantile * expected > 0) & (chances >= size_from) & ~predicted_zero
        limits = np.where(zero_excluded, chances, 0.0)[~has_size]
        settled = float(np.quantile(limits, zero_level, method="higher"))
        if settled == zero_until:
            break
        zero_until = settled
    return Calibration(difficulty, quantile, size_from, zero_until)


def _quantile(residuals: NDArray[np.float64], expected: NDArray[np.float64], confidence: float) -> float:
    """Compute the quantile q of (n,) residuals divided by (n,) expected errors."""
    from crepes import ConformalRegressor  # deferred: 0.6 s

    if len(residuals) < 1 / (1 - confidence):
        return np.inf
    regressor = ConformalRegressor().fit(residuals, sigmas=expected)
    return float(regressor.predict_int(np.zeros(1), sigmas=np.ones(1), confidence=confidence)[0, 1])
