"""Feature set `valence`: can the charges balance, and how ionic are the bonds? Separates insulators from metals.

Of all ways to give each element one of its usual oxidation states, the one taken leaves least net charge; of equals,
the one that puts the electrons on the most electronegative elements. Electrons per anion follow the octet rule of
Mooser and Pearson (doi:10.1103/PhysRev.101.492), ionic character is Pauling's. Element data are matminer's Magpie
tables; where Pauling gives no electronegativity (He, Ne, Ar), it is Allen's. An element without oxidation states (a
noble gas) counts as neutral; D and T are H.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
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

_TABLE_FILES = element_tables.table_files(("OxidationStates", "Electronegativity", "AllenElectronegativity", "Column"))
_STATES = 4  # oxidation states of an element that are tried
_EXTREMES_FROM = 7  # elements from which on only the extreme states are tried: 4^6 ways are enough
_MOST = 12  # elements beyond which the balance is not sought
_FAR = 40.0  # electrons per anion where there are no anions
_ANION_FROM = 1.9  # electronegativity from which a p-block element of columns 14 to 17 counts as an anion

_NAMES = (
    ("ionic_character_mean", NO_UNIT, "Pauling's ionic character, mean over pairs of atoms"),
    ("ionic_character_max", NO_UNIT, "Pauling's ionic character of the most ionic pair of elements"),
    ("electronegativity_geometric_mean", NO_UNIT, "Geometric mean of the electronegativities"),
    (
        "group_valence_mean",
        NO_UNIT,
        "Electrons per atom by the column of the periodic table (3 for f elements)",
    ),
    (
        "electrons_per_anion",
        NO_UNIT,
        "Those electrons per anion: 8 where the octet rule holds; 40 without anion",
    ),
    ("anion_fraction", NO_UNIT, "Share of atoms that are anions: columns 14 to 17, electronegativity from 1.9"),
    ("charge_imbalance", "elementary_charge", "Least net charge per atom that usual oxidation states leave"),
    ("charge_transfer", "elementary_charge", "Half the sum of the magnitudes of charge, per atom"),
    ("cation_electronegativity", NO_UNIT, "Mean electronegativity of the cations; 0 without cations"),
    ("anion_electronegativity", NO_UNIT, "Mean electronegativity of the anions; 0 without anions"),
    ("anion_cation_difference", NO_UNIT, "Anion minus cation electronegativity; -1 without either"),
    ("largest_charge", "elementary_charge", "Largest oxidation state taken"),
    ("smallest_charge", "elementary_charge", "Smallest oxidation state taken"),
)
COLUMNS: tuple[DescriptorColumn, ...] = tuple(DescriptorColumn(*words) for words in _NAMES)


def compute(elements: pa.ListArray, fractions: pa.ListArray) -> tuple[NDArray[np.float64], list[str | None]]:
    """Compute the 13 descriptors of n compositions.

    Args:
        elements: (n,) list<string>, the symbols of each composition, each at most once.
        fractions: (n,) list<double>, their atomic fractions in the same order.

    Returns:
        Matrix (n, 13) in the order of `COLUMNS`, NaN in the last seven for more than 12 elements, and per row None or
        why it is all NaN.

    Raises:
        ValueError: `elements` and `fractions` don't match row by row.
    """
    rows, states, electronegativity, electrons = _element_table()
    flat = flatten(elements, fractions, tabulated=rows.keys(), data="electronegativity")
    matrix = np.full((len(flat.reasons), len(COLUMNS)), np.nan)
    at = np.array([rows.get(symbol, -1) for symbol in flat.symbols], dtype=np.int64)
    for block in flat.blocks():
        which, shares = at[block.codes], block.fractions
        bonds = _bonds(electronegativity[which], electrons[which], shares)
        matrix[block.rows[:, None], np.arange(len(bonds))] = np.column_stack(bonds)
        if len(shares) <= _MOST:
            balance = _balance(states[which], electronegativity[which], shares)
            matrix[block.rows[:, None], len(bonds) + np.arange(len(balance))] = np.column_stack(balance)
    return matrix, flat.reasons


def _bonds(
    pull: NDArray[np.float64], electrons: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """What needs no oxidation states; all arguments (k elements, m compositions)."""
    character = 1 - np.exp(-0.25 * (pull[:, None] - pull[None, :]) ** 2)
    mean = (shares[:, None] * shares[None, :] * character).sum(axis=(0, 1))
    per_atom = (shares * electrons).sum(axis=0)
    anions = (shares * ((pull >= _ANION_FROM) & (electrons >= 4) & (electrons <= 7))).sum(axis=0)
    per_anion = np.divide(per_atom, anions, out=np.full_like(per_atom, _FAR), where=anions > 0).clip(0, _FAR)
    geometric = np.exp((shares * np.log(pull)).sum(axis=0))
    return mean, character.max(axis=(0, 1)), geometric, per_atom, per_anion, anions


def _balance(
    states: NDArray[np.float64], pull: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """The best-balanced oxidation states, from (k, m, 4) states and (k, m) electronegativities and fractions."""
    k, m = shares.shape
    choices = range(_STATES) if k < _EXTREMES_FROM else range(0, _STATES, _STATES - 1)
    best, charges = np.full(m, np.inf), np.zeros((k, m))
    for chosen in product(choices, repeat=k):
        tried = np.stack([states[element, :, choice] for element, choice in enumerate(chosen)])
        net = np.abs((shares * tried).sum(axis=0)).round(6)
        score = 1e3 * net + (shares * tried * pull).sum(axis=0)
        better = score < best - 1e-9  # of equals the first: the answer must not hang on a rounding error
        best = np.where(better, score, best)
        charges = np.where(better, tried, charges)
    cations, anions = shares * (charges > 0), shares * (charges < 0)
    plus, minus = _mean(pull, cations), _mean(pull, anions)
    both = (cations.sum(axis=0) > 0) & (anions.sum(axis=0) > 0)
    return (
        np.abs((shares * charges).sum(axis=0)),
        (shares * np.abs(charges)).sum(axis=0) / 2,
        plus,
        minus,
        np.where(both, minus - plus, -1.0),
        charges.max(axis=0),
        charges.min(axis=0),
    )


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weights.sum(axis=0)
    return np.divide((values * weights).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)


@lru_cache(maxsize=1)
def _element_table() -> tuple[Mapping[str, int], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Row of each element; its oxidation states (e, 4); its electronegativity (e,); its group valence (e,)."""
    lines = [path.read_text(encoding="utf-8").splitlines() for path in _TABLE_FILES]
    rows: dict[str, int] = {}
    states: list[list[int]] = []
    pulls: list[float] = []
    electrons: list[float] = []
    for symbol, oxidation, *words in zip(ELEMENTS, *lines, strict=False):
        pauling, allen, group = map(element_tables.number, words)
        pull = pauling or allen
        if pull is None or group is None:
            continue
        usual = sorted(int(float(word)) for word in oxidation.split() if element_tables.number(word) is not None) or [0]
        if len(usual) > _STATES:  # the anion and the highest cations
            usual = [usual[0], *usual[1 - _STATES :]]
        rows[symbol] = len(states)
        states.append(usual + usual[-1:] * (_STATES - len(usual)))
        pulls.append(pull)
        electrons.append(group if group <= 10 else group - 10)  # the d shell is full from copper on
    rows |= dict.fromkeys(HYDROGEN_ISOTOPES, rows["H"])
    return MappingProxyType(rows), np.array(states, dtype=float), np.array(pulls), np.array(electrons)


FEATURE_SET = FeatureSet(
    name="valence",
    description="charge balance by usual oxidation states, octet rule, ionic character",
    columns=tuple(column.in_store() for column in COLUMNS),
    compute=compute,
    data_files=_TABLE_FILES,
    libraries=("numpy",),
    constants="oxidation states, Pauling's and Allen's electronegativities among the same element tables of Magpie",
)
