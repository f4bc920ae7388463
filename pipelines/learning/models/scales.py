"""Putting the values of one property on a scale that a squared error treats fairly.

Not here: scaling of features, which belongs to each model's own pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SKEWED = 30.0  # 99th percentile over median of the magnitudes: beyond it the tail alone would decide a squared error


@dataclass(frozen=True, slots=True)
class Scale:
    """Standardised values, first taken to a signed logarithm when they span many orders of magnitude.

    Attributes:
        unit: The magnitude below which asinh(value / unit) is linear; 0 means that no logarithm is taken.
        centre: Mean after the logarithm.
        spread: Standard deviation after the logarithm.
        low: Smallest scaled value seen; predictions are held within `low` and `high`.
        high: Largest scaled value seen.
    """

    unit: float
    centre: float
    spread: float
    low: float
    high: float

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale values; NaN stays NaN."""
        flat = np.arcsinh(values / self.unit) if self.unit else values
        return (flat - self.centre) / self.spread

    def invert(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return to the property's own unit."""
        flat = scaled * self.spread + self.centre
        return np.sinh(flat) * self.unit if self.unit else flat


def fit_scale(values: NDArray[np.float64]) -> Scale:
    """Choose the scale of one property from (n,) training values.

    Raises:
        LearningError: when no value is reported.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        raise LearningError("no value is reported for this property; leave it out of the source's properties")
    magnitudes = np.abs(known[known != 0])
    skewed = magnitudes.size and np.quantile(magnitudes, 0.99) > SKEWED * np.median(magnitudes)
    unit = float(np.quantile(magnitudes, 0.05)) if skewed else 0.0
    flat = np.arcsinh(known / unit) if unit else known
    centre, spread = float(flat.mean()), float(flat.std()) or 1.0
    return Scale(unit, centre, spread, float((flat.min() - centre) / spread), float((flat.max() - centre) / spread))
