"""A structure that passed all checks, and the canonical CIF in which it is kept.

Not here: how it was read (`parse`) and checked (`sites`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mix = tuple[tuple[str, float], ...]
"""What sits on one site: (symbol, occupancy), in alphabetical order; what is missing to 1 is vacant."""

DECIMALS = 8
"""Of lengths, angles and coordinates in the canonical CIF, as pymatgen writes them."""

_FULL = 1e-6


def is_full(mix: Mix) -> bool:
    """Whether one element alone fills the site."""
    return len(mix) == 1 and abs(mix[0][1] - 1) <= _FULL


@dataclass(frozen=True, slots=True, eq=False)
class ParsedStructure:
    """A crystal with three periodic directions, no two atoms in one place; compare two by `to_cif()`.

    Attributes:
        formula: reduced formula of the sites, for `schemas.composition.parse_formula`; D and T are kept.
        lattice: a, b, c in angstrom and alpha, beta, gamma in degrees.
        n_sites: sites in the cell; a site shared by several elements counts once.
        ordered: whether each site is full and holds one element.
        volume_per_atom: angstrom^3; half an atom counts half.
        density: g/cm^3.
        matrix: the cell's vectors in its rows, in angstrom.
        frac_coords: fractional coordinates, one row per site, in [0, 1).
        species: what sits on each site.
        stated_formula: the formula that the source states with the sites, as written; None where there is none.
        notes: what the reader had to assume.
    """

    formula: str
    lattice: tuple[float, float, float, float, float, float]
    n_sites: int
    ordered: bool
    volume_per_atom: float
    density: float
    matrix: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    species: tuple[Mix, ...]
    stated_formula: str | None = None
    notes: tuple[str, ...] = ()

    def to_cif(self) -> str:
        """The structure as a short P1 CIF: sites sorted, numbers rounded, the same text for the same structure.

        Reading it back gives the same text again. The choice of cell and origin is the source's own.
        """
        return _as_cif(self)


_HEAD = """data_{formula}
_symmetry_space_group_name_H-M   'P 1'
_cell_length_a   {:.8f}
_cell_length_b   {:.8f}
_cell_length_c   {:.8f}
_cell_angle_alpha   {:.8f}
_cell_angle_beta   {:.8f}
_cell_angle_gamma   {:.8f}
_symmetry_Int_Tables_number   1
loop_
 _symmetry_equiv_pos_site_id
 _symmetry_equiv_pos_as_xyz
  1  'x, y, z'
loop_
 _atom_site_type_symbol
 _atom_site_label
 _atom_site_symmetry_multiplicity
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
"""


def _as_cif(structure: ParsedStructure) -> str:
    rounded = np.round(structure.frac_coords, DECIMALS) % 1.0 + 0.0  # adding zero turns -0 into 0
    sites = sorted(zip(structure.species, map(tuple, rounded.tolist()), strict=True))
    rows: list[str] = []
    for mix, (x, y, z) in sites:
        for symbol, occupancy in mix:
            rows.append(f"  {symbol}  {symbol}{len(rows)}  1  {x:.8f}  {y:.8f}  {z:.8f}  {occupancy:.8g}\n")
    return _HEAD.format(*structure.lattice, formula=structure.formula) + "".join(rows)
