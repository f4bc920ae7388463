"""Level 1: models of the target property, trained on its experiments under one view of the inputs.

A *view* is what a model is given beside the descriptors: nothing, what the helper models predict, or that and the
known computed values. Under each view a few different regressors are fitted, and, where zero is a class of its own
(`hurdle`), classifiers for the chance that the value is not zero; the regressors then learn the size of what is not.
Layers of networks are for the kernel alone: for trees they are hundreds of columns that each say little.
Every one also predicts each training material from models that saw none of its unit. Not here: the weights that join
them (`stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Size, fit_boosted
from matstrata.pipelines.learning.models.corrected import fit_corrected
from matstrata.pipelines.learning.models.hurdle import chance_of
from matstrata.pipelines.learning.models.kernel import Kernel, find_reach, fit_kernel
from matstrata.pipelines.learning.models.network import Networks
from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel

    Helper = SourceModel | Networks

MANY = 6000  # materials beyond which a kernel over all pairs is slow
TREES = 100  # of each forest
BOOSTING = Size(trees=150, depth=5, rate=0.1)
BY_TREES, BY_KERNEL, BY_BOOSTING = "trees", "kernel", "boosting"
CLASSIFIERS = (BY_TREES, BY_BOOSTING)


class Setting(StrEnum):
    """What the models may know of the computations."""

    WITHOUT_DFT = "without_dft"
    STRICT = "strict"
    KNOWN_DFT = "known_dft"


class View(StrEnum):
    """What a level-1 model is given beside the descriptors."""

    ALONE = "alone"
    GIVEN_PREDICTIONS = "given_predictions"
    GIVEN_KNOWN = "given_known"


VIEWS = {
    Setting.WITHOUT_DFT: (View.ALONE,),
    Setting.STRICT: (View.ALONE, View.GIVEN_PREDICTIONS),
    Setting.KNOWN_DFT: (View.ALONE, View.GIVEN_KNOWN),
}


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one helper says about m materials, on its own scales.

    Attributes:
        predicted: (m, p) predictions of the helper's model, which has seen none of these materials.
        chances: (m, q) its chances of not being zero, for those of its properties where zero is a class of its own.
        known: (m, p) computed values of the source itself, NaN where it has none; (m, 0) of what is no source.
        layers: (m, h) how a network describes them; no columns of what is none.
    """

    predicted: NDArray[np.float64]
    chances: NDArray[np.float64]
    known: NDArray[np.float64]
    layers: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Testimony:
        """Keep some materials, given as a mask or as positions."""
        return Testimony(self.predicted[rows], self.chances[rows], self.known[rows], self.layers[rows])


@dataclass(frozen=True, slots=True)
class Level1:
    """The models of one view.

    Attributes:
        view: What they are given.
        layers: Number of the last input columns, which the kernel alone takes.
        names: Names of the c regressors.
        estimators: The regressors, fitted on all training materials; with a hurdle, on all whose value is not zero.
        sizes: (n, c) predictions for the training materials, each from a fit without the material's unit.
        chance_names: Names of the d classifiers; none without a hurdle.
        classifiers: The classifiers, fitted on all training materials.
        chances: (n, d) chances of not being zero, each from a fit without the material's unit.
    """

    view: View
    layers: int
    names: tuple[str, ...]
    estimators: tuple[Any, ...]
    sizes: NDArray[np.float64]
    chance_names: tuple[str, ...]
    classifiers: tuple[Any, ...]
    chances: NDArray[np.float64]


def keep_models(
    levels: Sequence[Level1], regressors_kept: NDArray[np.bool_], classifiers_kept: NDArray[np.bool_]
) -> tuple[Level1, ...]:
    """Drop models, given as masks over those of all levels in order, and levels of which none is left."""
    kept, first, second = [], 0, 0
    for level in levels:
        sizes = np.flatnonzero(regressors_kept[first : (first := first + len(level.names))])
        chances = np.flatnonzero(classifiers_kept[second : (second := second + len(level.chance_names))])
        if len(sizes) or len(chances):
            kept.append(
                Level1(
                    level.view,
                    level.layers,
                    tuple(level.names[i] for i in sizes),
                    tuple(level.estimators[i] for i in sizes),
                    level.sizes[:, sizes],
                    tuple(level.chance_names[i] for i in chances),
                    tuple(level.classifiers[i] for i in chances),
                    level.chances[:, chances],
                )
            )
    return tuple(kept)


