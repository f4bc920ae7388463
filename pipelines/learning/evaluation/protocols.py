"""How models are evaluated, as one object: which rows are tested in which fold, and what no fold separates.

Training, benchmarks and tests all evaluate by a `Protocol` (`evaluation.evaluate`), so that their figures can be
compared. The composition of a test row is not trained on in the fold in which it is tested, even if it has other rows.
Not here: how units are determined (`splits`), fitting (`evaluation`), and figures (`scores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.splits import N_CLUSTERS, assign_folds, check_folds, split_units
from matstrata.schemas.terms import PUBLISHED, Split

OUTER_FOLDS: Mapping[Split, int] = MappingProxyType(
    {Split.GROUPED_KFOLD: 5, Split.CHEMICAL_SYSTEM: 5, Split.CLUSTER: N_CLUSTERS}
)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How m materials, measured in n rows, are tested.

    Attributes:
        name: A `Split`, or ``published``.
        units: (m,) what inner folds keep whole.
        material_of: (n,) the material of each row, as a position.
        measured: (n,) measured values.
        folds: (n,) the fold in which the row is tested; -1 for rows that are only trained on.
        zero_class: Name of the class whose value is 0, which is reported separately; None where there is none.
    """

    name: str
    units: NDArray[np.intp]
    material_of: NDArray[np.intp]
    measured: NDArray[np.float64]
    folds: NDArray[np.intp]
    zero_class: str | None

    @property
    def tested(self) -> NDArray[np.intp]:
        """The rows that are tested, (t,), in order."""
        return np.flatnonzero(self.folds >= 0)

    def shortened(self, rows: int) -> Protocol:
        """Test the first folds only, as many as it takes for `rows` tested rows; the other rows are only trained on."""
        before = np.cumsum([0, *np.bincount(self.folds[self.tested])])[:-1]
        return replace(self, folds=np.where(before[self.folds] < rows, self.folds, -1))

    def parts(self) -> Iterator[Part]:
        """Divide the rows into test and training part, fold by fold."""
        for fold in range(self.folds.max() + 1):
            rows = np.flatnonzero(self.folds == fold)
            test, test_position = np.unique(self.material_of[rows], return_inverse=True)
            usable = np.flatnonzero((self.folds != fold) & ~np.isin(self.material_of, test))
            train = np.unique(self.material_of[usable])
            values = medians(self.measured[usable], self.material_of[usable])
            yield Part(fold, rows, test, test_position, train, values)


@dataclass(frozen=True, slots=True)
class Part:
    """One fold of a protocol.

    Attributes:
        fold: Its number.
        rows: (r,) tested rows.
        test: (t,) their distinct materials, as positions.
        test_position: (r,) the position in `test` of each row's material.
        train: (n,) training materials, as positions.
        values: (n,) their values: medians over the training rows.
    """

    fold: int
    rows: NDArray[np.intp]
    test: NDArray[np.intp]
    test_position: NDArray[np.intp]
    train: NDArray[np.intp]
    values: NDArray[np.float64]


def split_protocol(target: Samples, split: Split, zero_class: str | None = None, seed: int = 0) -> Protocol:
    """Test every material of a target once, in folds of our own.

    Args:
        target: The measured materials.
        split: What the folds keep whole.
        zero_class: As in `Protocol`.
        seed: Fixes how units are dealt.

    Raises:
        LearningError: There is only one unit.
    """
    units = split_units(target, split)
    check_folds(target.group_ids, units)
    folds = assign_folds(units, OUTER_FOLDS[split], seed)
    values = target_values(target)
    return Protocol(split.value, units, np.arange(len(values)), values, folds, zero_class)


def published_protocol(
    measured: NDArray[np.float64],
    material_of: NDArray[np.intp],
    folds: NDArray[np.intp],
    zero_class: str | None = None,
) -> Protocol:
    """Test rows in published folds.

    Such folds were drawn row by row, and keep no groups whole; neither do the inner folds, or intervals calibrated on
    them would be wrong for the outer ones.

    Args:
        measured: (n,) values.
        material_of: (n,) the material of each row, as a position.
        folds: (n,) test folds; -1 for rows that are only trained on.
        zero_class: As in `Protocol`.
    """
    units = np.arange(material_of.max() + 1)
    return Protocol(PUBLISHED, units, material_of, measured, folds, zero_class)


def zero_classes(values: NDArray[np.float64], zero_class: str | None) -> dict[str, NDArray[np.bool_]]:
    """Make masks of the (n,) values that are 0, and that are not, by class name; none without a zero class."""
    return {} if zero_class is None else {zero_class: values == 0, f"non-{zero_class}": values != 0}


def medians(values: NDArray[np.float64], material_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Take the median of the (n,) values of each distinct material, in ascending order of its position."""
    order = np.argsort(material_of, kind="stable")
    starts = np.unique(material_of[order], return_index=True)[1]
    return np.array([np.median(part) for part in np.split(values[order], starts[1:])])
