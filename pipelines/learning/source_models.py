"""Models of one helper source: all its properties from a composition's descriptors, trained on that source alone.

Where a source has few materials, the kind of model is chosen for each property on held-out groups of the source itself.
A helper model is trained once, on every row whose group is not among the target's: it has seen nothing of any
material that the target is later judged on, in whichever fold (the *strict* setting, with no need of cross-fitting).
Not here: models of the target (`level1`) and how the two are joined (`stacking`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.learning.boosting import Size, fit_boosted
from pipelines.learning.errors import LeakageError, LearningError
from pipelines.learning.hurdle import chance_of, is_zero_inflated
from pipelines.learning.kernel import train_kernel
from pipelines.learning.scales import Scale, fit_scale
from pipelines.learning.splits import assign_folds
from pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pipelines.learning.samples import Samples

DEEP, SHALLOW = Size(trees=200, depth=8, rate=0.1), Size(trees=200, depth=5, rate=0.1)
FEWEST = 20  # materials that a model needs
MANY = 10_000  # values beyond which deep boosting errs least by far (decision 21), and nothing is left to choose
MANY_FOR_ALL_PAIRS = 4000  # values beyond which forests and kernels are large files
TREES = 100  # of a forest
FOLDS = 3  # by which models are chosen


@dataclass(frozen=True, slots=True)
class SourceModel:
    """One regressor for each property of a source, with what it was trained on.

    Attributes:
        source: Name of the source.
        kind: ``experiment`` or ``computation``.
        properties: The p properties predicted.
        scales: Scale of each property, fitted on the training rows.
        estimators: One regressor for each property, on its scale; where zero is a class of its own (`hurdle`), fitted
            on the other values.
        classifiers: For each property, what tells zero from the rest, or None where zero is no class.
        chosen: Of which kind each model is: property, with ``(not zero)`` behind it for a classifier, and kind.
        trained_groups: (g,) sorted fingerprints of the groups it has seen.
        n_features: Number of feature columns expected.
        n_rows: Number of materials it was trained on.
    """

    source: str
    kind: str
    properties: tuple[str, ...]
    scales: tuple[Scale, ...]
    estimators: tuple[Any, ...]
    classifiers: tuple[Any, ...]
    chosen: tuple[tuple[str, str], ...]
    trained_groups: NDArray[np.uint64]
    n_features: int
    n_rows: int

    def predict_scaled(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict on the properties' scales, the form in which other models take it as input.

        Returns:
            (m, p) expected values, and (m, q) chances of not being zero, for the q properties that have that class.
        """
        if features.shape[1] != self.n_features:
            raise LearningError(f"the model of {self.source} takes {self.n_features} features, not {features.shape[1]}")
        values, chances = [], []
        for estimator, classifier, scale in zip(self.estimators, self.classifiers, self.scales, strict=True):
            value = estimator.predict(features).clip(scale.low, scale.high)
            if classifier is not None:
                chances.append(chance_of(classifier, features))
                value = scale.apply(chances[-1] * scale.invert(value))
            values.append(value)
        return np.column_stack(values), np.column_stack([np.empty((len(features), 0)), *chances])

    def scale_values(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put (m, p) values on the properties' scales."""
        return np.column_stack([s.apply(v) for s, v in zip(self.scales, values.T, strict=True)])

    def unscale(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (m, p) scaled predictions to the properties' units."""
        return np.column_stack([s.invert(v) for s, v in zip(self.scales, scaled.T, strict=True)])

    def check_blind_to(self, group_ids: NDArray[np.str_]) -> None:
        """Make sure that the model has seen none of these groups.

        Raises:
            LeakageError: naming one that it has seen.
        """
        check_blind(f"the model of {self.source}", self.trained_groups, group_ids)


def fingerprints(names: NDArray[np.str_]) -> NDArray[np.uint64]:
    """Hash names to 64 bits, one by one (collisions: about 1 in 10^10 for a source of 40,000 groups)."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names.tolist())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def check_blind(name: str, trained_groups: NDArray[np.uint64], group_ids: NDArray[np.str_]) -> None:
    """Make sure that what was trained on groups, given by their fingerprints, has seen none of some others.

    Raises:
        LeakageError: naming one that it has seen.
    """
    names = np.unique(group_ids)
    seen = names[np.isin(fingerprints(names), trained_groups)]
    if seen.size:
        raise LeakageError(
            f"{name} was trained on {seen.size} groups of the target, such as {seen[0]}; "
            "train it again with exclude_groups set to the target's group_ids"
        )


def train_source_model(samples: Samples, exclude_groups: NDArray[np.str_], seed: int) -> SourceModel:
    """Train the model of one helper source on every group that is not excluded.

    Args:
        samples: The helper's materials; a row may lack some of the properties.
        exclude_groups: The target's group_ids.
        seed: Fixes what chance decides.

    Returns:
        The model; where fewer than `FEWEST` materials are left to train on, one that has learned nothing and always
        says the same: such a source speaks through its known values only.
    """
    training = samples.take(~np.isin(samples.group_ids, exclude_groups))
    if len(training) < FEWEST:  # nearly all belong to the target: known values, but no model
        return _without_model(samples)
    scales = tuple(fit_scale(values) for values in training.values.T)
    units = np.unique(training.group_ids, return_inverse=True)[1]
    heads = []
    for name, values, scale in zip(training.properties, training.values.T, scales, strict=True):
        known = np.isfinite(values)
        if is_zero_inflated(values[known]):
            heads.append(Head(f"{name} (not zero)", known, values[known] != 0))
            known = known & (values != 0)
        heads.append(Head(name, known, scale.apply(values[known])))
    names = _choose(training, units, heads, seed)
    fitted = side_by_side(
        partial(_candidates(training, units, head, seed)[names[head.name]], np.flatnonzero(head.rows), head.wanted)
        for head in heads
    )
    models = {head.name: model for head, model in zip(heads, fitted, strict=True)}
    return SourceModel(
        source=training.source,
        kind=training.kind,
        properties=training.properties,
        scales=scales,
        estimators=tuple(models[name] for name in training.properties),
        classifiers=tuple(models.get(f"{name} (not zero)") for name in training.properties),
        chosen=tuple(names.items()),
        trained_groups=np.sort(fingerprints(np.unique(training.group_ids))),
        n_features=training.features.shape[1],
        n_rows=len(training),
    )


@dataclass(frozen=True, slots=True)
class Head:
    """One thing to learn: `wanted` (k,) for the k `rows` (n,) of the training materials; booleans for a chance."""

    name: str
    rows: NDArray[np.bool_]
    wanted: NDArray[Any]


def _candidates(
    training: Samples, units: NDArray[np.intp], head: Head, seed: int
) -> dict[str, Callable[[NDArray[np.intp], NDArray[Any]], Any]]:
    """Kinds of model that a head may have: functions of row numbers and what is wanted of them, to fitted models."""
    features = training.features

    def boosting(size: Size, rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        # a row number for each row would be a copy of the features
        inputs = features if len(rows) == len(features) else features[rows]
        return fit_boosted(inputs, wanted, size, seed)

    def forest(rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor  # deferred: 1.5 s
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        kind = ExtraTreesClassifier if wanted.dtype == np.bool_ else ExtraTreesRegressor
        trees = kind(TREES, max_features=1 / 3, random_state=seed)
        return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), trees).fit(
            features[rows], wanted
        )

    def kernel(rows: NDArray[np.intp], wanted: NDArray[Any]) -> Any:
        return train_kernel(features[rows], wanted, training.widths or (features.shape[1],), units[rows], seed)

    found: dict[str, Callable[[NDArray[np.intp], NDArray[Any]], Any]] = {"boosting": partial(boosting, DEEP)}
    if len(head.wanted) <= MANY:
        found["shallow boosting"] = partial(boosting, SHALLOW)
    if len(head.wanted) <= MANY_FOR_ALL_PAIRS:
        found["trees"] = forest
        if head.wanted.dtype != np.bool_:
            found["kernel"] = kernel
    return found


def _choose(training: Samples, units: NDArray[np.intp], heads: list[Head], seed: int) -> dict[str, str]:
    """Name the kind of model that errs least on held-out groups, for each head: mean absolute error, or Brier score."""
    cells = []
    for head in heads:
        kinds = _candidates(training, units, head, seed)
        rows = np.flatnonzero(head.rows)
        if len(kinds) > 1 and len(np.unique(units[rows])) >= FOLDS:
            folds = assign_folds(units[rows], FOLDS, seed)
            cells += [(head, kind, make, rows, folds == fold) for kind, make in kinds.items() for fold in range(FOLDS)]

    def error(
        head: Head, make: Callable[..., Any], rows: NDArray[np.intp], test: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        model, asked = make(rows[~test], head.wanted[~test]), training.features[rows[test]]
        if head.wanted.dtype == np.bool_:
            return (chance_of(model, asked) - head.wanted[test]) ** 2
        found: NDArray[np.float64] = np.abs(model.predict(asked) - head.wanted[test])
        return found

    said = side_by_side(partial(error, head, make, rows, test) for head, _, make, rows, test in cells)
    errors: dict[str, dict[str, float]] = {head.name: {} for head in heads}
    for (head, kind, *_), found in zip(cells, said, strict=True):
        errors[head.name][kind] = errors[head.name].get(kind, 0.0) + float(found.sum())
    return {name: min(by_kind, key=by_kind.__getitem__, default="boosting") for name, by_kind in errors.items()}


def _without_model(samples: Samples) -> SourceModel:
    from sklearn.dummy import DummyRegressor  # deferred: 1.5 s

    silent = DummyRegressor(strategy="constant", constant=0.0).fit(np.zeros((1, 1)), [0.0])
    return SourceModel(
        source=samples.source,
        kind=samples.kind,
        properties=samples.properties,
        scales=tuple(fit_scale(values) for values in samples.values.T),
        estimators=(silent,) * len(samples.properties),
        classifiers=(None,) * len(samples.properties),
        chosen=(),
        trained_groups=np.empty(0, dtype=np.uint64),
        n_features=samples.features.shape[1],
        n_rows=0,
    )
