"""Zero as a class of its own: half of all measured gaps are exactly 0, and no one regressor serves both kinds.

Such a target is learned in two parts: the chance that the value is not zero, and its size if it is not. Which targets
are such is read off the training values. Not here: the models of either part (`level1`, `source_models`), and how the
two become one number (`stacking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Boosted

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.08  # of exact zeros, and of other values, from which on zero is a class
FEWEST = 20  # materials of each class
SURE = 0.92  # of the zeros, at most, are said to be exactly 0, and held by intervals: what is surer must be doubted too


def is_zero_inflated(values: NDArray[np.float64]) -> bool:
    """Tell whether (n,) values, none missing, have zero as a class of its own: never for a property of both signs."""
    zeros = int((values == 0).sum())
    fewest = max(FEWEST, SHARE * len(values))
    return bool((values >= 0).all() and zeros >= fewest and len(values) - zeros >= fewest)


def chance_of(classifier: Any, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (m,) probabilities of not being zero by a classifier fitted on True and False, or on one of them alone."""
    if isinstance(classifier, Boosted):
        return classifier.predict(inputs)
    probabilities: NDArray[np.float64] = classifier.predict_proba(inputs)
    classes = list(classifier.classes_)
    return probabilities[:, classes.index(True)] if True in classes else np.zeros(len(inputs))
