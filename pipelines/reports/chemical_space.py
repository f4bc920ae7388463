"""Materials in the space of their descriptors: the data of the maps, the parallel axes and the clusters.

Pure functions of a table of materials with descriptors (`queries.with_descriptors`). Not here: the embeddings
themselves (`embeddings`), and how they are drawn (`figures.chemical_space`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports.embeddings import MIN_MATERIALS, standardize
from matstrata.schemas.display import formula_for_people

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAP_MEASURED, MAP_COMPUTED = 600, 300  # materials on the maps, at most
PARALLEL_AXES = 6  # in addition to the property's own
PARALLEL_LINES = 200
CLUSTER_ROWS, CLUSTER_COLUMNS = 50, 24  # as many names as can be read
_EXTREMES = ("_min", "_max", "_range", "_avg_dev", "_mode")
_REDUNDANT = 0.8  # rank correlation from which on two descriptors are redundant


@dataclass(frozen=True, slots=True)
class Materials:
    """Materials with their descriptors.

    Attributes:
        material_ids: (n,) their keys.
        values: (n,) measured values of the property, NaN where only computed sources have the material.
        descriptors: (d,) names of those descriptors that differ between materials.
        features: (n, d) their values, NaN where undefined.
        points: (n, d) the same, standardized.
    """

    material_ids: NDArray[np.str_]
    values: NDArray[np.float64]
    descriptors: tuple[str, ...]
    features: NDArray[np.float64]
    points: NDArray[np.float64]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n,) whether the property was measured."""
        return np.isfinite(self.values)

    @property
    def formulas(self) -> NDArray[np.str_]:
        """(n,) formulas in the conventional order."""
        return np.array([formula_for_people(each) for each in self.material_ids.tolist()], dtype=str)

    def take(self, rows: NDArray[np.intp]) -> Materials:
        """Select some materials."""
        return Materials(
            self.material_ids[rows], self.values[rows], self.descriptors, self.features[rows], self.points[rows]
        )


def materials_of(table: pa.Table) -> Materials | None:
    """The materials of a table (material_id, value, descriptors), or None if they are too few to draw."""
    names = [name for name in table.column_names if name not in ("material_id", "value")]
    if table.num_rows < MIN_MATERIALS or len(names) < 2:
        return None
    features = np.column_stack([table[name].to_numpy().astype(np.float64) for name in names])
    complete = ~np.isnan(features).all(axis=1)
    features = features[complete]
    if len(features) < MIN_MATERIALS:
        return None
    points, varying = standardize(features)
    values = table["value"].to_numpy().astype(np.float64)[complete]
    if varying.sum() < 2 or np.isfinite(values).sum() < MIN_MATERIALS:
        return None
    ids = np.array(table["material_id"].to_pylist(), dtype=str)[complete]
    descriptors = tuple(name for name, varies in zip(names, varying, strict=True) if varies)
    return Materials(ids, values, descriptors, features[:, varying], points)


def some_measured(materials: Materials, n: int) -> Materials:
    """Select at most n of the measured materials, evenly over their order by value."""
    measured = np.flatnonzero(materials.measured)
    by_value = measured[np.lexsort((materials.material_ids[measured], materials.values[measured]))]
    places = np.unique(np.linspace(0, len(by_value) - 1, min(n, len(by_value))).round().astype(int))
    return materials.take(by_value[places])


def informative_descriptors(materials: Materials, n: int) -> list[int]:
    """Choose at most n descriptors that correlate with the property most, and not with each other.

    By Spearman's rank correlation over the measured materials; averages and counts precede extremes and deviations,
    which are harder to picture, and descriptors that are constant for most materials.
    """
    from scipy.stats import rankdata  # deferred: 0.5 s

    rows = materials.measured
    ranks = rankdata(np.column_stack([materials.points[rows], materials.values[rows]]), axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(norms > 0, norms, 1.0)
    strength = np.abs(ranks[:, :-1].T @ ranks[:, -1])
    easy_to_picture = np.array(
        [
            not name.endswith(_EXTREMES) and np.unique(column, return_counts=True)[1].max() < rows.sum() / 2
            for name, column in zip(materials.descriptors, materials.points[rows].T, strict=True)
        ]
    )
    chosen: list[int] = []
    for place in np.lexsort((-strength, ~easy_to_picture)):
        if len(chosen) < n and all(abs(ranks[:, place] @ ranks[:, other]) < _REDUNDANT for other in chosen):
            chosen.append(int(place))
    return chosen
