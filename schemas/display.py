"""Formulas as people write them: `PbI2` for the `material_id` `I2Pb`, electropositive elements first.

Not here: keys. A `material_id` stays alphabetical (`schemas.composition`), and nothing is computed from what this
module writes. The electronegativities stand here for the same reason: they decide how a formula looks, no value.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ELECTRONEGATIVITY_BY_ELEMENT = """
H 2.20
Li 0.98 Be 1.57 B 2.04 C 2.55 N 3.04 O 3.44 F 3.98
Na 0.93 Mg 1.31 Al 1.61 Si 1.90 P 2.19 S 2.58 Cl 3.16
K 0.82 Ca 1.00 Sc 1.36 Ti 1.54 V 1.63 Cr 1.66 Mn 1.55 Fe 1.83 Co 1.88 Ni 1.91 Cu 1.90 Zn 1.65 Ga 1.81 Ge 2.01
As 2.18 Se 2.55 Br 2.96 Kr 3.00
Rb 0.82 Sr 0.95 Y 1.22 Zr 1.33 Nb 1.60 Mo 2.16 Tc 1.90 Ru 2.20 Rh 2.28 Pd 2.20 Ag 1.93 Cd 1.69 In 1.78 Sn 1.96
Sb 2.05 Te 2.10 I 2.66 Xe 2.60
Cs 0.79 Ba 0.89 La 1.10 Ce 1.12 Pr 1.13 Nd 1.14 Pm 1.13 Sm 1.17 Eu 1.20 Gd 1.20 Tb 1.10 Dy 1.22 Ho 1.23 Er 1.24
Tm 1.25 Yb 1.10 Lu 1.27 Hf 1.30 Ta 1.50 W 2.36 Re 1.90 Os 2.20 Ir 2.20 Pt 2.28 Au 2.54 Hg 2.00 Tl 1.62 Pb 2.33
Bi 2.02 Po 2.00 At 2.20 Rn 2.20
Fr 0.70 Ra 0.90 Ac 1.10 Th 1.30 Pa 1.50 U 1.38 Np 1.36 Pu 1.28 Am 1.30 Cm 1.30 Bk 1.30 Cf 1.30 Es 1.30 Fm 1.30
Md 1.30 No 1.30 Lr 1.30
"""

_fields = _ELECTRONEGATIVITY_BY_ELEMENT.split()
ELECTRONEGATIVITY: dict[str, float] = dict(zip(_fields[::2], map(float, _fields[1::2]), strict=True))
"""Pauling's scale, as pymatgen's periodic table has it (after A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961))."""

_HYDROGEN = frozenset({"H", "D", "T"})
_ANIONS = frozenset({"N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"})
_NONMETALS = _HYDROGEN | _ANIONS | {"B", "C", "Si", "Ge", "Sb", "At", "He", "Ne", "Ar", "Kr", "Xe", "Rn"}

# The cations of lower charge in most of their ternary salts (CuInSe2, PbTiO3, BiFeO3), although Pauling's values,
# which are of the higher oxidation state (2.33 is of lead(IV)), would put them last. Between Pu (1.28) and Hf (1.30),
# that is after the alkali, alkaline earth and rare earth metals.
_LOW_CHARGE = {symbol: 1.29 + position * 0.001 for position, symbol in enumerate(("Cu", "Ag", "Tl", "Hg", "Pb", "Bi"))}

_TELLURIDE = 2.54  # next to selenium: As2Te3 and H2Te, like As2Se3 and H2Se
_ACIDIC = 0.0  # hydrogen of an acid or a hydrate, the first of the nonmetals: H2SO4, KH2PO4, NaHCO3
_HYDROXIDE = 3.45  # hydrogen of a hydroxide, after its oxygen (3.44): NaOH

_MATERIAL_ID = re.compile(r"(?:[A-Z][a-z]?[0-9]*)+")
_ITEM = re.compile(r"([A-Z][a-z]?)([0-9]*)")


@lru_cache(maxsize=2**14)
def formula_for_people(material_id: str) -> str:
    """Write a composition in the conventional order of its elements; the amounts stay as they are.

    Elements stand in the order of Pauling's electronegativity, equal ones alphabetically, as in pymatgen's
    `reduced_formula`. Where that is not what chemists write, this differs from it:

    - Metals precede all nonmetals: `PbTe`, `MoSi2`, `WTe2`, not `TePb`, `Si2Mo`, `Te2W`.
    - In salts, Cu, Ag, Tl, Hg, Pb and Bi precede the other metals of the d and p blocks: `CuInSe2`, `PbTiO3`.
    - Te stands next to Se: `As2Te3`.
    - Hydrogen precedes the other nonmetals in oxygen acids and their salts (`H3PO4`, `KH2PO4`), follows the oxygen of
      hydroxides (`NaOH`), and follows nitrogen and carbon where there is no oxygen (`NH3`, `NH4Cl`).
    - Compounds of carbon and hydrogen without a metal follow Hill, C and H first: `C6H12O6`, `CHCl3`.
    - Nothing is bracketed or doubled: `Ca3P2O8`, `LiO`, not `Ca3(PO4)2`, `Li2O2`.

    Args:
        material_id: A composition in alphabetical order, such as `I2Pb`. A text that isn't one comes back unchanged.

    Returns:
        The formula to show, such as `PbI2`.
    """
    if not _MATERIAL_ID.fullmatch(material_id):
        return material_id
    items = _ITEM.findall(material_id)
    elements = frozenset([symbol for symbol, _ in items])
    if len(elements) == 1:
        return material_id
    is_organic = "C" in elements and not elements.isdisjoint(_HYDROGEN) and elements <= _NONMETALS
    place = _place_by_hill if is_organic else _place_by_electronegativity
    return "".join([symbol + amount for symbol, amount in sorted(items, key=lambda item: place(item[0], elements))])


def _place_by_hill(symbol: str, elements: frozenset[str]) -> tuple[int, float, str]:  # noqa: ARG001 - as its sibling
    return 0 if symbol == "C" else 1 if symbol in _HYDROGEN else 2, 0.0, symbol


def _place_by_electronegativity(symbol: str, elements: frozenset[str]) -> tuple[int, float, str]:
    """The class of an element (metals first), and its place in the class."""
    if symbol not in _NONMETALS:
        value = ELECTRONEGATIVITY.get(symbol, 0.0)
        return 0, value if elements.isdisjoint(_ANIONS) else _LOW_CHARGE.get(symbol, value), symbol
    if symbol == "Te":
        return 1, _TELLURIDE, symbol
    if symbol in _HYDROGEN:
        if "O" in elements:
            is_hydroxide = not elements <= _NONMETALS and elements & _NONMETALS <= _HYDROGEN | {"O"}
            return 1, _HYDROXIDE if is_hydroxide else _ACIDIC, symbol
        before = [ELECTRONEGATIVITY[element] + 0.001 for element in ("C", "N") if element in elements]
        return 1, max(before, default=ELECTRONEGATIVITY["H"]), symbol
    return 1, ELECTRONEGATIVITY.get(symbol, 0.0), symbol
