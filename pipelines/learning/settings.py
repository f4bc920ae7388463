"""What level-1 models are given in each setting of an evaluation, and the form of what helpers predict.

Not here: the settings themselves (`schemas.terms.Setting`), and how inputs are joined (`stack.inputs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from matstrata.schemas.terms import Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class View(StrEnum):
    """What a level-1 model is given in addition to the descriptors."""

    ALONE = "alone"
    GIVEN_PREDICTIONS = "given_predictions"
    GIVEN_KNOWN = "given_known"


VIEWS: Mapping[Setting, tuple[View, ...]] = MappingProxyType(
    {
        Setting.WITHOUT_DFT: (View.ALONE,),
        Setting.STRICT: (View.ALONE, View.GIVEN_PREDICTIONS),
        Setting.KNOWN_DFT: (View.ALONE, View.GIVEN_KNOWN),
    }
)


@dataclass(frozen=True, slots=True)
class HelperPredictions:
    """What one helper contributes about m materials, on the helper's own scales.

    Attributes:
        predicted: (m, p) predictions of the helper's model, which was trained on none of these materials.
        chances: (m, q) its probabilities that a value is not zero, for the properties where zero is a class of its own.
        computed: (m, p) computed values of the source itself, NaN where it has none; (m, 0) for networks.
        layers: (m, h) hidden-layer activations of a network; (m, 0) for the model of a source.
    """

    predicted: NDArray[np.float64]
    chances: NDArray[np.float64]
    computed: NDArray[np.float64]
    layers: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> HelperPredictions:
        """Select some materials, given as a mask or as positions."""
        return HelperPredictions(self.predicted[rows], self.chances[rows], self.computed[rows], self.layers[rows])
