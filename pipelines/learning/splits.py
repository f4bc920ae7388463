"""Splits that never separate a group.

A *unit* is what a protocol keeps together: a `group_id`, or a chemical system with every group that touches it.
Not here: what is trained or measured on the folds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.schemas.terms import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples


N_CLUSTERS = 10  # of similar compositions, each left out as a whole (leave-one-cluster-out; doi:10.1039/C8ME00012C)


def split_units(samples: Samples, split: Split) -> NDArray[np.intp]:
    """Number the unit of each row, (n,).

    With `CHEMICAL_SYSTEM`, a group that spans two systems (a trace of dopant vanishes from the `group_id`) joins them
    into one unit, so that this protocol too keeps every group whole. With `CLUSTER`, groups belong to the cluster of
    their first member, of `N_CLUSTERS` clusters of standardized descriptors.
    """
    groups = np.unique(samples.group_ids, return_inverse=True)[1]
    if split is Split.GROUPED_KFOLD:
        return groups
    if split is Split.CLUSTER:
        return _clusters(samples.features)[np.unique(groups, return_index=True)[1]][groups]
    from scipy.sparse import coo_array  # deferred: 0.2 s
    from scipy.sparse.csgraph import connected_components

    systems = np.unique(samples.chemical_systems, return_inverse=True)[1]
    n_groups = groups.max() + 1
    n_nodes = n_groups + systems.max() + 1
    edges = coo_array((np.ones(len(groups)), (groups, systems + n_groups)), shape=(n_nodes, n_nodes))
    units: NDArray[np.intp] = connected_components(edges, directed=False)[1][groups].astype(np.intp)
    return units


def _clusters(features: NDArray[np.float64]) -> NDArray[np.intp]:
    """Cluster materials by their descriptors alone, deterministically: (n,) numbers."""
    from sklearn.cluster import KMeans  # deferred: 1.5 s

    from matstrata.pipelines.learning.neighbors import fit_neighborhood

    points = fit_neighborhood(features).points
    n_clusters = min(N_CLUSTERS, len(np.unique(points, axis=0)))
    clusters: NDArray[np.intp] = KMeans(n_clusters, n_init=3, random_state=0).fit_predict(points)
    return clusters.astype(np.intp)


def assign_folds(units: NDArray[np.intp], n_folds: int, seed: int) -> NDArray[np.intp]:
    """Give each row a fold number, (n,), the same for all rows of a unit.

    Units are dealt in shuffled order, each to the fold that has fewest rows, so folds are nearly equal in size even
    when units are not. With fewer units than `n_folds` there are as many folds as units.

    Args:
        units: (n,) unit of each row.
        n_folds: Number of folds.
        seed: Fixes the order in which units are dealt.

    Raises:
        LearningError: There are fewer than two units, which cannot be split.
    """
    if n_folds < 2:
        raise LearningError(f"a split needs at least 2 folds, not {n_folds}")
    names, rows, sizes = np.unique(units, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise LearningError(f"all {len(units)} materials belong to one group: nothing to hold out; add other materials")
    load = np.zeros(min(n_folds, len(names)), dtype=np.intp)
    fold_of_unit = np.empty(len(names), dtype=np.intp)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    # The largest first, or a big unit dealt last would unbalance the folds; the sort is stable, so ties stay shuffled.
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_unit[unit] = np.argmin(load)
        load[fold_of_unit[unit]] += sizes[unit]
    return fold_of_unit[rows]


def check_folds(group_ids: NDArray[np.str_], folds: NDArray[np.intp]) -> None:
    """Check that no group is in two folds.

    Args:
        group_ids: (n,) group of each row.
        folds: (n,) fold of each row.

    Raises:
        LeakageError: A group is; the message names it.
    """
    names, first, rows = np.unique(group_ids, return_index=True, return_inverse=True)
    separated = np.flatnonzero(folds != folds[first[rows]])
    if separated.size:
        row = separated[0]
        raise LeakageError(
            f"group {names[rows[row]]} is in folds {folds[first[rows[row]]]} and {folds[row]}: "
            "its members would be both trained on and tested; split by group"
        )
