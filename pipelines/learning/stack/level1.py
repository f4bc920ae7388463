"""Level 1: models of the target property, trained on its experiments, under one view of the inputs.

A *view* (`settings.View`) says what a model is given in addition to the descriptors: nothing, the helpers' predictions,
or these and the computed values. Under each view a few different regressors are fitted and, where zero is a class of
its own (`hurdle`), classifiers for the probability that the value is not zero; the regressors then learn the size of
the values that are not. Each model also predicts every training material out of fold: from a fit without its unit.
Not here: how inputs are joined (`inputs`), and the weights that join the models (`stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Size, fit_boosted
from matstrata.pipelines.learning.models.corrected import fit_corrected
from matstrata.pipelines.learning.models.hurdle import chance_of
from matstrata.pipelines.learning.models.kernel import KernelRidge, fit_kernel_ridge, optimize_kernel
from matstrata.pipelines.learning.stack.inputs import blocks_of_inputs
from matstrata.pipelines.learning.threads import run_in_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.settings import View

MAX_KERNEL_ROWS = 6000  # materials beyond which a kernel over all pairs is slow
FOREST_TREES = 100
BOOSTING = Size(trees=150, depth=5, learning_rate=0.1)
BY_TREES, BY_KERNEL, BY_BOOSTING = "trees", "kernel", "boosting"
CLASSIFIERS = (BY_TREES, BY_BOOSTING)
_SIZE, _CHANCE = "size", "chance"  # what a model predicts


@dataclass(frozen=True, slots=True)
class Level1:
    """The models of one view.

    Attributes:
        view: What they are given.
        layers: Number of the last input columns, which only the kernel takes.
        names: Names of the c regressors.
        estimators: The regressors, fitted on all training materials; with a hurdle, on all whose value is not zero.
        sizes: (n, c) out-of-fold predictions for the training materials.
        chance_names: Names of the d classifiers; none without a hurdle.
        classifiers: The classifiers, fitted on all training materials.
        chances: (n, d) out-of-fold probabilities that the value is not zero.
    """

    view: View
    layers: int
    names: tuple[str, ...]
    estimators: tuple[Any, ...]
    sizes: NDArray[np.float64]
    chance_names: tuple[str, ...]
    classifiers: tuple[Any, ...]
    chances: NDArray[np.float64]


def select_models(
    levels: Sequence[Level1], regressors: NDArray[np.bool_], classifiers: NDArray[np.bool_]
) -> tuple[Level1, ...]:
    """Select models, given as masks over those of all levels in order; levels without any are left out."""
    selected, first, second = [], 0, 0
    for level in levels:
        sizes = np.flatnonzero(regressors[first : (first := first + len(level.names))])
        chances = np.flatnonzero(classifiers[second : (second := second + len(level.chance_names))])
        if len(sizes) or len(chances):
            selected.append(
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
    return tuple(selected)


def predict_levels(
    levels: Sequence[Level1], inputs: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predict sizes (m, c) and chances (m, d) by the models of several views, each from its own (m, k) inputs."""
    sizes, chances = [], []
    for level, columns in zip(levels, inputs, strict=True):
        without_layers = columns[:, : columns.shape[1] - level.layers]
        sizes += [
            partial(model.predict, columns if isinstance(model, KernelRidge) else without_layers)
            for model in level.estimators
        ]
        chances += [partial(chance_of, model, without_layers) for model in level.classifiers]
    predicted = run_in_parallel([*sizes, *chances])
    empty = np.empty((len(inputs[0]), 0))
    return np.column_stack([empty, *predicted[: len(sizes)]]), np.column_stack([empty, *predicted[len(sizes) :]])


def forest(n: int, seed: int) -> Any:
    """Make the unfitted trees for n training materials."""
    from sklearn.ensemble import ExtraTreesRegressor  # deferred: 1.5 s
    from sklearn.pipeline import make_pipeline

    leaf = 2 if n > MAX_KERNEL_ROWS else 1
    trees = ExtraTreesRegressor(FOREST_TREES, max_features=1 / 3, min_samples_leaf=leaf, random_state=seed)
    return make_pipeline(_imputer(), trees)


def fit_classifier(name: str, inputs: NDArray[np.float64], positive: NDArray[np.bool_], seed: int) -> Any:
    """Fit the classifier of zero against the rest that has this name among `CLASSIFIERS`."""
    if name == BY_BOOSTING:
        return fit_boosted(inputs, positive, BOOSTING, seed)
    from sklearn.ensemble import ExtraTreesClassifier  # deferred: 1.5 s
    from sklearn.pipeline import make_pipeline

    trees = ExtraTreesClassifier(FOREST_TREES, max_features=0.2, random_state=seed)
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
        seed: Fixes random choices.
        hurdle: Whether zero is a class of its own.
    """
    has_size = values != 0 if hurdle else np.ones(len(values), dtype=bool)
    n, without_layers = int(has_size.sum()), inputs[:, : inputs.shape[1] - layers]
    helper_columns = sum(feature_sets), without_layers.shape[1]  # the first, and the one after the last
    makers = [(_SIZE, name) for name in ((BY_TREES, BY_KERNEL) if n <= MAX_KERNEL_ROWS else (BY_TREES,))]
    makers += [(_CHANCE, name) for name in CLASSIFIERS] if hurdle else []
    widths = blocks_of_inputs(inputs.shape[1], feature_sets, layers)

    def fit(output: str, name: str, rows: NDArray[np.bool_]) -> Any:
        if output == _CHANCE:
            return fit_classifier(name, without_layers[rows], values[rows] != 0, seed)
        rows = rows & has_size
        if name == BY_KERNEL:
            parameters = optimize_kernel(inputs[rows], values[rows], widths, folds[rows], seed)
            return fit_kernel_ridge(inputs[rows], values[rows], parameters)
        if helper_columns[1] > helper_columns[0]:
            return fit_corrected(without_layers[rows], values[rows], helper_columns, forest(n, seed))
        return forest(n, seed).fit(without_layers[rows], values[rows])

    def hold_out(fold: int, output: str, name: str) -> NDArray[np.float64]:
        test = folds == fold
        model = fit(output, name, ~test)
        columns = (inputs if name == BY_KERNEL else without_layers)[test]
        predicted: NDArray[np.float64] = chance_of(model, columns) if output == _CHANCE else model.predict(columns)
        return predicted

    cells = [(fold, *maker) for fold in range(folds.max() + 1) for maker in makers]
    held_out = {maker: np.empty(len(values)) for maker in makers}
    predictions = run_in_parallel(partial(hold_out, *cell) for cell in cells)
    for (fold, *maker), predicted in zip(cells, predictions, strict=True):
        held_out[maker[0], maker[1]][folds == fold] = predicted
    all_rows = np.ones(len(values), dtype=bool)
    fitted = dict(zip(makers, run_in_parallel(partial(fit, *maker, all_rows) for maker in makers), strict=True))

    def models_of(output: str) -> tuple[tuple[str, ...], tuple[Any, ...], NDArray[np.float64]]:
        chosen = [maker for maker in makers if maker[0] == output]
        columns = np.column_stack([np.empty((len(values), 0)), *(held_out[maker] for maker in chosen)])
        return tuple(name for _, name in chosen), tuple(fitted[maker] for maker in chosen), columns

    return Level1(view, layers, *models_of(_SIZE), *models_of(_CHANCE))


def _imputer() -> Any:
    from sklearn.impute import SimpleImputer  # deferred: 1.5 s

    return SimpleImputer(strategy="median", keep_empty_features=True)
