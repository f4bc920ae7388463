"""Units: what a unit string means and how values get from one unit to another (pint).

Not here: which unit a property is stored in (`schemas.properties`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from tokenize import TokenError
from typing import TYPE_CHECKING

from matstrata.schemas.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pint
    from numpy.typing import NDArray

NO_UNIT = "1"
"""The unit of a pure number, in contracts, vocabulary and tables."""

# pint passes over characters that it can't place: "eV#K" would be read as eV K
_WRITTEN = re.compile(r"[\w %°·⁻*/^().-]{0,100}")
# 9**9**9**9 would be worked out, for ever
_TOWER = re.compile(r"(?:\*\*|\^)[^A-Za-z]*(?:\*\*|\^)|[0-9]{4}")


@lru_cache(maxsize=1)
def registry() -> pint.UnitRegistry[float]:
    """The one unit registry of the process: pint's, and the atom, so that eV/atom never passes for eV."""
    import pint  # deferred: 0.3 s

    units: pint.UnitRegistry[float] = pint.UnitRegistry(cache_folder=None)
    units.define("atom = [atoms]")
    return units


def check_unit(unit: str) -> str:
    """Return `unit` if pint knows it.

    Raises:
        InputError: the unit is unknown.
    """
    import pint  # deferred: 0.3 s

    try:
        if not _WRITTEN.fullmatch(unit):
            raise ValueError("it is too long, or holds a character that units don't")  # noqa: TRY301
        if _TOWER.search(unit):
            raise ValueError("it holds a power that units don't")  # noqa: TRY301
        registry().Unit(unit)
    except (
        pint.errors.PintError,
        TokenError,
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        AssertionError,
    ) as error:
        raise InputError(
            f"unknown unit {unit!r} ({error}); write it as pint does, e.g. 'eV', 'eV/atom', 'GPa', 'uV/K'"
        ) from error
    return unit


def convert(values: NDArray[np.float64], unit: str, to: str) -> NDArray[np.float64]:
    """Convert `values` (any shape) from `unit` to the unit `to`.

    Frequencies, wavenumbers and energies are converted to one another; what is said of a mole, to what is said of one.

    Args:
        values: in `unit`.
        unit: as a source says.
        to: a property's unit; the same needs no pint, which takes 0.5 s to make its registry.

    Raises:
        InputError: a unit is unknown, or the two measure different things.
    """
    if unit == to:
        return values
    import pint  # deferred: 0.3 s

    check_unit(unit)
    check_unit(to)
    try:
        return _converted(values, unit, to)
    except pint.errors.PintError as error:
        raise InputError(f"unit {unit!r} can't be converted to {to!r}: {error}") from error


def _converted(values: NDArray[np.float64], unit: str, to: str) -> NDArray[np.float64]:
    import numpy as np
    import pint  # deferred: 0.3 s

    quantity = registry().Quantity(values, unit)
    # not so a wavelength: its order is the other way round, so that a bound or a median would mean something else
    light = [] if quantity.is_compatible_with("meter") else ["spectroscopy"]
    try:
        with np.errstate(divide="ignore"):  # pint goes by the wavelength, which is infinite for 0, and comes back to 0
            return quantity.to(to, *light).magnitude
    except pint.errors.DimensionalityError:
        mole = registry().Quantity(1, "avogadro_constant")
        for counted in (quantity / mole, quantity * mole):
            with suppress(pint.errors.DimensionalityError):
                return counted.to(to).magnitude
        raise


# Units that data files use, by which a wrong one is recognized; the more usual ones first
_USED = (
    *("eV", "meV", "kJ/mol", "kcal/mol", "hartree", "rydberg", "1/cm", "THz"),
    *("eV/atom", "meV/atom", "kJ/mol/atom", "kcal/mol/atom", "hartree/atom", "rydberg/atom"),
    *("GPa", "MPa", "kPa", "Pa", "kbar", "bar", "psi"),
    *("angstrom^3/atom", "nm^3/atom", "bohr^3/atom"),
    *("uV/K", "mV/K", "V/K"),
    *("kg/m^3", "kgf/mm^2", "mW/m/K", "W/cm/K", "mK", "kg"),
)


def likely_units(median: float, unit: str, typical: tuple[float, float] | None) -> list[tuple[str, float]]:
    """Units in which values would be plausible that are not in the canonical one; each with how often it fits in.

    Args:
        median: the median of the values, taken for the canonical unit.
        unit: the property's canonical unit.
        typical: the range in which medians of the property lie, where that is known.
    """
    import numpy as np
    import pint  # deferred: 0.3 s

    if typical is None:
        return []
    likely = []
    for candidate in _USED:
        try:
            factor = float(_converted(np.ones(1), candidate, unit)[0])
        except pint.errors.PintError:
            continue
        if factor != 1 and typical[0] <= median * factor <= typical[1]:
            likely.append((candidate, 1 / factor))
    return likely[:2]


def unit_suffix(unit: str) -> str:
    """What follows a number that is shown with its unit: a space and the unit, nothing for a pure number."""
    return "" if unit == NO_UNIT else f" {unit}"
