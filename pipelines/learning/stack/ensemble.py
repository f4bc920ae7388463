"""The ensemble of one property: helper models and the stack in one predictor, with contributions and neighbors.

Not here: how the stack is fitted (`stack`), how good it is (`evaluation`), how it is saved (`persistence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.models.network import Networks
from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.settings import HelperPredictions, View
from matstrata.pipelines.learning.splits import split_units
from matstrata.pipelines.learning.stack.inputs import predict_helper, predict_helpers
from matstrata.pipelines.learning.stack.stack import UNBOUNDED, Stack, fit_stack, fit_training
from matstrata.pipelines.learning.threads import one_thread, run_in_parallel
from matstrata.schemas.terms import Kind, Setting, Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.stack.inputs import Helper

REPORTED_NEIGHBORS = 5  # nearest materials given with a prediction


@dataclass(frozen=True, slots=True)
class Contribution:
    """What the models of one source contribute to the predictions of m materials.

    Attributes:
        source: Name of the source.
        kind: Its kind.
        helpers: Helper sources whose predictions were inputs of this model; empty for a model of its source alone.
        properties: The p properties predicted.
        predicted: (m, p) its predictions, in the properties' units.
        computed: (m, p) the source's own values, NaN where it has none; all NaN for the target.
        weight: For models of the target, their share of the prediction. For a helper, the share of the models that
            take its predictions as inputs: it contributes through them, never directly.
    """

    source: str
    kind: Kind
    helpers: tuple[str, ...]
    properties: tuple[str, ...]
    predicted: NDArray[np.float64]
    computed: NDArray[np.float64]
    weight: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions with what they rest on, for m materials.

    Attributes:
        material_ids: (m,) reduced formulas.
        values: (m,) predicted values.
        lower: (m,) lower end of the 90 % interval, within the property's bounds.
        upper: (m,) upper end.
        chance: (m,) calibrated probability that the value is not zero; None where zero is not a class of its own.
        in_domain: (m,) whether the material is close to measured ones.
        contributions: What the models of each source contribute.
        nearest_ids: (m, k) nearest measured materials, nearest first.
        nearest_values: (m, k) their measured values.
        distances: (m, k) their distances, in standard deviations per descriptor.
    """

    material_ids: NDArray[np.str_]
    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    chance: NDArray[np.float64] | None
    in_domain: NDArray[np.bool_]
    contributions: tuple[Contribution, ...]
    nearest_ids: NDArray[np.str_]
    nearest_values: NDArray[np.float64]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """One property's predictor.

    Attributes:
        source: The target source.
        kind: Its kind.
        property_name: The property predicted.
        helpers: Models of the helper sources, and networks trained on all of them.
        stack: Joins them.
        material_ids: (n,) materials it was trained on.
        measured: (n,) their values.
    """

    source: str
    kind: Kind
    property_name: str
    helpers: tuple[Helper, ...]
    stack: Stack
    material_ids: NDArray[np.str_]
    measured: NDArray[np.float64]

    @property
    def sources(self) -> tuple[SourceModel, ...]:
        """The helpers that are the model of one source."""
        return tuple(helper for helper in self.helpers if not isinstance(helper, Networks))

    def weights(self) -> dict[str, float]:
        """Give the share of each level-1 model by name, such as ``given_known.trees``."""
        meta, levels = self.stack.meta, self.stack.levels
        names = [f"{level.view}.{name}" for level in levels for name in level.names]
        chances = [f"{level.view}.{name} (not zero)" for level in levels for name in level.chance_names]
        weights = (*meta.size_weights.tolist(), *meta.chance_weights.tolist())
        return dict(zip((*names, *chances), weights, strict=True))

    def predict(
        self,
        features: NDArray[np.float64],
        material_ids: NDArray[np.str_],
        computed: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> Predictions:
        """Predict the property of m materials.

        Args:
            features: (m, d) descriptors, in the columns of training.
            material_ids: (m,) reduced formulas.
            computed: For a helper source, (m, p) computed values of these materials, NaN where it has none
                (`samples.computed_values`); a source left out counts as having computed nothing.

        Raises:
            LearningError: There is no material, or the number of descriptors is not that of training.
        """
        if not len(material_ids):
            raise LearningError(f"{self.property_name}: no material to predict")
        n_features = self.stack.neighborhood.points.shape[1]
        if features.ndim != 2 or features.shape[1] != n_features:
            raise LearningError(f"{self.property_name}: features must be (m, {n_features}), not {features.shape}")
        values_of = computed or {}
        with one_thread():
            helper_predictions = run_in_parallel(
                partial(predict_helper, helper, features, values_of.get(helper.source)) for helper in self.helpers
            )
            predicted = self.stack.predict(features, material_ids, helper_predictions)
        nearest = predicted.nearest[:, :REPORTED_NEIGHBORS]
        return Predictions(
            material_ids=material_ids,
            values=predicted.values,
            lower=predicted.lower,
            upper=predicted.upper,
            chance=predicted.chance if len(self.stack.meta.chance_weights) else None,
            in_domain=predicted.in_domain,
            contributions=(
                *self._own_contributions(predicted.columns),
                *self._helper_contributions(helper_predictions),
            ),
            nearest_ids=self.material_ids[nearest],
            nearest_values=self.measured[nearest],
            distances=predicted.distances[:, :REPORTED_NEIGHBORS],
        )

    def _own_contributions(self, columns: NDArray[np.float64]) -> list[Contribution]:
        contributions, start = [], 0
        for level in (level for level in self.stack.levels if level.names):
            part = slice(start, start := start + len(level.names))
            weight = float(self.stack.meta.size_weights[part].sum())
            predicted = (columns[:, part] @ self.stack.meta.size_weights[part] / weight)[:, None]
            helpers = () if level.view is View.ALONE else tuple(helper.source for helper in self.sources)
            no_values = np.full_like(predicted, np.nan)
            contributions.append(
                Contribution(self.source, self.kind, helpers, (self.property_name,), predicted, no_values, weight)
            )
        return contributions

    def _helper_contributions(self, helper_predictions: Sequence[HelperPredictions]) -> list[Contribution]:
        counts = [(level.view, len(level.names)) for level in self.stack.levels]
        views = np.repeat([view for view, _ in counts], [count for _, count in counts])
        weight = float(self.stack.meta.size_weights[views != View.ALONE].sum())
        return [
            Contribution(
                helper.source,
                helper.kind,
                (),
                helper.properties,
                helper.unscale(each.predicted),
                helper.unscale(each.computed),
                weight,
            )
            for helper, each in zip(self.helpers, helper_predictions, strict=True)
            if not isinstance(helper, Networks)
        ]


def train_ensemble(
    target: Samples,
    helper_models: Sequence[Helper],
    helper_samples: Sequence[Samples],
    bounds: tuple[float, float] = UNBOUNDED,
    seed: int = 0,
) -> Ensemble:
    """Train the predictor that serves, which uses computed values where a composition has them.

    Args:
        target: The experiments, one property.
        helper_models: Models of the helper sources, blind to the target's groups; none for experiment alone.
        helper_samples: The helper sources' own values.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes random choices.

    Raises:
        LeakageError: A helper model was trained on a group of the target.
        LearningError: There are too few materials.
    """
    setting = Setting.KNOWN_DFT if helper_models else Setting.WITHOUT_DFT
    units = split_units(target, Split.GROUPED_KFOLD)
    with one_thread():
        helper_predictions = predict_helpers(target, helper_models, helper_samples)
        training = fit_training(target, units, helper_predictions, [setting], seed)
        stack = fit_stack(training, setting, bounds)
    return Ensemble(
        source=target.source,
        kind=target.kind,
        property_name=target.properties[0],
        helpers=tuple(helper_models),
        stack=stack,
        material_ids=target.material_ids,
        measured=target_values(target),
    )
