"""Models of one helper source: all its properties from a composition's descriptors, trained on that source alone.

A helper model is trained once, on every row whose group is not among the target's: it has seen nothing of any
material that the target is later judged on, in whichever fold (the *strict* setting, with no need of cross-fitting).
Not here: of which kind a model is (`candidates`), models of the target (`level1`), how both are joined (`stacking`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.models.candidates import Head, choose, fit_chosen
from matstrata.pipelines.learning.models.hurdle import chance_of, is_zero_inflated
from matstrata.pipelines.learning.models.scales import Scale, fit_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples

FEWEST = 20  # materials that a model needs


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
        The model; where fewer than `FEWEST` materials are left to train on, or none that reports a property, one that
        has learned nothing and always says the same: such a source speaks through its known values only.

    Raises:
        LearningError: when a property is reported for no material at all.
    """
    training = samples.take(~np.isin(samples.group_ids, exclude_groups))
    if len(training) < FEWEST:  # nearly all belong to the target
        training = samples.take(np.zeros(len(samples), dtype=bool))
    scales, heads = [], []
    for name, values, everything in zip(training.properties, training.values.T, samples.values.T, strict=True):
        known = np.flatnonzero(np.isfinite(values))
        scales.append(fit_scale(values if len(known) else everything))
        if not len(known):
            continue
        if is_zero_inflated(values[known]):
            heads.append(Head(_chance_name(name), known, values[known] != 0))
            known = known[values[known] != 0]
        heads.append(Head(name, known, scales[-1].apply(values[known])))
    kinds = choose(training, heads, seed)
    models = fit_chosen(training, heads, kinds, seed)
    return SourceModel(
        source=training.source,
        kind=training.kind,
        properties=training.properties,
        scales=tuple(scales),
        estimators=tuple(models.get(name) or _silent() for name in training.properties),
        classifiers=tuple(models.get(_chance_name(name)) for name in training.properties),
        chosen=tuple(kinds.items()),
        trained_groups=np.sort(fingerprints(np.unique(training.group_ids))),
        n_features=training.features.shape[1],
        n_rows=len(training),
    )


def _chance_name(property_name: str) -> str:
    return f"{property_name} (not zero)"


def _silent() -> Any:
    from sklearn.dummy import DummyRegressor  # deferred: 1.5 s

    return DummyRegressor(strategy="constant", constant=0.0).fit(np.zeros((1, 1)), [0.0])
