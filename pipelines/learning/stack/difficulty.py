"""How large an error to expect of one material: from the errors made near it, and from how far the models disagree.

Intervals are as wide (`intervals`), and the domain ends (`domain`), where this says so. Not here: what they make of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 15
FLOOR = 0.25  # share of the mean residual below which no material counts as easy


@dataclass(frozen=True, slots=True)
class Difficulty:
    """The errors made on the training materials, each by models that had not seen its unit.

    Attributes:
        residuals: (n,) magnitudes; NaN where a material does not count.
        typical: Their mean, never 0.
    """

    residuals: NDArray[np.float64]
    typical: float

    def of(self, nearest: NDArray[np.intp], disagreement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate the error to expect, (m,), in the property's unit.

        Args:
            nearest: (m, k) positions of the nearest training materials.
            disagreement: (m,) standard deviation of what the models say.
        """
        near = self.residuals[nearest]
        counted = np.isfinite(near)
        count = counted.sum(axis=1)
        mean = np.where(counted, near, 0.0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count > 0, mean, self.typical) + disagreement + FLOOR * self.typical


def fit_difficulty(residuals: NDArray[np.float64]) -> Difficulty:
    """Take (n,) held-out magnitudes of error, NaN where a material does not count."""
    counted = residuals[np.isfinite(residuals)]
    return Difficulty(residuals, (float(counted.mean()) if counted.size else 0.0) or 1e-12)
