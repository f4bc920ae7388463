"""The error to expect for one material: from the errors made near it, and from how far the models disagree.

With r_i the out-of-fold error |y_i - f_i| of training material i, r their mean, N(x) the nearest training materials of
x (of those that have an r_i), and d(x) the standard deviation of the models' predictions,

    sigma(x) = mean of r_i over N(x) + d(x) + c r,    c = `FLOOR_SHARE`,

in the property's unit. Where no neighbor has an r_i, r takes the place of the mean. Intervals are proportional to sigma
(`intervals`), and the domain ends where it is large (`domain`). Not here: how they use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIFFICULTY_NEIGHBORS = 15
FLOOR_SHARE = 0.25  # of the mean residual, added so that no material counts as certain


@dataclass(frozen=True, slots=True)
class Difficulty:
    """The out-of-fold errors of the training materials.

    Attributes:
        residuals: (n,) magnitudes r_i; NaN where a material does not count.
        typical: Their mean r, never 0.
    """

    residuals: NDArray[np.float64]
    typical: float

    def of(self, nearest: NDArray[np.intp], disagreement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate the error to expect, (m,), in the property's unit.

        Args:
            nearest: (m, k) positions of the nearest training materials.
            disagreement: (m,) standard deviation d of the models' predictions.
        """
        near = self.residuals[nearest]
        counted = np.isfinite(near)
        count = counted.sum(axis=1)
        mean = np.where(counted, near, 0.0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count > 0, mean, self.typical) + disagreement + FLOOR_SHARE * self.typical


def fit_difficulty(residuals: NDArray[np.float64]) -> Difficulty:
    """Take (n,) out-of-fold magnitudes of error, NaN where a material does not count."""
    counted = residuals[np.isfinite(residuals)]
    return Difficulty(residuals, (float(counted.mean()) if counted.size else 0.0) or 1e-12)
