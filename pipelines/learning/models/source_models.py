"""The model of one helper source: all its properties from a composition's descriptors, trained on that source alone.

A helper model is trained once, on every row whose group is not among the target's: it has seen nothing of any
material that the target is later tested on, in whichever fold (the *strict* setting, without cross-fitting).
Not here: which kind of model it is (`candidates`), models of the target (`stack.level1`), how both are joined
(`stack.stacking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError, check_blind, fingerprints
from matstrata.pipelines.learning.models.candidates import Head, fit_kinds, select_kinds
from matstrata.pipelines.learning.models.hurdle import chance_of, is_zero_inflated
from matstrata.pipelines.learning.models.scales import Scale, fit_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples
    from matstrata.schemas.terms import Kind

MIN_SOURCE_MATERIALS = 20  # that a model is trained on


@dataclass(frozen=True, slots=True)
class SourceModel:
    """One regressor for each property of a source, with what it was trained on.

    Attributes:
        source: Name of the source.
        kind: Its kind.
        properties: The p properties predicted.
        scales: Scale of each property, fitted on the training rows.
        estimators: One regressor for each property, on its scale; where zero is a class of its own (`hurdle`), fitted
            on the other values.
        classifiers: For each property, the classifier of zero against the rest, or None where zero is not a class.
        kinds: The kind of each model, as pairs of property, with ``(not zero)`` after it for a classifier, and kind.
        trained_groups: (g,) sorted fingerprints of the groups it was trained on.
        n_features: Number of feature columns expected.
        n_rows: Number of materials it was trained on.
    """

    source: str
    kind: Kind
    properties: tuple[str, ...]
    scales: tuple[Scale, ...]
    estimators: tuple[Any, ...]
    classifiers: tuple[Any, ...]
    kinds: tuple[tuple[str, str], ...]
    trained_groups: NDArray[np.uint64]
    n_features: int
    n_rows: int

    def predict_scaled(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict on the properties' scales, the form in which other models take it as input.

        Args:
            features: (m, d) descriptors.

        Returns:
            (m, p) expected values, and (m, q) probabilities of not being zero, for the q properties that have that
            class.

        Raises:
            LearningError: The number of descriptors is not that of training.
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
        """Check that the model was trained on none of these groups.

        Raises:
            LeakageError: It was; the message names a group.
        """
        check_blind(f"the model of {self.source}", self.trained_groups, group_ids)


def train_source_model(samples: Samples, exclude_groups: NDArray[np.str_], seed: int) -> SourceModel:
    """Train the model of one helper source on every group that is not excluded.

    Args:
        samples: The helper's materials; a row may lack some of the properties.
        exclude_groups: The target's group_ids.
        seed: Fixes random choices.

    Returns:
        The model. Where fewer than `MIN_SOURCE_MATERIALS` materials remain to train on, or none that reports a
        property, it predicts a constant: such a source contributes through its computed values only.

    Raises:
        LearningError: A property is reported for no material at all.
    """
    train = samples.take(~np.isin(samples.group_ids, exclude_groups))
    if len(train) < MIN_SOURCE_MATERIALS:  # nearly all belong to the target
        train = samples.take(np.zeros(len(samples), dtype=bool))
    scales, heads = [], []
    for name, values, all_values in zip(train.properties, train.values.T, samples.values.T, strict=True):
        rows = np.flatnonzero(np.isfinite(values))
        scales.append(fit_scale(values if len(rows) else all_values))
        if not len(rows):
            continue
        if is_zero_inflated(values[rows]):
            heads.append(Head(_chance_name(name), rows, values[rows] != 0))
            rows = rows[values[rows] != 0]
        heads.append(Head(name, rows, scales[-1].apply(values[rows])))
    kinds = select_kinds(train, heads, seed)
    models = fit_kinds(train, heads, kinds, seed)
    return SourceModel(
        source=train.source,
        kind=train.kind,
        properties=train.properties,
        scales=tuple(scales),
        estimators=tuple(models.get(name) or _constant() for name in train.properties),
        classifiers=tuple(models.get(_chance_name(name)) for name in train.properties),
        kinds=tuple(kinds.items()),
        trained_groups=np.sort(fingerprints(np.unique(train.group_ids))),
        n_features=train.features.shape[1],
        n_rows=len(train),
    )


def _chance_name(property_name: str) -> str:
    return f"{property_name} (not zero)"


def _constant() -> Any:
    from sklearn.dummy import DummyRegressor  # deferred: 1.5 s

    return DummyRegressor(strategy="constant", constant=0.0).fit(np.zeros((1, 1)), [0.0])
