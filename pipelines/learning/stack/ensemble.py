"""The ensemble of one property: helper models, level-1 regressors, weights, intervals, domain, in one predictor.

Not here: how good it is (`evaluation`), how it is saved (`persistence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.models.network import Networks
from matstrata.pipelines.learning.neighbors import Neighbourhood, fit_neighbourhood
from matstrata.pipelines.learning.samples import Samples, known_values, target_values
from matstrata.pipelines.learning.splits import Split, assign_folds, split_units
from matstrata.pipelines.learning.stack import domain, intervals
from matstrata.pipelines.learning.stack.difficulty import NEIGHBOURS, Difficulty, fit_difficulty
from matstrata.pipelines.learning.stack.level1 import (
    VIEWS,
    Level1,
    Setting,
    Testimony,
    View,
    fit_level1,
    keep_models,
    layers_of,
    predict_levels,
    testify,
    view_inputs,
)
from matstrata.pipelines.learning.stack.stacking import Meta, cross_joined, fit_meta
from matstrata.pipelines.learning.threads import one_thread, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.stack.level1 import Helper

FEWEST = 10  # materials: below, nothing can be held out twice over
SHOWN = 5  # nearest materials given with a prediction
VALUE_RANGE = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Stack:
    """Level-1 models joined by a meta-learner, with intervals and domain, over inputs that are already made.

    Attributes:
        setting: What it may know of the computations.
        levels: Models that have a weight, by view.
        meta: What joins them, over the views in order.
        calibration: Turns sizes and chances into intervals.
        further: The same at the levels `intervals.FURTHER`.
        errors: What error to expect of the value itself.
        neighbourhood: The training materials as points.
        domain: Where it may be trusted.
        bounds: Smallest and largest possible value of the property.
    """

    setting: Setting
    levels: tuple[Level1, ...]
    meta: Meta
    calibration: intervals.Calibration
    further: tuple[intervals.Calibration, ...]
    errors: Difficulty
    neighbourhood: Neighbourhood
    domain: domain.Domain
    bounds: tuple[float, float]

    def predict(
        self, features: NDArray[np.float64], material_ids: NDArray[np.str_], testimonies: Sequence[Testimony]
    ) -> StackPredictions:
        """Predict m materials from their descriptors and what the helpers say."""
        columns, sizes, chance = self._join(features, testimonies)
        nearest, distances = self.neighbourhood.nearest(features, NEIGHBOURS)
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
            further=np.array([ends(calibration) for calibration in self.further]),
            chance=chance,
            in_domain=self.domain.contains(distances, expected, material_ids),
            columns=columns * share[:, None],
            nearest=nearest,
            distances=distances,
        )

    def values(self, features: NDArray[np.float64], testimonies: Sequence[Testimony]) -> NDArray[np.float64]:
        """The (m,) values alone, without interval and domain."""
        _, sizes, chance = self._join(features, testimonies)
        return (sizes * self.meta.share(chance)).clip(*self.bounds)

    def _join(
        self, features: NDArray[np.float64], testimonies: Sequence[Testimony]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """What each regressor says, (m, c); the joint sizes and chances, (m,)."""
        inputs = [view_inputs(level.view, features, testimonies) for level in self.levels]
        columns, chances = predict_levels(self.levels, inputs)
        return columns, self.meta.size(columns).clip(*self.bounds), self.meta.chance(chances)


def disagreement(
    sizes: NDArray[np.float64], spread: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far the models disagree about the value, (m,): about the size, and about whether it is zero."""
    return spread * chance + 2 * np.abs(sizes) * chance * (1 - chance)


