"""Level 1: models of the target property, trained on its experiments under one view of the inputs.

A *view* is what a model is given beside the descriptors: nothing, what the helper models predict, or that and the
known computed values. Under each view a few different regressors are fitted; every one also predicts each training
material from models that saw none of its unit. Not here: the weights that join them (`stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipelines.learning.source_models import SourceModel

MANY = 2000  # materials from which on boosting pays and a kernel over all pairs becomes slow
TREES = 100  # of each forest


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
        known: (m, p) computed values of the source itself, NaN where it has none.
    """

    predicted: NDArray[np.float64]
    known: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level1:
    """The regressors of one view.

    Attributes:
        view: What they are given.
        names: Names of the c regressors.
        estimators: The regressors, fitted on all training materials.
        held_out: (n, c) predictions for the training materials, each from a fit without the material's unit.
    """

    view: View
    names: tuple[str, ...]
    estimators: tuple[Any, ...]
    held_out: NDArray[np.float64]

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m, c) from inputs of this view."""
        return np.column_stack([estimator.predict(inputs) for estimator in self.estimators])


def testify(model: SourceModel, features: NDArray[np.float64], known: NDArray[np.float64] | None) -> Testimony:
    """Ask one helper about materials; `known` (m, p) in the properties' units, or None where nothing is known."""
    predicted = model.predict_scaled(features)
    return Testimony(predicted, np.full_like(predicted, np.nan) if known is None else model.scale_values(known))


def view_inputs(view: View, features: NDArray[np.float64], testimonies: Sequence[Testimony]) -> NDArray[np.float64]:
    """Join descriptors and testimonies into the input columns of a view.

    A known value takes the place of the prediction, with a flag that says so; the prediction stays beside it, for the
    models to learn how far the one can stand for the other.
    """
    columns = [features]
    for testimony in testimonies if view is not View.ALONE else ():
        columns.append(testimony.predicted)
        if view is View.GIVEN_KNOWN:
            is_known = np.isfinite(testimony.known)
            columns += [np.where(is_known, testimony.known, testimony.predicted), is_known.astype(np.float64)]
    return np.hstack(columns)


def candidates(n: int, seed: int) -> dict[str, Any]:
    """List the unfitted regressors for n training materials."""
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor  # deferred: 1.5 s
    from sklearn.impute import SimpleImputer
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def imputer() -> SimpleImputer:
        return SimpleImputer(strategy="median", keep_empty_features=True)

    leaf = 2 if n > MANY else 1
    trees = ExtraTreesRegressor(TREES, max_features=1 / 3, min_samples_leaf=leaf, random_state=seed)
    if n > MANY:
        boosting = HistGradientBoostingRegressor(
            max_iter=150, learning_rate=0.1, early_stopping=False, random_state=seed
        )
        return {"trees": make_pipeline(imputer(), trees), "boosting": boosting}
    kernel = KernelRidge(kernel="laplacian", alpha=0.1, gamma=0.003)
    return {"trees": make_pipeline(imputer(), trees), "kernel": make_pipeline(imputer(), StandardScaler(), kernel)}


def fit_level1(
    view: View, inputs: NDArray[np.float64], values: NDArray[np.float64], folds: NDArray[np.intp], seed: int
) -> Level1:
    """Fit the regressors of one view, and predict each training material from the other folds.

    Args:
        view: The view that the inputs were made for.
        inputs: (n, d) input columns.
        values: (n,) measured values.
        folds: (n,) inner fold of each material, no unit in two.
        seed: Fixes what chance decides.
    """
    names = tuple(candidates(len(values), seed))

    def hold_out(fold: int, name: str) -> NDArray[np.float64]:
        test = folds == fold
        model = candidates(len(values), seed)[name].fit(inputs[~test], values[~test])
        predicted: NDArray[np.float64] = model.predict(inputs[test])
        return predicted

    def fit_all(name: str) -> Any:
        return candidates(len(values), seed)[name].fit(inputs, values)

    cells = [(fold, name) for fold in range(folds.max() + 1) for name in names]
    held_out = np.empty((len(values), len(names)))
    for (fold, name), predicted in zip(cells, side_by_side(partial(hold_out, *cell) for cell in cells), strict=True):
        held_out[folds == fold, names.index(name)] = predicted
    return Level1(view, names, tuple(side_by_side(partial(fit_all, name) for name in names)), held_out)
