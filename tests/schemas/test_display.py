"""Formulas are shown in the order that chemists write, and no amount changes on the way."""

from __future__ import annotations

import re
import warnings
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition as PymatgenComposition
from pymatgen.core import Element

from matstrata.schemas.composition import parse_formula
from matstrata.schemas.display import _LOW_CHARGE, _NONMETALS, ELECTRONEGATIVITY, formula_for_people
from matstrata.schemas.elements import ELEMENTS

AS_CHEMISTS_WRITE = """
PbI2 SiO2 GaAs NaCl GaN ZnO CdTe SiC BN B4C Fe2O3 H2O D2O HCl H2S
BaTiO3 LiFePO4 LiCoO2 CsPbI3 AgNO3 CaCO3 KClO4 ZrNiSn MnBi CoSb3 Bi2Te3
PbTe WTe2 MoTe2 MoSi2 WP PtAs2 IrSb3 Ag2Pb7Ge4Se16
CuInSe2 AgGaS2 Cu2ZnSnS4 PbTiO3 BiFeO3 BiVO4 HgGa2S4 CuAlO2
As2Te3 H2Te GeTe4 Na2He
H2SO4 HNO3 H3PO4 KH2PO4 NaHCO3 NaOH
NH3 NH4Cl LiNH2 NaBH4 LiAlH4 PH3 PdH
CH4 CD4 CHCl3 C3H8 C2H5NO2
"""


@pytest.mark.parametrize("formula", AS_CHEMISTS_WRITE.split())
def test_a_formula_as_chemists_write_it_is_shown_so(formula: str) -> None:
    material_id = parse_formula(formula).material_id
    assert formula_for_people(material_id) == formula


def _order(formula: str) -> list[str]:
    return re.findall(r"[A-Z][a-z]?", formula)


_PLAIN = [symbol for symbol in ELEMENTS if symbol in ELECTRONEGATIVITY and symbol not in {"H", "Te", *_LOW_CHARGE}]


def _is_plain(symbols: tuple[str, ...]) -> bool:
    """Whether Pauling's scale puts each metal before each nonmetal."""
    metals = [ELECTRONEGATIVITY[symbol] for symbol in symbols if symbol not in _NONMETALS]
    nonmetals = [ELECTRONEGATIVITY[symbol] for symbol in symbols if symbol in _NONMETALS]
    return not metals or not nonmetals or max(metals) < min(nonmetals)


def test_elements_stand_as_in_pymatgen_but_for_the_documented_differences() -> None:
    pairs = [pair for pair in combinations(_PLAIN, 2) if _is_plain(pair)]
    triples = [triple for triple in combinations(_PLAIN[::3], 3) if _is_plain(triple)]
    assert len(pairs) > 3000
    assert len(triples) > 2000
    for symbols in [*pairs, *triples]:
        material_id = "".join(sorted(symbols))
        expected = re.findall(r"[A-Z][a-z]?", PymatgenComposition(material_id).formula)
        assert _order(formula_for_people(material_id)) == expected


def test_the_electronegativities_are_pymatgens() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # elements without a value warn and are NaN
        theirs = {symbol: Element(symbol).X for symbol in ELEMENTS}
    assert {symbol: x for symbol, x in theirs.items() if x == x} == ELECTRONEGATIVITY


@given(st.dictionaries(st.sampled_from([*ELEMENTS, "D", "T"]), st.integers(1, 999), min_size=1, max_size=8))
def test_it_is_the_same_material_with_the_same_amounts(amounts: dict[str, int]) -> None:
    material_id = parse_formula("".join(f"{symbol}{amount}" for symbol, amount in amounts.items())).material_id
    shown = formula_for_people(material_id)
    assert parse_formula(shown).material_id == material_id
    assert sorted(re.findall(r"[A-Z][a-z]?[0-9]*", shown)) == re.findall(r"[A-Z][a-z]?[0-9]*", material_id)


@pytest.mark.parametrize("text", ["", "unknown", "S-000123", "Ca(OH)2", "Ga-N"])
def test_a_text_that_is_not_a_material_id_comes_back_unchanged(text: str) -> None:
    assert formula_for_people(text) == text
