"""What every method beside the stack offers: taught by helpers once, fitted on experiments, asked for values.

Not here: the methods themselves (one module each), nor their names (`methods`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.stack.level1 import Setting, Testimony


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a method may learn before it sees an experiment.

    Attributes:
        property_name: The property to predict.
        feature_sets: Name and unit of each descriptor, by feature set; a unit is empty where there is none.
        helpers: The computed sources, with descriptors.
        models: Their models, blind to every group of the target; in the same order.
        group_ids: Groups of the target, which nothing may be taught about.
        seed: Fixes what chance decides.
    """

    property_name: str
    feature_sets: tuple[tuple[tuple[str, str], ...], ...]
    helpers: tuple[Samples, ...]
    models: tuple[SourceModel, ...]
    group_ids: NDArray[np.str_]
    seed: int = 0

    @property
    def columns(self) -> dict[str, tuple[int, str]]:
        """Where each descriptor stands, and its unit, by name."""
        flat = [each for feature_set in self.feature_sets for each in feature_set]
        return {name: (column, unit) for column, (name, unit) in enumerate(flat)}

    def lawful(self) -> tuple[Samples, ...]:
        """The helpers' materials without the target's groups."""
        return tuple(helper.take(~np.isin(helper.group_ids, self.group_ids)) for helper in self.helpers)


class Fitted(Protocol):
    """A method fitted on some experiments."""

    @property
    def says(self) -> str:
        """What can be read of it in one line; empty where nothing can."""

    def predict(self, features: NDArray[np.float64], asked: Sequence[Testimony]) -> NDArray[np.float64]:
        """Predict m materials, (m,), from (m, d) descriptors and what the helpers say about them."""


class Method(Protocol):
    """A way to join computed sources with experiments."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings in which it differs from itself."""

    def fit(self, seen: Samples, told: Sequence[Testimony], setting: Setting) -> Fitted:
        """Fit on n experiments, given what the helpers say about them.

        Raises:
            LearningError: when the method can't be used here, with the reason.
        """
