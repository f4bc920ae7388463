"""Well-known crystals, and ways to write them differently without changing them."""

from __future__ import annotations

import json

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.io.cif import CifWriter

from matstrata.pipelines.entities.structures.parse import ParsedStructure, parse_structure

NACL = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CSCL_TYPE_NACL = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.45), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
DIAMOND = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.567), ["C"], [[0, 0, 0]])
GRAPHITE = Structure.from_spacegroup(
    "P6_3/mmc", Lattice.hexagonal(2.464, 6.711), ["C", "C"], [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
ANATASE = Structure.from_spacegroup(
    "I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.2081]]
)
WURTZITE = Structure.from_spacegroup(
    "P6_3mc", Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]
)
BATIO3_CUBIC = Structure.from_spacegroup(
    "Pm-3m", Lattice.cubic(4.009), ["Ba", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)
BATIO3_TETRAGONAL = Structure.from_spacegroup(  # as measured at room temperature by neutrons
    "P4mm",
    Lattice.tetragonal(3.9945, 4.0335),
    ["Ba", "Ti", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5215], [0.5, 0.5, -0.0233], [0.5, 0, 0.4895]],
)
ZRO2_CUBIC = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.09), ["Zr", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])
ZRO2_TETRAGONAL = Structure.from_spacegroup(
    "P4_2/nmc", Lattice.tetragonal(3.64, 5.27), ["Zr", "O"], [[0, 0, 0], [0, 0.5, 0.2047]]
)
QUARTZ_LOW = Structure.from_spacegroup(
    "P3_221", Lattice.hexagonal(4.9134, 5.4052), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4133, 0.2672, 0.7855]]
)
QUARTZ_HIGH = Structure.from_spacegroup(
    "P6_222", Lattice.hexagonal(4.9977, 5.4601), ["Si", "O"], [[0.5, 0, 0], [0.4144, 0.2072, 0.5]]
)
CRYSTALS = [NACL, CSCL_TYPE_NACL, DIAMOND, GRAPHITE, RUTILE, ANATASE, WURTZITE]


def cif(structure: Structure) -> str:
    return str(CifWriter(structure))


def parsed(structure: Structure) -> ParsedStructure:
    return parse_structure(json.dumps(structure.as_dict()))


def shifted(structure: Structure) -> Structure:
    """The same crystal, its origin elsewhere."""
    moved = structure.copy()
    moved.translate_sites(list(range(len(moved))), [0.137, 0.251, 0.409])
    return moved


def other_cell(structure: Structure) -> Structure:
    """The same crystal in a skew cell of the same volume."""
    return structure.make_supercell([[1, 1, 0], [0, 1, 0], [0, 1, 1]], in_place=False)


def supercell(structure: Structure) -> Structure:
    return structure.make_supercell([2, 1, 1], in_place=False)


def shaken(structure: Structure) -> Structure:
    """The same crystal as another laboratory might report it: 0.02 angstrom away, cell 0.5 % larger."""
    moves = np.random.default_rng(1).normal(size=(len(structure), 3))
    moves *= 0.02 / np.linalg.norm(moves, axis=1)[:, None]
    coords = structure.cart_coords + moves
    lattice = structure.lattice
    fractional = lattice.get_fractional_coords(coords)
    return Structure(Lattice(lattice.matrix * 1.005), structure.species_and_occu, fractional)


VARIANTS = [shifted, other_cell, supercell, shaken]
