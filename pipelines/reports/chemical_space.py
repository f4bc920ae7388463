"""Materials as their descriptors show them: what the maps, the parallel axes and the clusters are drawn from.

Pure functions of a table of described materials (`queries.described`). Not here: the embeddings themselves
(`embeddings`) and how they are drawn (`space_figures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports.embeddings import FEWEST, standardise

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURED, COMPUTED = 600, 300  # materials drawn on the maps, at most
AXES = 6  # parallel ones, beside the property's own
LINES = 200
ROWS, COLUMNS = 50, 24  # of the heat map: as many names as can be read
_EXTREMES = ("_min", "_max", "_range", "_avg_dev", "_mode")
_ALIKE = 0.8  # rank correlation from which on two descriptors say the same


@dataclass(frozen=True, slots=True)
class Materials:
    """Described materials.

    Attributes:
        names: (n,) formulas.
        values: (n,) measured values of the property, NaN where only computed sources know the material.
        descriptors: (d,) names of those descriptors that differ between materials.
        features: (n, d) their values, NaN where undefined.
        points: (n, d) the same, standardised.
    """

    names: NDArray[np.str_]
    values: NDArray[np.float64]
    descriptors: tuple[str, ...]
    features: NDArray[np.float64]
    points: NDArray[np.float64]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n,) whether the property was measured."""
        return np.isfinite(self.values)

    def take(self, rows: NDArray[np.intp]) -> Materials:
        """Keep some materials."""
        return Materials(self.names[rows], self.values[rows], self.descriptors, self.features[rows], self.points[rows])


def materials_of(table: pa.Table) -> Materials | None:
    """The materials of a table (material_id, value, descriptors), or None where they are too few to show anything."""
    names = [name for name in table.column_names if name not in ("material_id", "value")]
    if table.num_rows < FEWEST or len(names) < 2:
        return None
    features = np.column_stack([table[name].to_numpy().astype(np.float64) for name in names])
    described = ~np.isnan(features).all(axis=1)
    features = features[described]
    if len(features) < FEWEST:
        return None
    points, varying = standardise(features)
    values = table["value"].to_numpy().astype(np.float64)[described]
    if varying.sum() < 2 or np.isfinite(values).sum() < FEWEST:
        return None
    ids = np.array(table["material_id"].to_pylist(), dtype=str)[described]
    kept = tuple(name for name, differs in zip(names, varying, strict=True) if differs)
    return Materials(ids, values, kept, features[:, varying], points)


def some_measured(materials: Materials, n: int) -> Materials:
    """At most n of the measured ones, evenly over the range of values, by value."""
    measured = np.flatnonzero(materials.measured)
    by_value = measured[np.lexsort((materials.names[measured], materials.values[measured]))]
    places = np.unique(np.linspace(0, len(by_value) - 1, min(n, len(by_value))).round().astype(int))
    return materials.take(by_value[places])


def telling_descriptors(materials: Materials, n: int) -> list[int]:
    """At most n descriptors that go up or down with the property most, none of them saying what another says.

    By the rank correlation over the measured materials; averages and counts before extremes and deviations, which fewer
    people can picture, and before what is the same for most materials.
    """
    from scipy.stats import rankdata  # deferred: 0.5 s

    rows = materials.measured
    ranks = rankdata(np.column_stack([materials.points[rows], materials.values[rows]]), axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(norms > 0, norms, 1.0)
    strength = np.abs(ranks[:, :-1].T @ ranks[:, -1])
    pictured = np.array(
        [
            not name.endswith(_EXTREMES) and np.unique(column, return_counts=True)[1].max() < rows.sum() / 2
            for name, column in zip(materials.descriptors, materials.points[rows].T, strict=True)
        ]
    )
    chosen: list[int] = []
    for place in np.lexsort((-strength, ~pictured)):
        if len(chosen) < n and all(abs(ranks[:, place] @ ranks[:, other]) < _ALIKE for other in chosen):
            chosen.append(int(place))
    return chosen
