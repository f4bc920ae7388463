"""The labeled materials of one source, as arrays: what every function of this package takes.

Not here: how samples are read from the store (`jobs`), and any model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.schemas.terms import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENT = re.compile(r"[A-Z][a-z]?")


@dataclass(frozen=True, slots=True)
class Samples:
    """The labeled materials of one source.

    Attributes:
        source: Name of the source.
        kind: How its values came about.
        properties: Names of the p columns of `values`.
        material_ids: (n,) exact reduced formulas, each once.
        group_ids: (n,) the coarser key that no split may separate.
        chemical_systems: (n,) such as ``Ga-N``.
        features: (n, d), NaN where undefined.
        values: (n, p), NaN where not reported.
        widths: Numbers of columns of the feature sets, in the order of `features`; empty counts as one set.

    Raises:
        LearningError: Shapes disagree, a material appears twice, or a number is infinite.
    """

    source: str
    kind: Kind
    properties: tuple[str, ...]
    material_ids: NDArray[np.str_]
    group_ids: NDArray[np.str_]
    chemical_systems: NDArray[np.str_]
    features: NDArray[np.float64]
    values: NDArray[np.float64]
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays that no model could use."""
        n = len(self.material_ids)
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)[3:8]}
        if set(lengths.values()) != {n}:
            raise LearningError(f"{self.source}: the arrays have different lengths: {lengths}")
        if self.features.ndim != 2 or self.values.shape != (n, len(self.properties)):
            raise LearningError(
                f"{self.source}: features {self.features.shape} must be (n, d) and values {self.values.shape} "
                f"(n, {len(self.properties)}), one column for each of {', '.join(self.properties)}"
            )
        if len(np.unique(self.material_ids)) != n:
            raise LearningError(f"{self.source}: a material appears twice; reconcile its observations to one row first")
        if np.isinf(self.features).any() or np.isinf(self.values).any():
            raise LearningError(f"{self.source}: features and values must be finite or NaN, and one is infinite")

    def __len__(self) -> int:
        """Count the materials."""
        return len(self.material_ids)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Samples:
        """Select some rows, given as a mask or as positions."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)[3:8]})

    def without_descriptors(self) -> Samples:
        """Drop the descriptors, and with them nearly all of the memory: values can still be looked up."""
        return replace(self, features=np.empty((len(self), 0)), widths=())


def target_values(target: Samples) -> NDArray[np.float64]:
    """Return the (n,) values of a target source, which must have one property, reported for every row.

    Raises:
        LearningError: There is more than one property, or a value is missing.
    """
    if len(target.properties) != 1:
        raise LearningError(f"{target.source}: a target has one property, not {len(target.properties)}")
    values = target.values[:, 0]
    if np.isnan(values).any():
        raise LearningError(f"{target.source}: {np.isnan(values).sum()} rows have no value; leave them out first")
    return values


def computed_values(helper: Samples, material_ids: NDArray[np.str_]) -> NDArray[np.float64]:
    """Look up the values that a computed source has of some materials.

    Args:
        helper: The computed source.
        material_ids: (m,) materials.

    Returns:
        (m, p), NaN where the source has no value.

    Raises:
        LeakageError: The helper is an experiment, whose values of test materials must not be used.
    """
    if helper.kind != Kind.COMPUTATION:
        raise LeakageError(
            f"{helper.source} is of kind {helper.kind}: only computed values of the target's materials may be used as "
            "inputs; an experiment can be a helper through its model alone"
        )
    rows = {material: row for row, material in enumerate(helper.material_ids.tolist())}
    positions = np.array([rows.get(material, -1) for material in np.asarray(material_ids).tolist()], dtype=np.intp)
    values = np.full((len(positions), len(helper.properties)), np.nan)
    values[positions >= 0] = helper.values[positions[positions >= 0]]
    return values


def elements_of(material_ids: Sequence[str] | NDArray[np.str_]) -> list[frozenset[str]]:
    """Parse the element symbols of reduced formulas."""
    return [frozenset(ELEMENT.findall(material)) for material in material_ids]
