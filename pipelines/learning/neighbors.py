"""The nearest measured materials of a composition, and their distances.

They explain a prediction, scale its interval (`stack.difficulty`) and decide whether it is in the domain
(`stack.domain`). Distances are Euclidean over d standardized descriptors z, divided by the root of their number:
||z - z'|| / sqrt(d). Not here: what is concluded from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.threads import run_in_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_NEIGHBOR_DEVIATIONS = 5.0  # standard deviations: one descriptor alone must not decide a distance
BATCH_ROWS = 1000  # at a time, so that a large request keeps memory small
SPARE_NEIGHBORS = 10  # compared beyond the nearest, so that equal distances are ordered by position and not by noise


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The training materials as points.

    Attributes:
        center: (d,) mean of each descriptor.
        width: (d,) standard deviation of each descriptor, 1 where it is constant.
        points: (n, d) standardized descriptors, 0 where undefined.
    """

    center: NDArray[np.float64]
    width: NDArray[np.float64]
    points: NDArray[np.float64]

    def nearest(self, features: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the nearest training materials of each row.

        Args:
            features: (m, d) descriptors.
            k: Number of materials to find.

        Returns:
            Positions and distances, (m, k) each, nearest first.
        """
        points = _standardize(features, self.center, self.width)

        def batch(start: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
            return _smallest(_squares(points[start : start + BATCH_ROWS], self.points), k)

        batches = run_in_parallel(partial(batch, start) for start in range(0, max(len(points), 1), BATCH_ROWS))
        return np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])

    def nearest_outside(self, units: NDArray[np.intp], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the k nearest of each training material itself, none of them from its own unit."""
        squares = _squares(self.points, self.points)
        squares[units[:, None] == units[None, :]] = np.inf
        return _smallest(squares, k)


def fit_neighborhood(features: NDArray[np.float64]) -> Neighborhood:
    """Standardize (n, d) training descriptors; a column without any value is ignored."""
    finite = np.isfinite(features)
    count = np.maximum(finite.sum(axis=0), 1)
    center = np.where(finite, features, 0.0).sum(axis=0) / count
    variance = np.where(finite, features - center, 0.0) ** 2
    width = np.sqrt(variance.sum(axis=0) / count)
    width[width < 1e-12 * (1 + np.abs(center))] = 1.0
    return Neighborhood(center, width, _standardize(features, center, width))


def _standardize(
    features: NDArray[np.float64], center: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.nan_to_num((features - center) / width).clip(-MAX_NEIGHBOR_DEVIATIONS, MAX_NEIGHBOR_DEVIATIONS)


def _squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = a @ (b.T * (-2 / a.shape[1]))
    squared += (a**2).mean(axis=1)[:, None]
    squared += (b**2).mean(axis=1)[None, :]
    return squared


def _smallest(squares: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    n = squares.shape[1]
    k, wide = min(k, n), min(k + SPARE_NEIGHBORS, n)
    nearest = np.sort(np.argpartition(squares, wide - 1, axis=1)[:, :wide], axis=1)
    # The difference of large squares leaves about 1e-7 of noise between equal points; ties must not depend on it.
    distances = np.sqrt(np.take_along_axis(squares, nearest, axis=1).clip(0)).round(6)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(nearest, order, axis=1), np.take_along_axis(distances, order, axis=1)
