"""The stack of one setting: level-1 models, meta-learner, intervals and domain, fitted and applied to joined inputs.

Fitting has two steps, because settings share views: `fit_training` fits the level-1 models of every view once,
`fit_stack` joins those of one setting. Not here: the helpers, and what is given to people with a prediction
(`ensemble`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.neighbors import Neighborhood, fit_neighborhood
from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.settings import VIEWS, HelperPredictions, View
from matstrata.pipelines.learning.splits import assign_folds
from matstrata.pipelines.learning.stack import domain, intervals
from matstrata.pipelines.learning.stack.difficulty import DIFFICULTY_NEIGHBORS, Difficulty, fit_difficulty
from matstrata.pipelines.learning.stack.inputs import layers_of, view_inputs
from matstrata.pipelines.learning.stack.level1 import Level1, fit_level1, predict_levels, select_models
from matstrata.pipelines.learning.stack.stacking import Meta, cross_fit, fit_meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.schemas.terms import Setting

MIN_TARGET_MATERIALS = 10  # below, there is nothing to hold out in two nested levels
UNBOUNDED = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Stack:
    """Level-1 models joined by a meta-learner, with intervals and domain, over inputs that are already computed.

    Attributes:
        setting: What it may use of the computed sources.
        levels: Models with a weight, by view.
        meta: The meta-learner over them, in their order.
        calibration: Turns sizes and chances into intervals.
        other_calibrations: The same at the levels `intervals.OTHER_LEVELS`.
        errors: The error to expect of the value itself.
        neighborhood: The training materials as points.
        domain: Where predictions may be trusted.
        bounds: Smallest and largest possible value of the property.
    """

    setting: Setting
    levels: tuple[Level1, ...]
    meta: Meta
    calibration: intervals.Calibration
    other_calibrations: tuple[intervals.Calibration, ...]
    errors: Difficulty
    neighborhood: Neighborhood
    domain: domain.Domain
    bounds: tuple[float, float]

    def predict(
        self,
        features: NDArray[np.float64],
        material_ids: NDArray[np.str_],
        helper_predictions: Sequence[HelperPredictions],
    ) -> StackPredictions:
        """Predict m materials from their descriptors and the helpers' predictions.

        Args:
            features: (m, d) descriptors.
            material_ids: (m,) reduced formulas.
            helper_predictions: Of each helper, for the same materials.
        """
        columns, sizes, chance = self._join(features, helper_predictions)
        nearest, distances = self.neighborhood.nearest(features, DIFFICULTY_NEIGHBORS)
        share = self.meta.share(chance)
        values = (sizes * share).clip(*self.bounds)
        spread = columns.std(axis=1)
        difficulty = self.calibration.difficulty.of(nearest, spread)
        expected = self.errors.of(nearest, disagreement(sizes, spread, chance))

        def ends(calibration: intervals.Calibration) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            lower, upper = calibration.interval(sizes, chance, difficulty)
            return np.minimum(lower, values).clip(*self.bounds), np.maximum(upper, values).clip(*self.bounds)

        lower, upper = ends(self.calibration)
        return StackPredictions(
            values=values,
            lower=lower,
            upper=upper,
            other_intervals=np.array([ends(calibration) for calibration in self.other_calibrations]),
            chance=chance,
            in_domain=self.domain.contains(distances, expected, material_ids),
            columns=columns * share[:, None],
            nearest=nearest,
            distances=distances,
        )

    def values(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
    ) -> NDArray[np.float64]:
        """Predict the (m,) values alone, without interval and domain."""
        _, sizes, chance = self._join(features, helper_predictions)
        return (sizes * self.meta.share(chance)).clip(*self.bounds)

    def _join(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Predict by each regressor, (m, c), and join sizes and chances, (m,) each."""
        inputs = [view_inputs(level.view, features, helper_predictions) for level in self.levels]
        columns, chances = predict_levels(self.levels, inputs)
        return columns, self.meta.size(columns).clip(*self.bounds), self.meta.chance(chances)


