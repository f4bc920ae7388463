"""The chemical elements a formula may name. Symbols and their order only: no properties, no data files."""

_BY_ATOMIC_NUMBER = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

ELEMENTS: tuple[str, ...] = tuple(_BY_ATOMIC_NUMBER.split())
"""The 118 elements; the one at index Z - 1 has atomic number Z."""

HYDROGEN_ISOTOPES: frozenset[str] = frozenset({"D", "T"})
"""Deuterium and tritium: written like elements, and kept apart from H because D2O is not H2O."""

SYMBOLS: frozenset[str] = frozenset(ELEMENTS) | HYDROGEN_ISOTOPES
"""Every symbol that a formula may contain."""
