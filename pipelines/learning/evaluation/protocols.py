"""How models are judged, as one object: which rows are tested when, what stays whole, what is reported apart.

Training, benchmarks and tests all judge by it (`evaluation.evaluate`), so a figure of the one can stand beside a figure
of the other. A test row's composition is trained on in no fold in which it is tested, even if it has other rows.
Not here: how units are found (`splits`), fitting and figures (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.splits import CLUSTERS, Split, assign_folds, check_folds, split_units

FOLDS = {Split.GROUPED_KFOLD: 5, Split.CHEMICAL_SYSTEM: 5, Split.CLUSTER: CLUSTERS}
PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Protocol:
    """How m materials, measured in n rows, are judged.

    Attributes:
        name: A `Split`, or ``published``.
        units: (m,) what inner folds keep whole.
        which: (n,) the material of each row.
        measured: (n,) its value.
        folds: (n,) the fold in which it is tested; -1 for rows that are only trained on.
        zero_class: Name of the class whose value is 0, reported apart from the others; None where there is none.
    """

    name: str
    units: NDArray[np.intp]
    which: NDArray[np.intp]
    measured: NDArray[np.float64]
    folds: NDArray[np.intp]
    zero_class: str | None

    @property
    def tested(self) -> NDArray[np.intp]:
        """The rows that are tested, (t,), in order."""
        return np.flatnonzero(self.folds >= 0)

    def shortened(self, rows: int) -> Protocol:
        """The same with only the first folds tested, as many as `rows` tested rows take; the others are trained on."""
        before = np.cumsum([0, *np.bincount(self.folds[self.tested])])[:-1]
        return replace(self, folds=np.where(before[self.folds] < rows, self.folds, -1))

    def parts(self) -> Iterator[Part]:
        """What is tested and what trained on, fold by fold."""
        for fold in range(self.folds.max() + 1):
            rows = np.flatnonzero(self.folds == fold)
            asked, place = np.unique(self.which[rows], return_inverse=True)
            usable = np.flatnonzero((self.folds != fold) & ~np.isin(self.which, asked))
            told = np.unique(self.which[usable])
            yield Part(fold, rows, asked, place, told, medians(self.measured[usable], self.which[usable]))


@dataclass(frozen=True, slots=True)
class Part:
    """One fold: tested `rows`, their materials `asked` at `place`, materials `told` with their `values`."""

    fold: int
    rows: NDArray[np.intp]
    asked: NDArray[np.intp]
    place: NDArray[np.intp]
    told: NDArray[np.intp]
    values: NDArray[np.float64]


def split_protocol(target: Samples, split: Split, zero_class: str | None = None, seed: int = 0) -> Protocol:
    """Judge every material of a target once, in folds of our own.

    Args:
        target: The measured materials.
        split: What the folds keep whole.
        zero_class: As in `Protocol`.
        seed: Fixes how units are dealt.

    Raises:
        LearningError: there is only one unit.
    """
    units = split_units(target, split)
    check_folds(target.group_ids, units)
    folds = assign_folds(units, FOLDS[split], seed)
    values = target_values(target)
    return Protocol(split.value, units, np.arange(len(values)), values, folds, zero_class)


def published_protocol(
    measured: NDArray[np.float64], which: NDArray[np.intp], folds: NDArray[np.intp], zero_class: str | None = None
) -> Protocol:
    """Judge rows in the folds that others published.

    Such folds were drawn row by row, and keep no groups whole; inner folds do as they do, or what is calibrated inside
    would promise too little outside.

    Args:
        measured: (n,) values.
        which: (n,) the material of each row.
        folds: (n,) test folds; -1 for rows that are only trained on.
        zero_class: As in `Protocol`.
    """
    units = np.arange(which.max() + 1)
    return Protocol(PUBLISHED, units, which, measured, folds, zero_class)


def classes(values: NDArray[np.float64], zero_class: str | None) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows that are 0 and that are not, if that is a class of its own: (n,) each, by name."""
    return {} if zero_class is None else {zero_class: values == 0, f"non-{zero_class}": values != 0}


def medians(values: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
    """The median value of each material that `which` names, in their order."""
    order = np.argsort(which, kind="stable")
    starts = np.unique(which[order], return_index=True)[1]
    return np.array([np.median(part) for part in np.split(values[order], starts[1:])])
