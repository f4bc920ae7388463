"""The applicability domain: is a composition close enough to what was measured?

Inside means all three: no element that the training materials lack; a mean distance to the nearest training materials,
and an expected error (`difficulty`), that 19 of 20 training materials keep too, each judged by
those outside its own unit. Distance alone does not do: where everything is a metal, far is still easy.
Not here: distances (`neighbours`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.samples import elements_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 5
SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the ensemble may be trusted.

    Attributes:
        reach: Largest mean distance to the `NEIGHBOURS` nearest training materials.
        difficulty: Largest expected error.
        elements: The elements that occur in the training materials.
    """

    reach: float
    difficulty: float
    elements: frozenset[str]

    def contains(
        self, distances: NDArray[np.float64], difficulty: NDArray[np.float64], material_ids: NDArray[np.str_]
    ) -> NDArray[np.bool_]:
        """Tell for each material, (m,), whether it lies inside.

        Args:
            distances: (m, k) distances to the nearest training materials, nearest first.
            difficulty: (m,) expected errors.
            material_ids: (m,) reduced formulas.
        """
        familiar = np.array([elements <= self.elements for elements in elements_of(material_ids)], dtype=bool)
        near = distances[:, :NEIGHBOURS].mean(axis=1) <= self.reach
        return familiar & near & (difficulty <= self.difficulty)


def fit_domain(
    distances: NDArray[np.float64], difficulty: NDArray[np.float64], material_ids: NDArray[np.str_]
) -> Domain:
    """Draw the domain around the training materials.

    Args:
        distances: (n, k) distances of each to others outside its own unit.
        difficulty: (n,) expected errors, from others outside its own unit.
        material_ids: (n,) reduced formulas.
    """
    reach = distances[:, :NEIGHBOURS].mean(axis=1)
    finite = reach[np.isfinite(reach)]  # infinite: fewer than k materials lie outside the unit
    return Domain(
        reach=float(np.quantile(finite, SHARE)) if finite.size else np.inf,
        difficulty=float(np.quantile(difficulty, SHARE)),
        elements=frozenset().union(*elements_of(material_ids)),
    )
