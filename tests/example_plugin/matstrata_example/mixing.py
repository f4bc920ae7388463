"""Feature set `mixing`: the ideal entropy of mixing per atom over the Boltzmann constant, S = -sum_i c_i ln c_i."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.schemas.tables import REAL, Column
from matstrata.store.features.sets import FeatureSet

COLUMNS = (
    Column("mixing_entropy", REAL, "Ideal entropy of mixing per atom, over the Boltzmann constant"),
    Column("largest_fraction", REAL, "Atomic fraction of the most abundant element"),
)


def compute(elements: pa.ListArray, fractions: pa.ListArray) -> tuple[NDArray[np.float64], list[str | None]]:
    """Compute entropy and largest fraction of n compositions, from their elements and atomic fractions.

    Returns:
        Matrix (n, 2), and per row None or why it could not be computed.
    """
    assert len(elements) == len(fractions)
    matrix = np.full((len(fractions), 2), np.nan)
    reasons: list[str | None] = []
    for row, shares in enumerate(fractions.to_pylist()):
        reasons.append(None if shares else "the composition has no elements")
        if shares:
            c = np.array(shares)
            matrix[row] = -(c * np.log(c)).sum(), c.max()
    return matrix, reasons


FEATURE_SET = FeatureSet(
    name="mixing",
    description="ideal entropy of mixing and largest atomic fraction",
    columns=COLUMNS,
    compute=compute,
    libraries=("numpy",),
)
