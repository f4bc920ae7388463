"""A scale for the values of one property on which squared errors weigh small and large values evenly.

With u, c and s fitted on training values, scaled = (asinh(value / u) - c) / s; for values that do not span many orders
of magnitude, scaled = (value - c) / s.

Not here: scaling of features, which belongs to each model's own pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SKEW = 30.0  # 99th percentile over median of the magnitudes: beyond it the tail alone would decide a squared error


@dataclass(frozen=True, slots=True)
class Scale:
    """Standardization, after a signed logarithm where values span many orders of magnitude.

    Attributes:
        unit: The magnitude u below which asinh(value / u) is linear; 0 means that no logarithm is taken.
        center: The mean c after the logarithm.
        spread: The standard deviation s after the logarithm.
        low: Smallest scaled training value; predictions are clipped to `low` and `high`.
        high: Largest scaled training value.
    """

    unit: float
    center: float
    spread: float
    low: float
    high: float

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale values; NaN stays NaN."""
        flat = np.arcsinh(values / self.unit) if self.unit else values
        return (flat - self.center) / self.spread

    def invert(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return to the property's own unit."""
        flat = scaled * self.spread + self.center
        return np.sinh(flat) * self.unit if self.unit else flat


def fit_scale(values: NDArray[np.float64]) -> Scale:
    """Choose the scale of one property from (n,) training values.

    Raises:
        LearningError: No value is reported.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise LearningError("no value is reported for this property; leave it out of the source's properties")
    magnitudes = np.abs(finite[finite != 0])
    skewed = magnitudes.size and np.quantile(magnitudes, 0.99) > MIN_SKEW * np.median(magnitudes)
    unit = float(np.quantile(magnitudes, 0.05)) if skewed else 0.0
    flat = np.arcsinh(finite / unit) if unit else finite
    center, spread = float(flat.mean()), float(flat.std()) or 1.0
    return Scale(unit, center, spread, float((flat.min() - center) / spread), float((flat.max() - center) / spread))
