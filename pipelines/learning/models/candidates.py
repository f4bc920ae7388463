"""Which kind of model learns one thing about a source, chosen on held-out groups of that source itself.

Boosted trees, deep or shallow; where values are few also a forest, and for numbers a kernel ridge. With many values
deep boosting errs least by far (docs/decisions/0021), and there is nothing to choose. Not here: what is learned
(`source_models`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.models.boosting import Size, fit_boosted
from matstrata.pipelines.learning.models.hurdle import chance_of
from matstrata.pipelines.learning.models.kernel import train_kernel
from matstrata.pipelines.learning.splits import assign_folds
from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples

    Fit = Callable[[NDArray[np.intp], NDArray[Any]], Any]

DEEP, SHALLOW = Size(trees=200, depth=8, rate=0.1), Size(trees=200, depth=5, rate=0.1)
FEW = 10_000  # values up to which there is a choice
FEW_FOR_FORESTS = 4000  # and up to which it includes what makes large files: forests, and kernels over all pairs
TREES = 100  # of a forest
FOLDS = 3
FIRST = "boosting"


@dataclass(frozen=True, slots=True)
class Head:
    """One thing to learn.

    Attributes:
        name: What it is.
        rows: (k,) positions of the materials that tell it.
        wanted: (k,) numbers; or booleans, of which the chance of being true is to be learned.
    """

    name: str
    rows: NDArray[np.intp]
    wanted: NDArray[Any]

    @property
    def is_chance(self) -> bool:
        """Whether a chance is to be learned."""
        return self.wanted.dtype == np.bool_


def choose(training: Samples, heads: Sequence[Head], seed: int) -> dict[str, str]:
    """Name the kind that errs least on held-out groups, by head: by mean absolute error, or a chance's Brier score."""
    units = _units(training)
    cells = []
    for head in heads:
        kinds = _candidates(training, head, seed)
        if len(kinds) > 1 and len(np.unique(units[head.rows])) >= FOLDS:
            folds = assign_folds(units[head.rows], FOLDS, seed)
            cells += [(head, kind, fit, folds == fold) for kind, fit in kinds.items() for fold in range(FOLDS)]

    def error(head: Head, fit: Fit, test: NDArray[np.bool_]) -> float:
        model, asked = fit(head.rows[~test], head.wanted[~test]), training.features[head.rows[test]]
        if head.is_chance:
            return float(((chance_of(model, asked) - head.wanted[test]) ** 2).sum())
        return float(np.abs(model.predict(asked) - head.wanted[test]).sum())

    errors: dict[str, dict[str, float]] = {head.name: {} for head in heads}
    found = side_by_side(partial(error, head, fit, test) for head, _, fit, test in cells)
    for (head, kind, *_), each in zip(cells, found, strict=True):
        errors[head.name][kind] = errors[head.name].get(kind, 0.0) + each
    return {name: min(by_kind, key=by_kind.__getitem__, default=FIRST) for name, by_kind in errors.items()}


def fit_chosen(training: Samples, heads: Sequence[Head], kinds: dict[str, str], seed: int) -> dict[str, Any]:
    """Fit the chosen kind of model on all materials that tell something, by head."""
    fits = [partial(_candidates(training, head, seed)[kinds[head.name]], head.rows, head.wanted) for head in heads]
    return {head.name: model for head, model in zip(heads, side_by_side(fits), strict=True)}


def _candidates(training: Samples, head: Head, seed: int) -> dict[str, Fit]:
    """The kinds of model that a head may have: functions of rows, and of what is wanted of them, to fitted models."""
    features = training.features

    def boosting(size: Size, rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        inputs = features if len(rows) == len(features) else features[rows]  # without a copy where all are told
        return fit_boosted(inputs, wanted, size, seed)

    def forest(rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor  # deferred: 1.5 s
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        kind = ExtraTreesClassifier if head.is_chance else ExtraTreesRegressor
        trees = kind(TREES, max_features=1 / 3, random_state=seed)
        return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), trees).fit(
            features[rows], wanted
        )

    def kernel(rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        widths = training.widths or (features.shape[1],)
        return train_kernel(features[rows], wanted, widths, _units(training)[rows], seed)

    found: dict[str, Fit] = {FIRST: partial(boosting, DEEP)}
    if len(head.rows) <= FEW:
        found["shallow boosting"] = partial(boosting, SHALLOW)
    if len(head.rows) <= FEW_FOR_FORESTS:
        found["trees"] = forest
        if not head.is_chance:
            found["kernel"] = kernel
    return found


def _units(training: Samples) -> NDArray[np.intp]:
    return np.unique(training.group_ids, return_inverse=True)[1]
