"""The nearest measured materials of a composition, and how far away they lie.

They explain a prediction, scale its interval (`intervals`) and say whether it lies in the domain (`domain`).
Distances are Euclidean over standardised descriptors, divided by the root of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 5.0  # standard deviations: one descriptor alone must not decide a distance
BLOCK = 1000  # rows at a time, so that a large request keeps memory small
SPARE = 10  # looked at beyond the nearest, so that equal distances are told apart by position and not by noise


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

        def part(start: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
            return _smallest(_squares(places[start : start + BLOCK], self.points), k)

        blocks = side_by_side(partial(part, start) for start in range(0, max(len(places), 1), BLOCK))
        return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])

    def nearest_outside(self, units: NDArray[np.intp], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the k nearest of each training material itself, none of them from its own unit."""
        squares = _squares(self.points, self.points)
        squares[units[:, None] == units[None, :]] = np.inf
        return _smallest(squares, k)


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


def _squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = a @ (b.T * (-2 / a.shape[1]))
    squared += (a**2).mean(axis=1)[:, None]
    squared += (b**2).mean(axis=1)[None, :]
    return squared


def _smallest(squares: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    n = squares.shape[1]
    k, wide = min(k, n), min(k + SPARE, n)
    found = np.sort(np.argpartition(squares, wide - 1, axis=1)[:, :wide], axis=1)
    # The difference of large squares leaves about 1e-7 of noise between equal points; ties must not depend on it.
    distances = np.sqrt(np.take_along_axis(squares, found, axis=1).clip(0)).round(6)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)
