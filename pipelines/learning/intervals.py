"""Intervals that hold: conformal calibration on held-out residuals, wider where prediction is harder.

By construction, about `CONFIDENCE` of materials exchangeable with the training ones fall inside, whatever the models
are; nothing is tuned on test rows. Not here: the predictions themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.90
NEIGHBOURS = 15
FLOOR = 0.25  # share of the mean residual below which no material counts as easy


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a difficulty into a half-width.

    Attributes:
        residuals: (n,) held-out magnitudes of error of the training materials.
        typical: Their mean, never 0.
        quantile: Half-width in units of difficulty; infinite when there are too few materials to promise anything.
    """

    residuals: NDArray[np.float64]
    typical: float
    quantile: float

    def difficulty(self, nearest: NDArray[np.intp], disagreement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate the error to expect, (m,), in the property's unit.

        Args:
            nearest: (m, k) positions of the nearest training materials.
            disagreement: (m,) standard deviation of the level-1 predictions.
        """
        return self.residuals[nearest].mean(axis=1) + disagreement + FLOOR * self.typical


def calibrate(
    values: NDArray[np.float64],
    held_out: NDArray[np.float64],
    nearest: NDArray[np.intp],
    disagreement: NDArray[np.float64],
) -> Calibration:
    """Calibrate on the training materials.

    Args:
        values: (n,) measured values.
        held_out: (n,) predictions by an ensemble that had not seen the material's unit.
        nearest: (n, k) nearest training materials of each, none of its own unit: the difficulty of a material may
            not be read off its own residual.
        disagreement: (n,) standard deviation of the held-out level-1 predictions.
    """
    from crepes import ConformalRegressor  # deferred: 0.6 s

    residuals = np.abs(values - held_out)
    uncalibrated = Calibration(residuals, float(residuals.mean()) or 1e-12, np.inf)
    if len(values) < 1 / (1 - CONFIDENCE):
        return uncalibrated
    difficulty = uncalibrated.difficulty(nearest, disagreement)
    regressor = ConformalRegressor().fit(residuals, sigmas=difficulty)
    unit_interval = regressor.predict_int(np.zeros(1), sigmas=np.ones(1), confidence=CONFIDENCE)
    return Calibration(residuals, uncalibrated.typical, float(unit_interval[0, 1]))
