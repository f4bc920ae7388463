"""Models of one helper source: all its properties from a composition's descriptors, trained on that source alone.

A helper model is trained once, on every row whose group is not among the target's: it has seen nothing of any
material that the target is later judged on, in whichever fold (the *strict* setting, with no need of cross-fitting).
Not here: models of the target (`level1`) and how the two are joined (`stacking`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pipelines.learning.errors import LeakageError, LearningError
from pipelines.learning.scales import Scale, fit_scale
from pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingRegressor

    from pipelines.learning.samples import Samples

ITERATIONS = 100
LEARNING_RATE = 0.15


@dataclass(frozen=True, slots=True)
class SourceModel:
    """One regressor for each property of a source, with what it was trained on.

    Attributes:
        source: Name of the source.
        kind: ``experiment`` or ``computation``.
        properties: The p properties predicted.
        scales: Scale of each property, fitted on the training rows.
        estimators: One regressor for each property, on its scale.
        trained_groups: (g,) sorted fingerprints of the groups it has seen.
        n_features: Number of feature columns expected.
        n_rows: Number of materials it was trained on.
    """

    source: str
    kind: str
    properties: tuple[str, ...]
    scales: tuple[Scale, ...]
    estimators: tuple[HistGradientBoostingRegressor, ...]
    trained_groups: NDArray[np.uint64]
    n_features: int
    n_rows: int

    def predict_scaled(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m, p) on the properties' scales: the form in which other models take it as input."""
        if features.shape[1] != self.n_features:
            raise LearningError(f"the model of {self.source} takes {self.n_features} features, not {features.shape[1]}")
        columns = [estimator.predict(features) for estimator in self.estimators]
        return np.column_stack([c.clip(s.low, s.high) for c, s in zip(columns, self.scales, strict=True)])

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
        names = np.unique(group_ids)
        seen = names[np.isin(fingerprints(names), self.trained_groups)]
        if seen.size:
            raise LeakageError(
                f"the model of {self.source} was trained on {seen.size} groups of the target, such as {seen[0]}; "
                "train it again with exclude_groups set to the target's group_ids"
            )


def fingerprints(names: NDArray[np.str_]) -> NDArray[np.uint64]:
    """Hash names to 64 bits, one by one (collisions: about 1 in 10^10 for a source of 40,000 groups)."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names.tolist())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def train_source_model(samples: Samples, exclude_groups: NDArray[np.str_], seed: int) -> SourceModel:
    """Train the model of one helper source on every group that is not excluded.

    Args:
        samples: The helper's materials; a row may lack some of the properties.
        exclude_groups: The target's group_ids.
        seed: Fixes what chance decides.

    Raises:
        LearningError: when nothing is left to train on.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # deferred: 1.5 s

    training = samples.take(~np.isin(samples.group_ids, exclude_groups))
    if not len(training):
        raise LearningError(f"{samples.source}: all {len(samples)} materials belong to the target too; none is left")
    scales = tuple(fit_scale(values) for values in training.values.T)

    def fit(column: int) -> HistGradientBoostingRegressor:
        values = training.values[:, column]
        rows = np.isfinite(values)
        # early_stopping splits rows at random, which would separate groups
        estimator = HistGradientBoostingRegressor(
            max_iter=ITERATIONS, learning_rate=LEARNING_RATE, early_stopping=False, random_state=seed
        )
        return estimator.fit(training.features[rows], scales[column].apply(values[rows]))

    estimators = side_by_side(partial(fit, column) for column in range(len(scales)))
    return SourceModel(
        source=training.source,
        kind=training.kind,
        properties=training.properties,
        scales=scales,
        estimators=tuple(estimators),
        trained_groups=np.sort(fingerprints(np.unique(training.group_ids))),
        n_features=training.features.shape[1],
        n_rows=len(training),
    )
