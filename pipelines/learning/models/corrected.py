"""Trees that correct a linear model: ridge regression on the helpers' columns, trees on all columns for its residuals.

Trees alone predict averages of measured values, and so cannot extrapolate; a linear model follows a computed value that
lies outside the measured ones. With H the (n, h) standardized helper columns and y the (n,) values,

    f(x) = b0 + h(x) b + trees(x),    b = argmin ||y - b0 - H b||^2 + c n ||b||^2    (c = `PENALTY`)

(ridge regression: Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634), and the trees are fitted to the residuals
y - b0 - H b. The penalty grows with n, so that the trees decide most. Not here: the trees (`stack.level1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PENALTY = 0.1  # on squared slopes of standardized columns, for each material


@dataclass(frozen=True, slots=True)
class Corrected:
    """A fitted linear model with its correction.

    Attributes:
        first: First column of the linear model.
        last: The column after its last.
        linear: The linear model.
        correction: The trees, which predict its residuals from all columns.
    """

    first: int
    last: int
    linear: Any
    correction: Any

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m,) values from (m, d) inputs."""
        linear: NDArray[np.float64] = self.linear.predict(inputs[:, self.first : self.last])
        return linear + self.correction.predict(inputs)


def fit_corrected(
    inputs: NDArray[np.float64], values: NDArray[np.float64], columns: tuple[int, int], correction: Any
) -> Corrected:
    """Fit a linear model on some columns, and the correction on all.

    Args:
        inputs: (n, d) input columns, NaN where unknown.
        values: (n,) measured values.
        columns: The first column of the linear model, and the one after its last.
        correction: An unfitted regressor for the residuals.
    """
    from sklearn.impute import SimpleImputer  # deferred: 1.5 s
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first, last = columns
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    linear = make_pipeline(imputer, StandardScaler(), Ridge(alpha=PENALTY * len(values)))
    linear.fit(inputs[:, first:last], values)
    residuals = values - linear.predict(inputs[:, first:last])
    return Corrected(first, last, linear, correction.fit(inputs, residuals))
