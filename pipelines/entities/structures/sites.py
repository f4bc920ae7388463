"""From bare sites to a structure: the checks that hold for every format.

Not here: formats. Each reader gives `Sites`; `checked` alone makes a `ParsedStructure` of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.entities.structures.errors import StructureError, shown, unreadable
from matstrata.pipelines.entities.structures.formulas import reduced_formula, total_amounts
from matstrata.pipelines.entities.structures.parsed import Mix, ParsedStructure, is_full
from matstrata.schemas.composition import parse_formula
from matstrata.schemas.elements import SYMBOLS
from matstrata.schemas.formula import FormulaError

NEAREST = 0.5
"""Angstrom; nearer than this are no two atoms (H2's are 0.74 apart)."""

SAME_PLACE = 0.01
"""Angstrom; partly filled sites nearer than this are one site that several elements share."""

HIGHEST_OCCUPANCY = 1.05
"""Refinements give sums a little above 1; these are scaled to 1, larger ones are slips."""

MOST_SITES = 5000
"""Beyond, comparing all pairs of sites (1 s for 5000) would take minutes, and no use here is known."""

_TRACE = 1e-6  # an occupancy below this is zero
_FILLED = 0.99  # a site above this is full, for the question whether another fits next to it
_FLATTEST = 0.1  # angstrom between opposite faces of a cell
_PAIRS_AT_ONCE = 1_000_000
_GRAMS_PER_CM3 = 1.6605390666  # of one dalton per angstrom^3
_STATED_DIFFERENCE = 0.01  # of an atomic fraction


@dataclass(slots=True)
class Sites:
    """What a reader found.

    Attributes:
        matrix: the cell's vectors in its rows, in angstrom.
        frac_coords: one row per site.
        mixes: symbol and occupancy of what sits on each site.
        names: what the source calls each site, for messages.
        notes: what the reader had to assume.
        lattice: lengths and angles where the source gives them; computed otherwise.
        stated_formula: the formula that the source gives with the sites.
    """

    matrix: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    mixes: list[dict[str, float]]
    names: Sequence[str]
    notes: list[str] = field(default_factory=list)
    lattice: tuple[float, float, float, float, float, float] | None = None
    stated_formula: str | None = None


def checked(sites: Sites) -> ParsedStructure:
    """Apply every check and work out what follows from the sites.

    Args:
        sites: As a reader found them.

    Returns:
        The structure.

    Raises:
        StructureError: Any of the rules `structure.*` except `.not_periodic`.
    """
    _check_cell(sites.matrix)
    _drop_vacant(sites)
    _check_numbers(sites)
    volume = abs(float(np.linalg.det(sites.matrix)))
    coords = sites.frac_coords % 1.0
    coords[coords >= 1.0] = 0.0  # a value just below 0 is rounded to 1
    sites.frac_coords = coords
    _separate(sites, volume)
    species = _shared_out(sites)
    occupancies = [item for mix in species for item in mix]
    atoms = sum(occupancy for _, occupancy in occupancies)
    mass = sum(_mass(symbol) * occupancy for symbol, occupancy in occupancies)
    formula = reduced_formula(total_amounts(occupancies))
    _compare_stated(formula, sites)
    for array in (sites.matrix, sites.frac_coords):
        array.setflags(write=False)  # the structure is frozen, and what it is compared by must not change
    return ParsedStructure(
        formula=formula,
        lattice=sites.lattice or _parameters(sites.matrix),
        n_sites=len(species),
        ordered=all(map(is_full, species)),
        volume_per_atom=volume / atoms,
        density=mass * _GRAMS_PER_CM3 / volume,
        matrix=sites.matrix,
        frac_coords=sites.frac_coords,
        species=species,
        stated_formula=sites.stated_formula,
        notes=tuple(dict.fromkeys(sites.notes)),
    )


def cell_matrix(lattice: Sequence[float]) -> NDArray[np.float64]:
    """The cell's vectors from lengths and angles, with c along z and a in the plane of x and z, as pymatgen has it.

    Args:
        lattice: a, b, c in angstrom and alpha, beta, gamma in degrees.

    Returns:
        The vectors in the rows.

    Raises:
        StructureError: No cell has these lengths and angles.
    """
    for name, length in zip(("a", "b", "c"), lattice[:3], strict=True):
        if not 0 < length < math.inf:
            raise unreadable(f"The cell length {name} is {length:g}: it must be a positive number of angstrom.")
    for name, angle in zip(("alpha", "beta", "gamma"), lattice[3:], strict=True):
        if not 0 < angle < 180:
            raise unreadable(f"The cell angle {name} is {angle:g}: it must be between 0 and 180 degrees.")
    a, b, c = lattice[:3]
    (cos_alpha, sin_alpha), (cos_beta, sin_beta), (cos_gamma, _) = map(_cos_sin, lattice[3:])
    star = (cos_alpha * cos_beta - cos_gamma) / (sin_alpha * sin_beta)
    if abs(star) >= 1:
        angles = ", ".join(f"{angle:g}" for angle in lattice[3:])
        raise unreadable(f"No cell has the angles {angles}: check alpha, beta and gamma.")
    return np.array(
        [
            [a * sin_beta, 0.0, a * cos_beta],
            [-b * sin_alpha * star, b * sin_alpha * math.sqrt(1 - star * star), b * cos_alpha],
            [0.0, 0.0, c],
        ]
    )


def _cos_sin(degrees: float) -> tuple[float, float]:
    if degrees == 90:  # exactly, so that a cubic cell is cubic
        return 0.0, 1.0
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _parameters(matrix: NDArray[np.float64]) -> tuple[float, float, float, float, float, float]:
    a, b, c = (float(length) for length in np.sqrt((matrix * matrix).sum(axis=1)))
    dots = matrix @ matrix.T
    cosines = np.clip([dots[1, 2] / (b * c), dots[0, 2] / (a * c), dots[0, 1] / (a * b)], -1, 1)
    alpha, beta, gamma = (float(angle) for angle in np.degrees(np.arccos(cosines)))
    return a, b, c, alpha, beta, gamma


def _check_cell(matrix: NDArray[np.float64]) -> None:
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e5:
        raise unreadable("The cell is not three vectors of three finite numbers below 100000 angstrom; correct it.")
    areas = np.linalg.norm(np.cross(matrix[[1, 2, 0]], matrix[[2, 0, 1]]), axis=1)
    volume = abs(float(np.linalg.det(matrix)))
    if volume <= _FLATTEST * areas.max():
        raise unreadable(
            "The cell is flat: two of its faces nearly coincide; check its vectors, or lengths and angles."
        )


def _drop_vacant(sites: Sites) -> None:
    for number, (mix, name) in enumerate(zip(sites.mixes, sites.names, strict=True), start=1):
        for symbol, occupancy in mix.items():
            if symbol not in SYMBOLS:
                raise unreadable(
                    f"Site {number} ({name}) holds {shown(symbol)}, which is not an element; name the element."
                )
            if not math.isfinite(occupancy) or occupancy < 0:
                raise StructureError(
                    "structure.occupancy",
                    f"Site {number} ({name}): the occupancy of {symbol} is {occupancy:g}; it must be from 0 to 1.",
                )
    mixes = [{s: occupancy for s, occupancy in mix.items() if occupancy > _TRACE} for mix in sites.mixes]
    occupied = [place for place, mix in enumerate(mixes) if mix]
    if len(occupied) < len(mixes):
        sites.notes.append(f"{len(mixes) - len(occupied)} vacant site(s) were left out")
        sites.frac_coords = sites.frac_coords[occupied]
        sites.names = [sites.names[place] for place in occupied]
    sites.mixes = [mixes[place] for place in occupied]
    if not occupied:
        raise StructureError("structure.empty", "The structure holds no atoms: give at least one occupied site.")
    if len(occupied) > MOST_SITES:
        raise unreadable(f"The cell holds {len(occupied)} sites; at most {MOST_SITES} are read. Give a smaller cell.")


def _check_numbers(sites: Sites) -> None:
    finite = np.isfinite(sites.frac_coords).all(axis=1) & (np.abs(sites.frac_coords).max(axis=1) < 1e6)
    if not finite.all():
        place = int(np.argmin(finite))
        raise unreadable(
            f"Site {place + 1} ({sites.names[place]}) has a coordinate that is not a reasonable number; correct it."
        )


def _separate(sites: Sites, volume: float) -> None:
    """Refuse atoms in one place; join partly filled sites that share one."""
    fillings = np.array([sum(mix.values()) for mix in sites.mixes])
    if (fillings > _FILLED).sum() * math.pi * NEAREST**3 / 6 > volume:
        raise StructureError(
            "structure.overlapping_sites",
            f"{len(fillings)} sites do not fit into {volume:.3g} cubic angstrom; check the cell and its unit.",
        )
    shares: dict[int, int] = {}
    for one, other, distance in _near_pairs(sites):
        names = f"Sites {one + 1} ({sites.names[one]}) and {other + 1} ({sites.names[other]})"
        if fillings[one] > _FILLED and fillings[other] > _FILLED:
            if one == other:
                names = f"Site {one + 1} ({sites.names[one]}) and its own periodic image"
            raise StructureError(
                "structure.overlapping_sites",
                f"{names} are {distance:.3f} angstrom apart, nearer than any two atoms ({NEAREST}): "
                "check coordinates and cell, or give occupancies if they share the place.",
            )
        if one != other and distance <= SAME_PLACE:
            shares[other] = shares.get(one, one)
    for guest, host in shares.items():
        for symbol, occupancy in sites.mixes[guest].items():
            sites.mixes[host][symbol] = sites.mixes[host].get(symbol, 0.0) + occupancy
    if shares:
        unshared = [place for place in range(len(sites.mixes)) if place not in shares]
        sites.mixes = [sites.mixes[place] for place in unshared]
        sites.names = [sites.names[place] for place in unshared]
        sites.frac_coords = sites.frac_coords[unshared]


def _near_pairs(sites: Sites) -> list[tuple[int, int, float]]:
    """Pairs of sites (and of a site with its own image) nearer than `NEAREST`, in the order of the sites."""
    matrix, coords = sites.matrix, sites.frac_coords
    heights = abs(np.linalg.det(matrix)) / np.linalg.norm(np.cross(matrix[[1, 2, 0]], matrix[[2, 0, 1]]), axis=1)
    # After rounding, a difference lies within 1/2, so that only these translations can bring the ends together.
    reach = [range(-limit, limit + 1) for limit in np.floor(NEAREST / heights + 0.5).astype(int)]
    pairs = []
    step = max(1, _PAIRS_AT_ONCE // len(coords))
    for start in range(0, len(coords), step):
        apart = coords[start : start + step, None, :] - coords[None, :, :]
        apart -= np.round(apart)
        for shift in itertools.product(*reach):
            square = (((apart + shift) @ matrix) ** 2).sum(axis=2)
            for row, column in np.argwhere(square < NEAREST**2).tolist():
                if row + start < column or (row + start == column and any(shift)):
                    pairs.append((row + start, column, math.sqrt(square[row, column])))
    return sorted(pairs)


def _shared_out(sites: Sites) -> tuple[Mix, ...]:
    species = []
    for number, (mix, name) in enumerate(zip(sites.mixes, sites.names, strict=True), start=1):
        total = sum(mix.values())
        if total > HIGHEST_OCCUPANCY:
            content = ", ".join(f"{symbol} {occupancy:g}" for symbol, occupancy in mix.items())
            raise StructureError(
                "structure.occupancy",
                f"Site {number} ({name}): the occupancies sum to {total:.4g} ({content}); they may not exceed 1.",
            )
        if total > 1 + _TRACE:
            sites.notes.append(f"site {number} ({name}): occupancies sum to {total:.4g} and were scaled to 1")
            mix = {symbol: occupancy / total for symbol, occupancy in mix.items()}  # noqa: PLW2901 - from here scaled
        # Rounded as in the canonical CIF, so that reading it back gives the same numbers.
        species.append(tuple(sorted([(symbol, float(f"{occupancy:.8g}")) for symbol, occupancy in mix.items()])))
    return tuple(species)


def _compare_stated(formula: str, sites: Sites) -> None:
    """Note where the source's own formula differs: hydrogens, above all, often have no positions."""
    if not sites.stated_formula:
        return
    try:
        stated = parse_formula(sites.stated_formula.replace("'", "").strip())
        composition = parse_formula(formula)
    except FormulaError:
        return
    ours = dict(zip(composition.elements, composition.fractions, strict=True))
    theirs = dict(zip(stated.elements, stated.fractions, strict=True))
    both = ours.keys() | theirs.keys()
    if any(abs(ours.get(symbol, 0) - theirs.get(symbol, 0)) > _STATED_DIFFERENCE for symbol in both):
        sites.notes.append(f"the sites give {formula}, the source states {shown(sites.stated_formula, 80)}")


@lru_cache(maxsize=256)
def _mass(symbol: str) -> float:
    from pymatgen.core.periodic_table import Element  # 0.1 s to import

    return float(Element(symbol).atomic_mass)