def disagreement(
    sizes: NDArray[np.float64], spread: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Estimate how far the models disagree about the value: about its size, and about whether it is zero.

    With p the probability of not being zero, s the size and d the standard deviation of the regressors' sizes, that is
    p d + 2 s p (1 - p): the second term is the mean absolute difference of two draws from {0, s}.

    Args:
        sizes: (m,) joint sizes s.
        spread: (m,) standard deviations d.
        chance: (m,) joint probabilities p.

    Returns:
        (m,) in the property's unit.
    """
    return spread * chance + 2 * np.abs(sizes) * chance * (1 - chance)


@dataclass(frozen=True, slots=True)
class StackPredictions:
    """Predictions of a stack for m materials.

    Attributes:
        values: (m,) predicted values.
        lower: (m,) lower ends of the 90 % intervals.
        upper: (m,) upper ends.
        other_intervals: (levels, 2, m) lower and upper ends at the levels `intervals.OTHER_LEVELS`.
        chance: (m,) probabilities of not being zero; 1 where zero is not a class of its own.
        in_domain: (m,) whether the material is close to measured ones.
        columns: (m, c) prediction of each regressor.
        nearest: (m, k) positions of the nearest training materials.
        distances: (m, k) their distances.
    """

    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    other_intervals: NDArray[np.float64]
    chance: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    columns: NDArray[np.float64]
    nearest: NDArray[np.intp]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Training:
    """The training side of one fit: everything that the settings share.

    Attributes:
        samples: The target's training materials.
        hurdle: Whether zero is a class of its own among their values.
        folds: (n,) inner folds over the units.
        levels: Level-1 models of each view.
        neighborhood: The materials as points.
        nearest: (n, k) nearest materials of each, none of its own unit.
        distances: (n, k) their distances.
    """

    samples: Samples
    hurdle: bool
    folds: NDArray[np.intp]
    levels: dict[View, Level1]
    neighborhood: Neighborhood
    nearest: NDArray[np.intp]
    distances: NDArray[np.float64]


def inner_folds(n: int) -> int:
    """Choose the number of inner folds: more where materials are few, and leaving some out costs more."""
    return 6 if n < 500 else 5 if n < 2000 else 4


def fit_training(
    samples: Samples,
    units: NDArray[np.intp],
    helper_predictions: Sequence[HelperPredictions],
    settings: Sequence[Setting],
    seed: int,
) -> Training:
    """Fit the level-1 models of every view that the settings need, once each.

    Args:
        samples: The training materials.
        units: (n,) what inner folds keep whole.
        helper_predictions: Of each helper, for these materials.
        settings: The settings whose views are fitted.
        seed: Fixes random choices.

    Raises:
        LearningError: There are too few materials, or all of them are in one unit.
    """
    values = target_values(samples)
    if len(values) < MIN_TARGET_MATERIALS:
        raise LearningError(
            f"{samples.source}: {len(values)} materials to train on; at least {MIN_TARGET_MATERIALS} are needed"
        )
    folds = assign_folds(units, inner_folds(len(values)), seed)
    views = dict.fromkeys(view for setting in settings for view in VIEWS[setting])
    hurdle = is_zero_inflated(values)
    feature_sets = samples.widths or (samples.features.shape[1],)
    levels = {}
    for view in views:
        inputs = view_inputs(view, samples.features, helper_predictions)
        layers = layers_of(view, helper_predictions)
        levels[view] = fit_level1(view, inputs, feature_sets, layers, values, folds, seed, hurdle=hurdle)
    neighborhood = fit_neighborhood(samples.features)
    nearest, distances = neighborhood.nearest_outside(units, DIFFICULTY_NEIGHBORS)
    return Training(samples, hurdle, folds, levels, neighborhood, nearest, distances)


def fit_stack(training: Training, setting: Setting, bounds: tuple[float, float]) -> Stack:
    """Fit the meta-learner, intervals and domain of one setting to out-of-fold predictions of the training materials.

    Args:
        training: The level-1 models.
        setting: Which of their views to join.
        bounds: Smallest and largest possible value of the property.
    """
    samples, values = training.samples, target_values(training.samples)
    levels = tuple(training.levels[view] for view in VIEWS[setting])
    meta = fit_meta(*_out_of_fold(levels), values)
    levels = select_models(levels, meta.size_weights > 0, meta.chance_weights > 0)
    columns, chances = _out_of_fold(levels)
    sizes, chance, share = cross_fit(columns, chances, values, training.folds)
    sizes, spread = sizes.clip(*bounds), columns.std(axis=1)
    errors = fit_difficulty(np.abs((sizes * share).clip(*bounds) - values))
    expected = errors.of(training.nearest, disagreement(sizes, spread, chance))

    def calibrated(confidence: float) -> intervals.Calibration:
        return intervals.calibrate(
            values, sizes, chance, training.nearest, spread, hurdle=training.hurdle, predicted_zero=share == 0,
            trained_share=1 - 1 / (int(training.folds.max()) + 1), confidence=confidence,
        )  # fmt: skip

    return Stack(
        setting=setting,
        levels=levels,
        meta=meta.used(),
        calibration=calibrated(intervals.INTERVAL_LEVEL),
        other_calibrations=tuple(map(calibrated, intervals.OTHER_LEVELS)),
        errors=errors,
        neighborhood=training.neighborhood,
        domain=domain.fit_domain(training.distances, expected, samples.material_ids),
        bounds=bounds,
    )


def _out_of_fold(levels: Sequence[Level1]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Join the out-of-fold sizes (n, c) and chances (n, d) of all models of some levels."""
    return np.hstack([level.sizes for level in levels]), np.hstack([level.chances for level in levels])
