"""Intervals that hold: conformal calibration on held-out residuals, wider where prediction is harder.

By construction, about the wanted share (`CONFIDENCE`) of materials exchangeable with the training ones fall inside,
whatever the models are; nothing is tuned on test rows. Where zero is a class of its own (`hurdle`), each class is held
about so often: the interval is the hull of 0, if that class can't be excluded, and the interval of the size, if the
other can't be.
Not here: the predictions themselves, nor what makes a material difficult (`difficulty`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.models.hurdle import SURE
from matstrata.pipelines.learning.stack.difficulty import Difficulty, fit_difficulty

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.90
FURTHER = (0.5, 0.6, 0.7, 0.8, 0.95)  # the levels at which an evaluation looks too
GIVE = 0.02  # so many fewer of the materials that are not zero may be held, where the zeros are held more often
GAIN = 0.25  # by this power of the number of materials errors fall; see docs/decisions/0016
MISSED = 0.03  # share of non-zero materials whose chance is so small that only 0 is given
STEPS = 10  # of settling the quantile and the chance below which 0 stays inside; both are monotone in each other


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a size, its chance and its difficulty into an interval.

    Attributes:
        difficulty: Of the sizes.
        quantile: Half-width in units of difficulty; infinite when there are too few materials to promise anything.
        size_from: Chance from which on the interval of the size is inside; 0 where zero is no class of its own.
        zero_until: Chance up to which 0 is inside; -1 where zero is no class of its own.
    """

    difficulty: Difficulty
    quantile: float
    size_from: float
    zero_until: float

    def interval(
        self, sizes: NDArray[np.float64], chances: NDArray[np.float64], difficulty: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, (m,) each, from (m,) sizes, chances of not being zero, and difficulties."""
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
    silent: NDArray[np.bool_] | None = None,
    trained: float = 1.0,
    confidence: float = CONFIDENCE,
) -> Calibration:
    """Calibrate on the training materials; all predictions are by an ensemble that had not seen the material's unit.

    Args:
        values: (n,) measured values.
        sizes: (n,) predicted sizes.
        chances: (n,) predicted chances of not being zero; all 1 without a hurdle.
        nearest: (n, k) nearest training materials of each, none of its own unit: the difficulty of a material may
            not be read off its own residual.
        disagreement: (n,) standard deviation of the level-1 predictions.
        hurdle: Whether zero is a class of its own.
        silent: (n,) where 0 itself is predicted, and so lies inside; None for nowhere.
        trained: Share of the materials on which the models behind the predictions were trained; those of all err less.
        confidence: Share of materials that the intervals shall hold.
    """
    counts = values != 0 if hurdle else np.ones(len(values), dtype=bool)
    difficulty = fit_difficulty(np.where(counts, np.abs(values - sizes), np.nan))
    expected, better = difficulty.of(nearest, disagreement), trained**GAIN
    if not hurdle:
        return Calibration(difficulty, better * _quantile(np.abs(values - sizes), expected, confidence), 0.0, -1.0)
    size_from = float(np.quantile(chances[counts], MISSED))
    silent = np.zeros(len(values), dtype=bool) if silent is None else silent
    # Zeros are held more often, as most of them are predicted to be just that; the others make up for it: `confidence`
    # in all.
    share, held = float(counts.mean()), max(confidence, SURE)
    among = float(np.clip((confidence - (1 - share) * held) / share, confidence - GIVE, confidence))
    zero_until, quantile = 0.5, np.inf
    for _ in range(STEPS):
        below = (values < sizes) & ((chances <= zero_until) | silent)  # these lie inside whatever the half-width
        needed = np.where(below, 0.0, np.abs(values - sizes))
        needed[chances < size_from] = np.inf
        quantile = better * _quantile(needed[counts], expected[counts], among)
        excluded = (sizes - quantile * expected > 0) & (chances >= size_from) & ~silent
        settled = float(np.quantile(np.where(excluded, chances, 0.0)[~counts], held, method="higher"))
        if settled == zero_until:
            break
        zero_until = settled
    return Calibration(difficulty, quantile, size_from, zero_until)


def _quantile(residuals: NDArray[np.float64], expected: NDArray[np.float64], confidence: float) -> float:
    """Half-width in units of the expected error that holds this share of exchangeable materials."""
    from crepes import ConformalRegressor  # deferred: 0.6 s

    if len(residuals) < 1 / (1 - confidence):
        return np.inf
    regressor = ConformalRegressor().fit(residuals, sigmas=expected)
    return float(regressor.predict_int(np.zeros(1), sigmas=np.ones(1), confidence=confidence)[0, 1])
