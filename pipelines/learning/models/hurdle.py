"""Zero as a class of its own: half of all measured band gaps are exactly 0, and no single regressor serves both kinds.

Such a target is learned in two parts, as in a hurdle model (Cragg 1971, doi:10.2307/1909582): the probability that the
value is not zero, P(y != 0 | x), and its size if it is not, the median of y given x and y != 0. Which targets are of
this kind is decided from the training values. Not here: the models of either part (`stack.level1`, `source_models`),
and how both become one number (`stack.stacking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Boosted

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CLASS_SHARE = 0.08  # of exact zeros, and of other values, from which zero is a class
MIN_CLASS_MATERIALS = 20
MAX_EXACT_ZERO_SHARE = 0.92  # of the zeros: so many at most are predicted as exactly 0, and at least so many held


def is_zero_inflated(values: NDArray[np.float64]) -> bool:
    """Decide whether zero is a class of its own among (n,) values, none missing; never where any is negative."""
    zeros = int((values == 0).sum())
    minimum = max(MIN_CLASS_MATERIALS, MIN_CLASS_SHARE * len(values))
    return bool((values >= 0).all() and zeros >= minimum and len(values) - zeros >= minimum)


def chance_of(classifier: Any, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict (m,) probabilities of not being zero.

    Args:
        classifier: Fitted on booleans, True for values other than zero; perhaps all of one class.
        inputs: (m, d) input columns.
    """
    if isinstance(classifier, Boosted):
        return classifier.predict(inputs)
    probabilities: NDArray[np.float64] = classifier.predict_proba(inputs)
    classes = list(classifier.classes_)
    return probabilities[:, classes.index(True)] if True in classes else np.zeros(len(inputs))
