"""Feature set `hellinger`: the composition itself, as the square root of each element's atomic fraction.

The Euclidean distance of two such vectors is the Hellinger distance of the compositions (times the root of 2): kernels
and neighbors find alloys of one series close to each other, and trees can ask for an element by name. D and T are H.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.pipelines.descriptors.columns import DescriptorColumn
from matstrata.pipelines.descriptors.composition.arrays import flatten
from matstrata.schemas.elements import ELEMENTS, HYDROGEN_ISOTOPES
from matstrata.schemas.units import NO_UNIT
from matstrata.store.features.sets import FeatureSet

_DESCRIBED = ELEMENTS[:103]  # to Lr: beyond, nothing was ever measured on a solid

COLUMNS: tuple[DescriptorColumn, ...] = tuple(
    DescriptorColumn(f"root_fraction_{symbol}", NO_UNIT, f"Square root of the atomic fraction of {symbol}")
    for symbol in _DESCRIBED
)


def compute(elements: pa.ListArray, fractions: pa.ListArray) -> tuple[NDArray[np.float64], list[str | None]]:
    """Compute the roots of n compositions.

    Args:
        elements: (n,) list<string>, the symbols of each composition, each at most once.
        fractions: (n,) list<double>, their atomic fractions in the same order.

    Returns:
        Matrix (n, 103) in the order of `COLUMNS`, and per row None or why it is all NaN.

    Raises:
        ValueError: `elements` and `fractions` don't match row by row.
    """
    column_of = {symbol: column for column, symbol in enumerate(_DESCRIBED)}
    column_of |= dict.fromkeys(HYDROGEN_ISOTOPES, column_of["H"])
    flat = flatten(elements, fractions, tabulated=column_of.keys(), data="periodic-table")
    matrix = np.full((len(flat.reasons), len(COLUMNS)), np.nan)
    columns = np.array([column_of.get(symbol, -1) for symbol in flat.symbols], dtype=np.int64)
    for block in flat.blocks():
        part = np.zeros((len(block.rows), len(COLUMNS)))
        rows = np.broadcast_to(np.arange(len(block.rows)), block.codes.shape)
        np.add.at(part, (rows, columns[block.codes]), block.fractions)
        matrix[block.rows] = np.sqrt(part)
    return matrix, flat.reasons


FEATURE_SET = FeatureSet(
    name="hellinger",
    description="square roots of the atomic fractions of 103 elements: Hellinger coordinates of the composition",
    columns=tuple(column.in_store() for column in COLUMNS),
    compute=compute,
    libraries=("numpy",),
)
