"""Feature set `magpie`: six statistics of 22 elemental properties over a composition.

The descriptors of Ward et al. 2016 (doi:10.1038/npjcompumats.2016.28), equal to those of matminer's
`ElementProperty.from_preset("magpie", impute_nan=False)` and computed from the tables in matminer's wheel, which is
not imported for it (4 s). D and T have the data of H, as in matminer: the tables know no isotopes, so the atomic
weight of a deuterated compound is that of the light one. An element with no data at all (Nh and beyond) costs its
row, with a reason. A single missing property is NaN in the statistics that it enters, as in matminer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.pipelines.descriptors.columns import DescriptorColumn
from matstrata.pipelines.descriptors.composition import element_tables
from matstrata.pipelines.descriptors.composition.arrays import flatten
from matstrata.schemas.elements import ELEMENTS, HYDROGEN_ISOTOPES
from matstrata.schemas.units import NO_UNIT
from matstrata.store.features.sets import FeatureSet

# matminer's table, our name, unit, meaning
_PROPERTIES = (
    ("Number", "atomic_number", NO_UNIT, "atomic number"),
    ("MendeleevNumber", "mendeleev_number", NO_UNIT, "Mendeleev number (position counted by columns)"),
    ("AtomicWeight", "atomic_weight", "u", "atomic weight"),
    ("MeltingT", "melting_temperature", "K", "melting temperature of the element"),
    ("Column", "periodic_column", NO_UNIT, "column of the periodic table (3 for all rare earths)"),
    ("Row", "periodic_row", NO_UNIT, "row of the periodic table"),
    ("CovalentRadius", "covalent_radius", "pm", "covalent radius"),
    ("Electronegativity", "electronegativity", NO_UNIT, "Pauling electronegativity"),
    ("NsValence", "s_valence_electrons", NO_UNIT, "number of s valence electrons"),
    ("NpValence", "p_valence_electrons", NO_UNIT, "number of p valence electrons"),
    ("NdValence", "d_valence_electrons", NO_UNIT, "number of d valence electrons"),
    ("NfValence", "f_valence_electrons", NO_UNIT, "number of f valence electrons"),
    ("NValence", "valence_electrons", NO_UNIT, "number of valence electrons"),
    ("NsUnfilled", "s_unfilled_states", NO_UNIT, "number of unfilled s valence states"),
    ("NpUnfilled", "p_unfilled_states", NO_UNIT, "number of unfilled p valence states"),
    ("NdUnfilled", "d_unfilled_states", NO_UNIT, "number of unfilled d valence states"),
    ("NfUnfilled", "f_unfilled_states", NO_UNIT, "number of unfilled f valence states"),
    ("NUnfilled", "unfilled_states", NO_UNIT, "number of unfilled valence states"),
    ("GSvolume_pa", "gs_volume_per_atom", "angstrom^3", "DFT volume per atom of the element's ground state"),
    ("GSbandgap", "gs_band_gap", "eV", "DFT band gap of the element's ground state"),
    ("GSmagmom", "gs_magnetic_moment", "bohr_magneton", "DFT magnetic moment per atom of the element's ground state"),
    ("SpaceGroupNumber", "space_group_number", NO_UNIT, "space group number of the element's ground state"),
)

# matminer's statistic, our suffix, meaning
_STATISTICS = (
    ("minimum", "min", "Smallest {} among the elements"),
    ("maximum", "max", "Largest {} among the elements"),
    ("range", "range", "Largest minus smallest {} among the elements"),
    ("mean", "mean", "Mean {}, weighted by atomic fraction"),
    ("avg_dev", "avg_dev", "Mean absolute deviation of the {} from its mean, weighted by atomic fraction"),
    ("mode", "mode", "{} of the most abundant element; of several equally abundant ones, the smallest"),
)

_TABLE_FILES = element_tables.table_files(table for table, *_ in _PROPERTIES)

COLUMNS: tuple[DescriptorColumn, ...] = tuple(
    DescriptorColumn(
        name=f"{name}_{suffix}",
        unit=unit,
        description=(text := sentence.format(meaning))[0].upper() + text[1:],
        matminer=f"MagpieData {statistic} {table}",
    )
    for table, name, unit, meaning in _PROPERTIES
    for statistic, suffix, sentence in _STATISTICS
)


def compute(elements: pa.ListArray, fractions: pa.ListArray) -> tuple[NDArray[np.float64], list[str | None]]:
    """Compute the 132 descriptors of n compositions.

    Args:
        elements: (n,) list<string>, the symbols of each composition, each at most once.
        fractions: (n,) list<double>, their atomic fractions in the same order.

    Returns:
        Matrix (n, 132) in the order of `COLUMNS`, and per row None or why it is all NaN.

    Raises:
        ValueError: `elements` and `fractions` don't match row by row.
    """
    row_of, table = _element_table()
    flat = flatten(elements, fractions, tabulated=row_of, data="Magpie")
    matrix = np.full((len(flat.reasons), len(COLUMNS)), np.nan)
    table_rows = np.array([row_of.get(symbol, -1) for symbol in flat.symbols], dtype=np.int64)
    for block in flat.blocks():
        statistics = _statistics(table[table_rows[block.codes]], block.fractions)
        matrix[block.rows] = statistics.reshape(len(block.rows), len(COLUMNS))
    return matrix, flat.reasons


def _statistics(values: NDArray[np.float64], fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce values (k elements, m compositions, 22 properties) with fractions (k, m) to (m, 22, 6)."""
    weights = fractions[:, :, np.newaxis]
    largest = fractions.max(axis=0)
    rarer = np.abs(fractions - largest) > 1e-8 + 1e-5 * largest  # np.isclose, by which matminer finds ties
    low, high = values.min(axis=0), values.max(axis=0)
    mean = low + (weights * (values - low)).sum(axis=0)  # exact where all elements have the same value
    deviation = (weights * np.abs(values - mean)).sum(axis=0)
    mode = np.where(rarer[:, :, np.newaxis], np.inf, values).min(axis=0)
    return np.stack((low, high, high - low, mean, deviation, mode), axis=-1)


@lru_cache(maxsize=1)
def _element_table() -> tuple[Mapping[str, int], NDArray[np.float64]]:
    """Row of each element that has any data, and the rows: (118, 22), NaN where a property is missing."""
    table = np.full((len(ELEMENTS), len(_PROPERTIES)), np.nan)
    for column, path in enumerate(_TABLE_FILES):
        numbers = map(element_tables.number, path.read_text(encoding="utf-8").splitlines()[: len(ELEMENTS)])
        values = [np.nan if value is None else value for value in numbers]
        table[: len(values), column] = values
    table.setflags(write=False)
    has_data = ~np.isnan(table).all(axis=1)
    rows = {symbol: row for row, symbol in enumerate(ELEMENTS) if has_data[row]}
    return MappingProxyType(rows | dict.fromkeys(HYDROGEN_ISOTOPES, rows["H"])), table


FEATURE_SET = FeatureSet(
    name="magpie",
    description="132 statistics of elemental properties over the composition (Ward et al. 2016)",
    columns=tuple(column.in_store() for column in COLUMNS),
    compute=compute,
    data_files=_TABLE_FILES,
    libraries=("numpy",),
    constants="element tables of Magpie, doi:10.1038/npjcompumats.2016.28, as matminer carries them",
)
