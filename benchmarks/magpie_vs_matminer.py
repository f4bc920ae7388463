"""The Magpie descriptors compared with matminer's: the same values, and the ratio of speeds.

Run as `python benchmarks/magpie_vs_matminer.py`; the compositions come with matminer's wheel.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pyarrow as pa
from formula_parsing import bundled_formulas

from matstrata.pipelines.descriptors.composition import magpie
from matstrata.schemas.composition import parse_formula

_ROWS = 2_000
_REPEATS = 5


def main() -> int:
    """Print the measurements; return 1 if any value differs."""
    from matminer.featurizers.composition import ElementProperty  # deferred: 4 s
    from pymatgen.core.composition import Composition

    formulas = bundled_formulas(_ROWS)
    compositions = [parse_formula(formula) for formula in formulas]
    elements = pa.array([c.elements for c in compositions], pa.list_(pa.string()))
    fractions = pa.array([c.fractions for c in compositions], pa.list_(pa.float64()))
    magpie.compute(elements[:1], fractions[:1])  # reads the tables
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        matrix, reasons = magpie.compute(elements, fractions)
        times.append(time.perf_counter() - start)
    ours = min(times)

    featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every property that a noble gas lacks
        peers = [Composition(formula) for formula in formulas]
        start = time.perf_counter()
        expected = np.array([featurizer.featurize(peer) for peer in peers], dtype=float)
        theirs = time.perf_counter() - start

    has_descriptors = np.array([reason is None for reason in reasons])
    same = np.allclose(matrix[has_descriptors], expected[has_descriptors], rtol=1e-9, atol=1e-11, equal_nan=True)
    largest = np.nanmax(np.abs(matrix[has_descriptors] - expected[has_descriptors]))
    print(
        f"{len(formulas):,} compositions, {np.sum(~has_descriptors)} without data: {sorted(set(filter(None, reasons)))}"
    )
    print(f"matstrata: {len(formulas) / ours:,.0f} rows a second; matminer: {len(formulas) / theirs:,.0f}")
    print(f"ratio {theirs / ours:.0f}; equal: {same}, largest difference {largest:.1g}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
