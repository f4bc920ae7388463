"""The applicability domain: whether a composition is close enough to measured ones.

Inside means all three: no element that the training materials lack; and a mean distance to the nearest training
materials, and an expected error (`difficulty`), that are no larger than those of 95 % of the training materials, each
compared with materials outside its own unit. Distance alone is not enough: where every material is a metal, even
distant ones are predicted well. Not here: distances (`neighbors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.samples import elements_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOMAIN_NEIGHBORS = 5
INSIDE_SHARE = 0.95  # of the training materials within each of the two limits


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the ensemble may be trusted.

    Attributes:
        max_distance: Largest mean distance to the `DOMAIN_NEIGHBORS` nearest training materials.
        max_difficulty: Largest expected error.
        elements: The elements that occur in the training materials.
    """

    max_distance: float
    max_difficulty: float
    elements: frozenset[str]

    def contains(
        self, distances: NDArray[np.float64], difficulty: NDArray[np.float64], material_ids: NDArray[np.str_]
    ) -> NDArray[np.bool_]:
        """Decide for each material, (m,), whether it is inside.

        Args:
            distances: (m, k) distances to the nearest training materials, nearest first.
            difficulty: (m,) expected errors.
            material_ids: (m,) reduced formulas.
        """
        familiar = np.array([elements <= self.elements for elements in elements_of(material_ids)], dtype=bool)
        near = distances[:, :DOMAIN_NEIGHBORS].mean(axis=1) <= self.max_distance
        return familiar & near & (difficulty <= self.max_difficulty)


def fit_domain(
    distances: NDArray[np.float64], difficulty: NDArray[np.float64], material_ids: NDArray[np.str_]
) -> Domain:
    """Fit the limits of the domain to the training materials.

    Args:
        distances: (n, k) distances of each to materials outside its own unit.
        difficulty: (n,) expected errors, from materials outside its own unit.
        material_ids: (n,) reduced formulas.
    """
    mean_distances = distances[:, :DOMAIN_NEIGHBORS].mean(axis=1)
    finite = mean_distances[np.isfinite(mean_distances)]  # infinite: fewer than k materials are outside the unit
    return Domain(
        max_distance=float(np.quantile(finite, INSIDE_SHARE)) if finite.size else np.inf,
        max_difficulty=float(np.quantile(difficulty, INSIDE_SHARE)),
        elements=frozenset().union(*elements_of(material_ids)),
    )
