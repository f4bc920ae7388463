"""Difference learning: a model of the difference between experiment and computed value (doi:10.1021/acs.jctc.5b00099).

    y(x) = c(x) + g(x, c(x)),    g fitted to the differences y_i - c(x_i) of the experiments

The computed value c(x) is that of the most accurate source that has one, or else what that source's model predicts;
accuracy is the mean absolute error against the training experiments. Not here: several sources as inputs at once
(`pipelines.learning.stack`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.models.kernel import train_kernel_ridge
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.splits import split_units
from matstrata.pipelines.learning.stack.inputs import blocks_of_inputs
from matstrata.pipelines.learning.stack.level1 import MAX_KERNEL_ROWS, forest
from matstrata.pipelines.learning.threads import run_in_parallel
from matstrata.schemas.terms import Setting, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import HelperData
    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.settings import HelperPredictions

MIN_COMPUTED_VALUES = 20  # of experiments' materials, for a source's accuracy to be measured by them


@dataclass(frozen=True, slots=True)
class Delta:
    """The method, with position and column of the property in each helper that reports it."""

    models: tuple[SourceModel, ...]
    positions: tuple[tuple[int, int], ...]
    seed: int
    settings: tuple[Setting, ...] = (Setting.STRICT, Setting.KNOWN_DFT)

    @classmethod
    def prepare(cls, data: HelperData) -> Self:
        """Find the helpers whose values differences can be taken from.

        Raises:
            LearningError: No helper reports the property.
        """
        positions = tuple(
            (helper, model.properties.index(data.property_name))
            for helper, model in enumerate(data.models)
            if data.property_name in model.properties and model.n_rows
        )
        if not positions:
            raise LearningError(f"no computed source reports {data.property_name}, so there is no difference to it")
        return cls(data.models, positions, data.seed)

    def fit(self, train: Samples, helper_predictions: Sequence[HelperPredictions], setting: Setting) -> FittedDelta:
        """Rank the sources by their error, and fit the differences from their values."""
        values = target_values(train)
        predicted, computed = self.source_values(helper_predictions, setting)
        has_many = np.isfinite(computed).sum(axis=0) >= MIN_COMPUTED_VALUES
        errors = np.abs(np.where(has_many, computed, predicted) - values[:, None])
        order = np.argsort(np.nanmean(errors, axis=0))
        base, inputs = _baseline(train.features, predicted[:, order], computed[:, order])
        feature_sets = train.widths or (train.features.shape[1],)
        widths = blocks_of_inputs(inputs.shape[1], feature_sets, 0)
        units = split_units(train, Split.GROUPED_KFOLD)
        fits = [partial(forest(len(values), self.seed).fit, inputs, values - base)]
        if len(values) <= MAX_KERNEL_ROWS:
            fits.append(partial(train_kernel_ridge, inputs, values - base, widths, units, self.seed))
        return FittedDelta(self, setting, order, tuple(run_in_parallel(fits)))

    def source_values(
        self, helper_predictions: Sequence[HelperPredictions], setting: Setting
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return predicted and computed values of the s helpers, (m, s) each, in the property's unit."""
        predicted = [self.models[h].unscale(helper_predictions[h].predicted)[:, column] for h, column in self.positions]
        computed = [self.models[h].unscale(helper_predictions[h].computed)[:, column] for h, column in self.positions]
        if setting is not Setting.KNOWN_DFT:
            computed = [np.full_like(each, np.nan) for each in computed]
        return np.column_stack(predicted), np.column_stack(computed)


@dataclass(frozen=True, slots=True)
class FittedDelta:
    """Regressors of the difference, with the sources from the most accurate to the least."""

    method: Delta
    setting: Setting
    order: NDArray[np.intp]
    models: tuple[Any, ...]

    @property
    def summary(self) -> str:
        """The source whose values it starts from."""
        helper, _ = self.method.positions[self.order[0]]
        return f"differences to {self.method.models[helper].source} first"

    def predict(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
    ) -> NDArray[np.float64]:
        """Add the mean difference that the regressors predict."""
        predicted, computed = self.method.source_values(helper_predictions, self.setting)
        base, inputs = _baseline(features, predicted[:, self.order], computed[:, self.order])
        differences: NDArray[np.float64] = np.mean([model.predict(inputs) for model in self.models], axis=0)
        return base + differences


def _baseline(
    features: NDArray[np.float64], predicted: NDArray[np.float64], computed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Choose the computed value to start from, (m,), and join the inputs.

    The inputs are descriptors, that value, the number of its source, and all predictions.
    """
    finite = np.isfinite(computed)
    source = np.where(finite.any(axis=1), finite.argmax(axis=1), finite.shape[1])
    candidates = np.column_stack([computed, predicted[:, 0]])
    base = candidates[np.arange(len(source)), source]
    return base, np.column_stack([features, base, source, predicted])