def predict_levels(
    levels: Sequence[Level1], inputs: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predict sizes (m, c) and chances (m, d) by the models of several views, each from its own inputs."""
    sizes, chances = [], []
    for level, given in zip(levels, inputs, strict=True):
        plain = given[:, : given.shape[1] - level.layers]
        sizes += [partial(each.predict, given if isinstance(each, Kernel) else plain) for each in level.estimators]
        chances += [partial(chance_of, each, plain) for each in level.classifiers]
    said = side_by_side([*sizes, *chances])
    empty = np.empty((len(inputs[0]), 0))
    return np.column_stack([empty, *said[: len(sizes)]]), np.column_stack([empty, *said[len(sizes) :]])


def testify(helper: Helper, features: NDArray[np.float64], known: NDArray[np.float64] | None) -> Testimony:
    """Ask one helper about materials; `known` (m, p) in the properties' units, or None where nothing is known."""
    nothing = np.empty((len(features), 0))
    if isinstance(helper, Networks):
        layers, outputs = helper.representation(features)
        return Testimony(outputs, nothing, nothing, layers)
    predicted, chances = helper.predict_scaled(features)
    unknown = np.full_like(predicted, np.nan)
    return Testimony(predicted, chances, unknown if known is None else helper.scale_values(known), nothing)


def view_inputs(view: View, features: NDArray[np.float64], testimonies: Sequence[Testimony]) -> NDArray[np.float64]:
    """Join descriptors and testimonies into the input columns of a view.

    A known value takes the place of the prediction, with a flag that says so; the prediction stays beside it, for the
    models to learn how far the one can stand for the other. Layers come last.
    """
    heard = testimonies if view is not View.ALONE else ()
    columns = [features]
    for testimony in heard:
        columns += [testimony.predicted, testimony.chances]
        if view is View.GIVEN_KNOWN and testimony.known.shape[1]:
            is_known = np.isfinite(testimony.known)
            columns += [np.where(is_known, testimony.known, testimony.predicted), is_known.astype(np.float64)]
    return np.hstack([*columns, *(testimony.layers for testimony in heard)])


def layers_of(view: View, testimonies: Sequence[Testimony]) -> int:
    """Count the last columns of a view's inputs, which are layers of networks."""
    return 0 if view is View.ALONE else sum(testimony.layers.shape[1] for testimony in testimonies)


def blocks_of_inputs(n_inputs: int, feature_sets: Sequence[int], layers: int) -> tuple[int, ...]:
    """Widths of the kernel's blocks: each feature set, what the helpers say, layers; those that have columns."""
    widths = (*feature_sets, n_inputs - sum(feature_sets) - layers, layers)
    return tuple(width for width in widths if width)


def forest(n: int, seed: int) -> Any:
    """The unfitted trees for n training materials."""
    from sklearn.ensemble import ExtraTreesRegressor  # deferred: 1.5 s
    from sklearn.pipeline import make_pipeline

    leaf = 2 if n > MANY else 1
    trees = ExtraTreesRegressor(TREES, max_features=1 / 3, min_samples_leaf=leaf, random_state=seed)
    return make_pipeline(_imputer(), trees)


def fit_classifier(name: str, inputs: NDArray[np.float64], positive: NDArray[np.bool_], seed: int) -> Any:
    """Fit what tells zero from the rest, of `CLASSIFIERS` the one with this name."""
    if name == BY_BOOSTING:
        return fit_boosted(inputs, positive, BOOSTING, seed)
    from sklearn.ensemble import ExtraTreesClassifier  # deferred: 1.5 s
    from sklearn.pipeline import make_pipeline

    trees = ExtraTreesClassifier(TREES, max_features=0.2, random_state=seed)
    return make_pipeline(_imputer(), trees).fit(inputs, positive)


def fit_level1(
    view: View,
    inputs: NDArray[np.float64],
    feature_sets: Sequence[int],
    layers: int,
    values: NDArray[np.float64],
    folds: NDArray[np.intp],
    seed: int,
    *,
    hurdle: bool,
) -> Level1:
    """Fit the models of one view, and predict each training material from the other folds.

    Args:
        view: The view that the inputs were made for.
        inputs: (n, d) input columns.
        feature_sets: Numbers of columns of the feature sets, which come first.
        layers: Number of columns that are layers, which come last.
        values: (n,) measured values.
        folds: (n,) inner fold of each material, no unit in two.
        seed: Fixes what chance decides.
        hurdle: Whether zero is a class of its own.
    """
    counts = values != 0 if hurdle else np.ones(len(values), dtype=bool)
    n, plain = int(counts.sum()), inputs[:, : inputs.shape[1] - layers]
    word = sum(feature_sets), plain.shape[1]  # the columns in which the helpers speak
    makers = [("size", name) for name in ((BY_TREES, BY_KERNEL) if n <= MANY else (BY_TREES,))]
    makers += [("chance", name) for name in CLASSIFIERS] if hurdle else []
    widths = blocks_of_inputs(inputs.shape[1], feature_sets, layers)

    def fit(kind: str, name: str, rows: NDArray[np.bool_]) -> Any:
        if kind == "chance":
            return fit_classifier(name, plain[rows], values[rows] != 0, seed)
        rows = rows & counts
        if name == BY_KERNEL:
            reach = find_reach(inputs[rows], values[rows], widths, folds[rows], seed)
            return fit_kernel(inputs[rows], values[rows], reach)
        if word[1] > word[0]:
            return fit_corrected(plain[rows], values[rows], word, forest(n, seed))
        return forest(n, seed).fit(plain[rows], values[rows])

    def hold_out(fold: int, kind: str, name: str) -> NDArray[np.float64]:
        test = folds == fold
        model = fit(kind, name, ~test)
        given = (inputs if name == BY_KERNEL else plain)[test]
        predicted: NDArray[np.float64] = chance_of(model, given) if kind == "chance" else model.predict(given)
        return predicted

    cells = [(fold, *maker) for fold in range(folds.max() + 1) for maker in makers]
    held_out = {maker: np.empty(len(values)) for maker in makers}
    for (fold, *maker), predicted in zip(cells, side_by_side(partial(hold_out, *cell) for cell in cells), strict=True):
        held_out[maker[0], maker[1]][folds == fold] = predicted
    everything = np.ones(len(values), dtype=bool)
    fitted = dict(zip(makers, side_by_side(partial(fit, *maker, everything) for maker in makers), strict=True))

    def of(kind: str) -> tuple[tuple[str, ...], tuple[Any, ...], NDArray[np.float64]]:
        mine = [maker for maker in makers if maker[0] == kind]
        columns = np.column_stack([np.empty((len(values), 0)), *(held_out[maker] for maker in mine)])
        return tuple(name for _, name in mine), tuple(fitted[maker] for maker in mine), columns

    return Level1(view, layers, *of("size"), *of("chance"))


def _imputer() -> Any:
    from sklearn.impute import SimpleImputer  # deferred: 1.5 s

    return SimpleImputer(strategy="median", keep_empty_features=True)
