"""Difference learning: a model of what experiment differs by from the computed value (doi:10.1021/acs.jctc.5b00099).

The computed value of a composition is that of the most trusted source that has one, and else what that source's model
predicts. Trust is the error against the training experiments. Not here: several sources heard at once (the stack).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.models.kernel import train_kernel
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.splits import Split, split_units
from matstrata.pipelines.learning.stack.level1 import MANY, Setting, blocks_of_inputs, forest
from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import Lessons
    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.stack.level1 import Testimony

FEWEST = 20  # experiments with a computed value, from which on a source can be judged by them


@dataclass(frozen=True, slots=True)
class Delta:
    """The method, with the positions of the helpers that report the property."""

    models: tuple[SourceModel, ...]
    places: tuple[tuple[int, int], ...]
    seed: int
    settings: tuple[Setting, ...] = (Setting.STRICT, Setting.KNOWN_DFT)

    @classmethod
    def taught(cls, lessons: Lessons) -> Self:
        """Find the computed values that differences can be taken from.

        Raises:
            LearningError: when no helper reports the property.
        """
        places = tuple(
            (which, model.properties.index(lessons.property_name))
            for which, model in enumerate(lessons.models)
            if lessons.property_name in model.properties and model.n_rows
        )
        if not places:
            raise LearningError(f"no computed source teaches {lessons.property_name}, so there is no difference to it")
        return cls(lessons.models, places, lessons.seed)

    def fit(self, seen: Samples, told: Sequence[Testimony], setting: Setting) -> FittedDelta:
        """Rank the sources by their error, and fit the differences to what they say."""
        values = target_values(seen)
        predicted, known = self.heard(told, setting)
        errors = np.abs(np.where(np.isfinite(known).sum(axis=0) >= FEWEST, known, predicted) - values[:, None])
        order = np.argsort(np.nanmean(errors, axis=0))
        base, inputs = _baseline(seen.features, predicted[:, order], known[:, order])
        feature_sets = seen.widths or (seen.features.shape[1],)
        widths = blocks_of_inputs(inputs.shape[1], feature_sets, 0)
        units = split_units(seen, Split.GROUPED_KFOLD)
        fits = [partial(forest(len(values), self.seed).fit, inputs, values - base)]
        fits += [partial(train_kernel, inputs, values - base, widths, units, self.seed)] if len(values) <= MANY else []
        return FittedDelta(self, setting, order, tuple(side_by_side(fits)))

    def heard(
        self, testimonies: Sequence[Testimony], setting: Setting
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the s helpers predict, (m, s), and what they know, (m, s), in the property's unit."""
        predicted = [self.models[h].unscale(testimonies[h].predicted)[:, column] for h, column in self.places]
        known = [self.models[h].unscale(testimonies[h].known)[:, column] for h, column in self.places]
        if setting is not Setting.KNOWN_DFT:
            known = [np.full_like(each, np.nan) for each in known]
        return np.column_stack(predicted), np.column_stack(known)


@dataclass(frozen=True, slots=True)
class FittedDelta:
    """Regressors of the difference, over the sources from the most trusted to the least."""

    method: Delta
    setting: Setting
    order: NDArray[np.intp]
    models: tuple[Any, ...]

    @property
    def says(self) -> str:
        """Whose values it starts from."""
        helper, _ = self.method.places[self.order[0]]
        return f"differences to {self.method.models[helper].source} first"

    def predict(self, features: NDArray[np.float64], asked: Sequence[Testimony]) -> NDArray[np.float64]:
        """Add the mean difference that the regressors predict."""
        predicted, known = self.method.heard(asked, self.setting)
        base, inputs = _baseline(features, predicted[:, self.order], known[:, self.order])
        differences: NDArray[np.float64] = np.mean([model.predict(inputs) for model in self.models], axis=0)
        return base + differences


def _baseline(
    features: NDArray[np.float64], predicted: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The computed value to start from, (m,), and the inputs: descriptors, that value, whose it is, all predictions."""
    there = np.isfinite(known)
    whose = np.where(there.any(axis=1), there.argmax(axis=1), there.shape[1])
    candidates = np.column_stack([known, predicted[:, 0]])
    base = candidates[np.arange(len(whose)), whose]
    return base, np.column_stack([features, base, whose, predicted])
