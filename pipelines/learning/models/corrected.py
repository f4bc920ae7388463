"""Trees that correct a line: what the helpers say, weighed linearly, and trees over all inputs for what is left.

Trees alone say means of what was measured; a computed value that lies outside of these, or between few of them, moves a
line. The line is ridge regression (Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634) over few columns, with a
penalty that grows with the materials, so that the trees have most of the say. Not here: the trees (`level1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PENALTY = 0.1  # on squared slopes of standardised columns, for each material


@dataclass(frozen=True, slots=True)
class Corrected:
    """A fitted line with its correction.

    Attributes:
        first: First column of the line.
        last: The column after its last.
        line: Predicts from these.
        correction: Predicts from all columns what the line leaves.
    """

    first: int
    last: int
    line: Any
    correction: Any

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m,) values from (m, d) inputs."""
        said: NDArray[np.float64] = self.line.predict(inputs[:, self.first : self.last])
        return said + self.correction.predict(inputs)


def fit_corrected(
    inputs: NDArray[np.float64], values: NDArray[np.float64], columns: tuple[int, int], correction: Any
) -> Corrected:
    """Fit a line on some of (n, d) columns, given as first and last plus one, and the correction on all."""
    from sklearn.impute import SimpleImputer  # deferred: 1.5 s
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first, last = columns
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    line = make_pipeline(imputer, StandardScaler(), Ridge(alpha=PENALTY * len(values)))
    line.fit(inputs[:, first:last], values)
    left = values - line.predict(inputs[:, first:last])
    return Corrected(first, last, line, correction.fit(inputs, left))
