"""Which kind of model learns one output of a source, selected on held-out groups of that source itself.

Boosted trees, deep or shallow; where values are few also a forest, and for numbers kernel ridge regression. With many
values deep boosting has by far the lowest error (docs/decisions/0021), and there is no selection. Not here: what the
outputs are (`source_models`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Size, fit_boosted
from matstrata.pipelines.learning.models.hurdle import chance_of
from matstrata.pipelines.learning.models.kernel import train_kernel_ridge
from matstrata.pipelines.learning.splits import assign_folds
from matstrata.pipelines.learning.threads import run_in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples

    Fit = Callable[[NDArray[np.intp], NDArray[Any]], Any]

DEEP, SHALLOW = (Size(trees=200, depth=depth, learning_rate=0.1) for depth in (8, 5))
MAX_SELECTION_ROWS = 10_000  # values up to which kinds are compared
MAX_FOREST_ROWS = 4000  # and up to which these include what makes large files: forests, and kernels over all pairs
FOREST_TREES = 100
SELECTION_FOLDS = 3
DEFAULT_KIND = "boosting"


@dataclass(frozen=True, slots=True)
class Head:
    """One output to learn.

    Attributes:
        name: Name of the output.
        rows: (k,) positions of the materials for which it is reported.
        values: (k,) numbers; or booleans, of which the probability of being true is learned.
    """

    name: str
    rows: NDArray[np.intp]
    values: NDArray[Any]

    @property
    def is_chance(self) -> bool:
        """Whether a probability is learned."""
        return self.values.dtype == np.bool_


def select_kinds(samples: Samples, heads: Sequence[Head], seed: int) -> dict[str, str]:
    """Select the kind of model for each head, by name.

    That with the lowest error on held-out groups: the mean absolute error for numbers; for booleans y with predicted
    probabilities p the Brier score mean((p - y)^2) (Brier 1950).
    """
    units = _units(samples)
    cells = []
    for head in heads:
        kinds = _candidates(samples, head, seed)
        if len(kinds) > 1 and len(np.unique(units[head.rows])) >= SELECTION_FOLDS:
            folds = assign_folds(units[head.rows], SELECTION_FOLDS, seed)
            cells += [
                (head, kind, fit, folds == fold) for kind, fit in kinds.items() for fold in range(SELECTION_FOLDS)
            ]

    def error(head: Head, fit: Fit, test: NDArray[np.bool_]) -> float:
        model, features = fit(head.rows[~test], head.values[~test]), samples.features[head.rows[test]]
        if head.is_chance:
            return float(((chance_of(model, features) - head.values[test]) ** 2).sum())
        return float(np.abs(model.predict(features) - head.values[test]).sum())

    totals: dict[str, dict[str, float]] = {head.name: {} for head in heads}
    errors = run_in_parallel(partial(error, head, fit, test) for head, _, fit, test in cells)
    for (head, kind, *_), fold_error in zip(cells, errors, strict=True):
        totals[head.name][kind] = totals[head.name].get(kind, 0.0) + fold_error
    return {name: min(by_kind, key=by_kind.__getitem__, default=DEFAULT_KIND) for name, by_kind in totals.items()}


def fit_kinds(samples: Samples, heads: Sequence[Head], kinds: dict[str, str], seed: int) -> dict[str, Any]:
    """Fit the selected kind of model for each head, by name, on all materials for which it is reported."""
    fits = [partial(_candidates(samples, head, seed)[kinds[head.name]], head.rows, head.values) for head in heads]
    return {head.name: model for head, model in zip(heads, run_in_parallel(fits), strict=True)}


def _candidates(samples: Samples, head: Head, seed: int) -> dict[str, Fit]:
    """List the kinds of model for a head: functions of rows and their values to fitted models."""
    features = samples.features

    def boosting(size: Size, rows: NDArray[np.intp], values: NDArray[Any]) -> Any:
        inputs = features if len(rows) == len(features) else features[rows]  # no copy where all are trained on
        return fit_boosted(inputs, values, size, seed)

    def forest(rows: NDArray[np.intp], values: NDArray[Any]) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor  # deferred: 1.5 s
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        kind = ExtraTreesClassifier if head.is_chance else ExtraTreesRegressor
        trees = kind(FOREST_TREES, max_features=1 / 3, random_state=seed)
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        return make_pipeline(imputer, trees).fit(features[rows], values)

    def kernel(rows: NDArray[np.intp], values: NDArray[Any]) -> Any:
        widths = samples.widths or (features.shape[1],)
        return train_kernel_ridge(features[rows], values, widths, _units(samples)[rows], seed)

    candidates: dict[str, Fit] = {DEFAULT_KIND: partial(boosting, DEEP)}
    if len(head.rows) <= MAX_SELECTION_ROWS:
        candidates["shallow boosting"] = partial(boosting, SHALLOW)
    if len(head.rows) <= MAX_FOREST_ROWS:
        candidates["trees"] = forest
        if not head.is_chance:
            candidates["kernel"] = kernel
    return candidates


def _units(samples: Samples) -> NDArray[np.intp]:
    return np.unique(samples.group_ids, return_inverse=True)[1]