@dataclass(frozen=True, slots=True)
class StackPredictions:
    """Predictions of a stack: (m,) arrays; `columns` (m, c) by regressor; `nearest`, `distances` (m, k).

    `chance` is that of not being zero, 1 where zero is no class of its own; `further` (levels, 2, m) holds the lower
    and upper ends at the levels `intervals.FURTHER`.
    """

    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    further: NDArray[np.float64]
    chance: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    columns: NDArray[np.float64]
    nearest: NDArray[np.intp]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What the model of one source says.

    Attributes:
        source: Name of the source.
        kind: ``experiment`` or ``computation``.
        given: Helper sources whose word this model had; empty for a model of its source alone.
        properties: The p properties it speaks about.
        predicted: (m, p) its predictions, in the properties' units.
        known: (m, p) the source's own values, NaN where it has none; all NaN for the target.
        weight: For models of the target, their share of the prediction. For a helper, the share of the models that
            were given its word: it speaks through them, never directly.
    """

    source: str
    kind: str
    given: tuple[str, ...]
    properties: tuple[str, ...]
    predicted: NDArray[np.float64]
    known: NDArray[np.float64]
    weight: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions with their reasons, for m materials.

    Attributes:
        material_ids: (m,) reduced formulas.
        values: (m,) predicted values.
        lower: (m,) lower end of the 90 % interval, within the property's bounds.
        upper: (m,) upper end.
        chance: (m,) calibrated chance that the value is not zero; None where zero is no class of its own.
        in_domain: (m,) whether the material is close to measured ones.
        contributions: What each source's models said.
        nearest_ids: (m, k) nearest measured materials, nearest first.
        nearest_values: (m, k) their measured values.
        distances: (m, k) how far they lie, in standard deviations per descriptor.
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
        helpers: Models of the helper sources, and networks taught by all of them.
        stack: What joins them.
        material_ids: (n,) materials it was trained on.
        measured: (n,) their values.
    """

    source: str
    kind: str
    property_name: str
    helpers: tuple[Helper, ...]
    stack: Stack
    material_ids: NDArray[np.str_]
    measured: NDArray[np.float64]

    @property
    def sources(self) -> tuple[SourceModel, ...]:
        """The models of one source each."""
        return tuple(helper for helper in self.helpers if not isinstance(helper, Networks))

    def weights(self) -> dict[str, float]:
        """Name the share of each level-1 regressor, such as ``given_known.trees``."""
        meta, levels = self.stack.meta, self.stack.levels
        names = [f"{level.view}.{name}" for level in levels for name in level.names]
        chances = [f"{level.view}.{name} (not zero)" for level in levels for name in level.chance_names]
        weights = (*meta.size_weights.tolist(), *meta.chance_weights.tolist())
        return dict(zip((*names, *chances), weights, strict=True))

    def predict(
        self,
        features: NDArray[np.float64],
        material_ids: NDArray[np.str_],
        known: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> Predictions:
        """Predict the property of m materials.

        Args:
            features: (m, d) descriptors, in the columns of training.
            material_ids: (m,) reduced formulas.
            known: For a helper source, (m, p) computed values of these materials, NaN where it has none
                (`samples.known_values`); a source left out counts as knowing nothing.

        Raises:
            LearningError: when there is no material, or the number of descriptors is not that of training.
        """
        if not len(material_ids):
            raise LearningError(f"{self.property_name}: no material to predict")
        n_features = self.stack.neighbourhood.points.shape[1]
        if features.ndim != 2 or features.shape[1] != n_features:
            raise LearningError(f"{self.property_name}: features must be (m, {n_features}), not {features.shape}")
        values_of = known or {}
        with one_thread():
            testimonies = side_by_side(
                partial(testify, helper, features, values_of.get(helper.source)) for helper in self.helpers
            )
            said = self.stack.predict(features, material_ids, testimonies)
        shown = said.nearest[:, :SHOWN]
        return Predictions(
            material_ids=material_ids,
            values=said.values,
            lower=said.lower,
            upper=said.upper,
            chance=said.chance if len(self.stack.meta.chance_weights) else None,
            in_domain=said.in_domain,
            contributions=(*self._own_contributions(said.columns), *self._helper_contributions(testimonies)),
            nearest_ids=self.material_ids[shown],
            nearest_values=self.measured[shown],
            distances=said.distances[:, :SHOWN],
        )

    def _own_contributions(self, columns: NDArray[np.float64]) -> list[Contribution]:
        contributions, start = [], 0
        for level in (level for level in self.stack.levels if level.names):
            part = slice(start, start := start + len(level.names))
            weight = float(self.stack.meta.size_weights[part].sum())
            predicted = (columns[:, part] @ self.stack.meta.size_weights[part] / weight)[:, None]
            given = () if level.view is View.ALONE else tuple(helper.source for helper in self.sources)
            nothing = np.full_like(predicted, np.nan)
            contributions.append(
                Contribution(self.source, self.kind, given, (self.property_name,), predicted, nothing, weight)
            )
        return contributions

    def _helper_contributions(self, testimonies: Sequence[Testimony]) -> list[Contribution]:
        counts = [(level.view, len(level.names)) for level in self.stack.levels]
        views = np.repeat([view for view, _ in counts], [count for _, count in counts])
        weight = float(self.stack.meta.size_weights[views != View.ALONE].sum())
        return [
            Contribution(
                helper.source,
                helper.kind,
                (),
                helper.properties,
                helper.unscale(testimony.predicted),
                helper.unscale(testimony.known),
                weight,
            )
            for helper, testimony in zip(self.helpers, testimonies, strict=True)
            if not isinstance(helper, Networks)
        ]


@dataclass(frozen=True, slots=True)
class Training:
    """The training side of one fit: everything that the settings share.

    Attributes:
        samples: The target's training materials.
        hurdle: Whether zero is a class of its own among their values.
        folds: (n,) inner folds over the units.
        levels: Level-1 regressors of each view.
        neighbourhood: The materials as points.
        nearest: (n, k) nearest materials of each, none of its own unit.
        distances: (n, k) how far they lie.
    """

    samples: Samples
    hurdle: bool
    folds: NDArray[np.intp]
    levels: dict[View, Level1]
    neighbourhood: Neighbourhood
    nearest: NDArray[np.intp]
    distances: NDArray[np.float64]


def inner_folds(n: int) -> int:
    """Choose the number of inner folds: more where materials are few and each is missed."""
    return 6 if n < 500 else 5 if n < 2000 else 4


def fit_training(
    samples: Samples,
    units: NDArray[np.intp],
    testimonies: Sequence[Testimony],
    settings: Sequence[Setting],
    seed: int,
) -> Training:
    """Fit the level-1 regressors of every view that the settings need, once each.

    Raises:
        LearningError: when there are too few materials, or all of them in one unit.
    """
    values = target_values(samples)
    if len(values) < FEWEST:
        raise LearningError(f"{samples.source}: {len(values)} materials to train on; at least {FEWEST} are needed")
    folds = assign_folds(units, inner_folds(len(values)), seed)
    views = dict.fromkeys(view for setting in settings for view in VIEWS[setting])
    hurdle = is_zero_inflated(values)
    feature_sets = samples.widths or (samples.features.shape[1],)
    levels = {}
    for view in views:
        inputs, layers = view_inputs(view, samples.features, testimonies), layers_of(view, testimonies)
        levels[view] = fit_level1(view, inputs, feature_sets, layers, values, folds, seed, hurdle=hurdle)
    neighbourhood = fit_neighbourhood(samples.features)
    nearest, distances = neighbourhood.nearest_outside(units, NEIGHBOURS)
    return Training(samples, hurdle, folds, levels, neighbourhood, nearest, distances)


def fit_stack(training: Training, setting: Setting, bounds: tuple[float, float]) -> Stack:
    """Weigh, calibrate and delimit the regressors of one setting, from held-out predictions of training materials."""
    samples, values = training.samples, target_values(training.samples)
    levels = tuple(training.levels[view] for view in VIEWS[setting])
    meta = fit_meta(*_said(levels), values)
    levels = keep_models(levels, meta.size_weights > 0, meta.chance_weights > 0)
    columns, chances = _said(levels)
    sizes, chance, share = cross_joined(columns, chances, values, training.folds)
    sizes, spread = sizes.clip(*bounds), columns.std(axis=1)
    errors = fit_difficulty(np.abs((sizes * share).clip(*bounds) - values))
    expected = errors.of(training.nearest, disagreement(sizes, spread, chance))

    def calibrated(confidence: float) -> intervals.Calibration:
        return intervals.calibrate(
            values, sizes, chance, training.nearest, spread, hurdle=training.hurdle, silent=share == 0,
            trained=1 - 1 / (int(training.folds.max()) + 1), confidence=confidence,
        )  # fmt: skip

    return Stack(
        setting=setting,
        levels=levels,
        meta=meta.used(),
        calibration=calibrated(intervals.CONFIDENCE),
        further=tuple(map(calibrated, intervals.FURTHER)),
        errors=errors,
        neighbourhood=training.neighbourhood,
        domain=domain.fit_domain(training.distances, expected, samples.material_ids),
        bounds=bounds,
    )


def _said(levels: Sequence[Level1]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The held-out sizes (n, c) and chances (n, d) of all models of some levels."""
    return np.hstack([level.sizes for level in levels]), np.hstack([level.chances for level in levels])


def hear_helpers(
    target: Samples, helper_models: Sequence[Helper], helper_samples: Sequence[Samples]
) -> tuple[Testimony, ...]:
    """Ask every helper about the target's materials, having made sure that no model has seen any of them.

    Args:
        target: The target's materials.
        helper_models: Models from `train_source_model(…, exclude_groups=target.group_ids)`, and `teach_networks`.
        helper_samples: The same sources' own values, for the known-DFT setting; a source not among them is not known.

    Raises:
        LeakageError: when a helper model was trained on a group of the target, or known values are experimental.
    """
    samples_of = {samples.source: samples for samples in helper_samples}
    testimonies = []
    for model in helper_models:
        model.check_blind_to(target.group_ids)
        helper = samples_of.get(model.source)
        known = None if helper is None else known_values(helper, target.material_ids)
        testimonies.append(testify(model, target.features, known))
    return tuple(testimonies)


def train_ensemble(
    target: Samples,
    helper_models: Sequence[Helper],
    helper_samples: Sequence[Samples],
    bounds: tuple[float, float] = VALUE_RANGE,
    seed: int = 0,
) -> Ensemble:
    """Train the predictor that serves: known computed values are used where a composition has them.

    Args:
        target: The experiments, one property.
        helper_models: Models of the helper sources, blind to the target's groups; none for experiment alone.
        helper_samples: The helper sources' own values.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.

    Raises:
        LeakageError: when a helper model was trained on a group of the target.
        LearningError: when there are too few materials.
    """
    setting = Setting.KNOWN_DFT if helper_models else Setting.WITHOUT_DFT
    units = split_units(target, Split.GROUPED_KFOLD)
    with one_thread():
        testimonies = hear_helpers(target, helper_models, helper_samples)
        training = fit_training(target, units, testimonies, [setting], seed)
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
