"""The nearest measured materials of a composition, and how far away they lie.

They explain a prediction, scale its interval (`intervals`) and say whether it lies in the domain (`domain`).
Distances are Euclidean over standardised descriptors, divided by the root of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 5.0  # standard deviations: one descriptor alone must not decide a distance
BLOCK = 2000  # rows at a time, so that a large request keeps memory small


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The training materials as points.

    Attributes:
        centre: (d,) mean of each descriptor.
        width: (d,) standard deviation of each descriptor, 1 where it is constant.
        points: (n, d) standardised descriptors, 0 where undefined.
    """

    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    points: NDArray[np.float64]

    def nearest(self, features: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the k nearest training materials of each row: positions and distances, both (m, k), nearest first."""
        places = _standardise(features, self.centre, self.width)
        blocks = [
            _smallest(_distances(places[start : start + BLOCK], self.points), k)
            for start in range(0, max(len(places), 1), BLOCK)
        ]
        return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])

    def nearest_outside(self, units: NDArray[np.intp], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the k nearest of each training material itself, none of them from its own unit."""
        distances = _distances(self.points, self.points)
        distances[units[:, None] == units[None, :]] = np.inf
        return _smallest(distances, k)


def fit_neighbourhood(features: NDArray[np.float64]) -> Neighbourhood:
    """Standardise (n, d) training descriptors; a column without any value counts for nothing."""
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, features, 0.0).sum(axis=0) / count
    variance = np.where(known, features - centre, 0.0) ** 2
    width = np.sqrt(variance.sum(axis=0) / count)
    width[width < 1e-12 * (1 + np.abs(centre))] = 1.0
    return Neighbourhood(centre, width, _standardise(features, centre, width))


def _standardise(
    features: NDArray[np.float64], centre: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.nan_to_num((features - centre) / width).clip(-CLIP, CLIP)


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    distances: NDArray[np.float64] = np.sqrt(squared.clip(0) / a.shape[1])
    # The difference of large squares leaves about 1e-7 of noise between equal points; ties must not depend on it.
    return distances.round(6)


def _smallest(distances: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    k = min(k, distances.shape[1])
    found = np.sort(np.argpartition(distances, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(np.take_along_axis(distances, found, axis=1), axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)
    return found, np.take_along_axis(distances, found, axis=1)
