"""How the error falls with the number of measured materials: the same test materials, predicted from parts of the rest.

The computed sources stay whole, as they would for somebody who has measured less. Not here: figures of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.learning.ensemble import FEWEST
from pipelines.learning.evaluation import Fold, fit_stacks
from pipelines.learning.samples import target_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipelines.learning.ensemble import Stack
    from pipelines.learning.level1 import Setting

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the training materials; all of them are the evaluation's own
LEAST = 3 * FEWEST  # materials below which no curve is worth its fits


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The mean absolute error on the `n_test` materials of one fold, from `n_train` measured materials."""

    setting: str
    fold: int
    n_train: int
    n_test: int
    mae: float


def curve_of(
    fold: Fold, settings: Sequence[Setting], bounds: tuple[float, float], seed: int
) -> list[CurvePoint]:
    """The errors of one fold by training size, whole units drawn at random, each part within the next."""
    order = _by_unit(fold.units, seed)
    points = []
    for share in SHARES:
        rows = np.sort(order[: round(share * len(order))])
        if len(rows) < LEAST or len(np.unique(fold.units[rows])) < FEWEST:
            continue
        told = [testimony.take(rows) for testimony in fold.told]
        stacks = fit_stacks(fold.seen.take(rows), fold.units[rows], told, settings, bounds, seed)
        points += [_point(fold, setting, len(rows), stack) for setting, stack in stacks.items()]
    return points + [_point(fold, setting, len(order), fold.stacks[setting]) for setting in settings]


def _by_unit(units: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """All rows, unit after unit, the units in random order."""
    rank = np.random.default_rng(seed).permutation(int(units.max()) + 1)[units]
    return np.argsort(rank, kind="stable")


def _point(fold: Fold, setting: Setting, n_train: int, stack: Stack) -> CurvePoint:
    errors = np.abs(stack.values(fold.unseen.features, fold.asked) - target_values(fold.unseen))
    return CurvePoint(setting.value, fold.number, n_train, len(errors), float(errors.mean()))
