"""The interface of methods: prepared once from helper data, then fitted on experiments, to predict values.

Not here: the methods themselves (one module each), nor their names (`methods`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.settings import HelperPredictions
    from matstrata.schemas.terms import Setting


@dataclass(frozen=True, slots=True)
class HelperData:
    """What a method may use before it is given an experiment.

    Attributes:
        property_name: The property to predict.
        feature_sets: Name and unit of each descriptor, by feature set; a unit is empty where there is none.
        helpers: The computed sources, with descriptors.
        models: Their models, blind to every group of the target; in the same order.
        group_ids: Groups of the target, which must not be trained on.
        seed: Fixes random choices.
    """

    property_name: str
    feature_sets: tuple[tuple[tuple[str, str], ...], ...]
    helpers: tuple[Samples, ...]
    models: tuple[SourceModel, ...]
    group_ids: NDArray[np.str_]
    seed: int = 0

    @property
    def columns(self) -> dict[str, tuple[int, str]]:
        """The column and the unit of each descriptor, by name."""
        flat = [each for feature_set in self.feature_sets for each in feature_set]
        return {name: (column, unit) for column, (name, unit) in enumerate(flat)}

    def allowed_rows(self) -> tuple[Samples, ...]:
        """Select the helpers' materials that belong to no group of the target."""
        return tuple(helper.take(~np.isin(helper.group_ids, self.group_ids)) for helper in self.helpers)


class Fitted(Protocol):
    """A method fitted on some experiments."""

    @property
    def summary(self) -> str:
        """A readable description of the fit in one line; empty where there is none."""

    def predict(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
    ) -> NDArray[np.float64]:
        """Predict m materials, (m,).

        Args:
            features: (m, d) descriptors.
            helper_predictions: Of each helper, for these materials.
        """


class Method(Protocol):
    """A way to combine computed sources with experiments."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings in which its predictions differ."""

    def fit(self, train: Samples, helper_predictions: Sequence[HelperPredictions], setting: Setting) -> Fitted:
        """Fit on experiments.

        Args:
            train: The experiments.
            helper_predictions: Of each helper, for their materials.
            setting: What may be used of the computed sources.

        Raises:
            LearningError: The method cannot be used here; the message says why.
        """
