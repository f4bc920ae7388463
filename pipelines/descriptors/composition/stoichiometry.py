"""Feature set `stoichiometry`: how the amounts are distributed, whatever the elements are.

The p-norms of the atomic fractions of Ward et al. 2016 (doi:10.1038/npjcompumats.2016.28), as in matminer's
`Stoichiometry`. D and T count as elements of their own, where matminer takes them for H.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.pipelines.descriptors.columns import DescriptorColumn
from matstrata.pipelines.descriptors.composition.arrays import flatten
from matstrata.schemas.units import NO_UNIT
from matstrata.store.features.sets import FeatureSet

_POWERS = (2, 3, 5, 7, 10)

COLUMNS: tuple[DescriptorColumn, ...] = (
    DescriptorColumn("n_elements", NO_UNIT, "Number of elements (the 0-norm of the fractions)", "0-norm"),
    *(
        DescriptorColumn(f"fraction_norm_{p}", NO_UNIT, f"{p}-norm of the atomic fractions", f"{p}-norm")
        for p in _POWERS
    ),
)


def compute(elements: pa.ListArray, fractions: pa.ListArray) -> tuple[NDArray[np.float64], list[str | None]]:
    """Compute the norms of n compositions.

    Args:
        elements: (n,) list<string>, the symbols of each composition, each at most once.
        fractions: (n,) list<double>, their atomic fractions in the same order.

    Returns:
        Matrix (n, 6) in the order of `COLUMNS`, and per row None or why it is all NaN.

    Raises:
        ValueError: `elements` and `fractions` don't match row by row.
    """
    flat = flatten(elements, fractions)
    matrix = np.full((len(flat.reasons), len(COLUMNS)), np.nan)
    for block in flat.blocks():
        matrix[block.rows, 0] = len(block.fractions)
        for column, p in enumerate(_POWERS, start=1):
            matrix[block.rows, column] = (block.fractions**p).sum(axis=0) ** (1 / p)
    return matrix, flat.reasons


FEATURE_SET = FeatureSet(
    name="stoichiometry",
    description="number of elements and p-norms of the atomic fractions (Ward et al. 2016)",
    columns=tuple(column.in_store() for column in COLUMNS),
    compute=compute,
    libraries=("numpy",),
)
