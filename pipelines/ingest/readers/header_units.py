"""Units as headers of columns write them, "(eV)" or "_GPa", in the notation of pint.

Not here: what units mean and how values get from one to another (`schemas.units`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from matstrata.schemas.units import NO_UNIT

_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "ev": "eV",
        "mev": "meV",
        "ev/atom": "eV/atom",
        "evatom": "eV/atom",
        "mev/atom": "meV/atom",
        "ev/at": "eV/atom",
        "kj/mol": "kJ/mol",
        "kcal/mol": "kcal/mol",
        "ha": "hartree",
        "hartree": "hartree",
        "gpa": "GPa",
        "mpa": "MPa",
        "kpa": "kPa",
        "pa": "Pa",
        "kbar": "kbar",
        "k": "kelvin",
        "kelvin": "kelvin",
        "cm-1": "1/cm",
        "cm^-1": "1/cm",
        "1/cm": "1/cm",
        "thz": "THz",
        "a^3": "angstrom^3",
        "a3": "angstrom^3",
        "a^3/atom": "angstrom^3/atom",
        "a3/atom": "angstrom^3/atom",
        "ang^3/atom": "angstrom^3/atom",
        "uv/k": "uV/K",
        "mv/k": "mV/K",
        "v/k": "V/K",
        "s/m": "S/m",
        "s/cm": "S/cm",
        "w/mk": "W/m/K",
        "w/m/k": "W/m/K",
        "w/(mk)": "W/m/K",
        "g/cm3": "g/cm^3",
        "g/cm^3": "g/cm^3",
        "g/cc": "g/cm^3",
        "-": NO_UNIT,
        "none": NO_UNIT,
        "unitless": NO_UNIT,
        "dimensionless": NO_UNIT,
    }
)
# MPa and mPa, MeV and meV: case decides, and nobody means the other one
_AFTER_UNDERSCORE = {"ev", "mev", "gpa", "mpa", "kbar", "hartree"}

BRACKETS = re.compile(r"\s*[(\[{]\s*([^()\[\]{}]*(?:\([^()]*\))?)\s*[)\]}]\s*$")
_AFTER_SIGN = re.compile(r"\s*[,/|]\s*([A-Za-z\u00b5\u03bc\u00c5][\w\u00c5^/*.-]*)\s*$")


def split_unit(header: str) -> tuple[str, str | None]:
    """A column's name without its unit, and the unit as pint writes it."""
    for pattern in (BRACKETS, _AFTER_SIGN):
        match = pattern.search(header)
        unit = _UNITS.get(_unit_key(match[1])) if match else None
        if match and unit:
            return header[: match.start()], unit
    start, cut, last = header.rpartition("_") if "_" in header else header.rpartition(" ")
    if cut and last.lower() in _AFTER_UNDERSCORE:
        return start, _UNITS[last.lower()]
    return header, None


def is_unit(text: str) -> bool:
    """Whether a text alone names a unit that we know."""
    return _UNITS.get(_unit_key(text), NO_UNIT) != NO_UNIT


def unknown_unit(header: str) -> str | None:
    """The text in brackets behind a name, where it is not a unit that we know."""
    match = BRACKETS.search(header)
    return match[1] if match and split_unit(header)[1] is None and "=" not in match[1] else None


def _unit_key(text: str) -> str:
    tidy = text.replace("µ", "u").replace("μ", "u").replace("Å", "A").replace("Å", "A").replace("**", "^")
    return tidy.replace(" ", "").replace("·", "").replace("³", "^3").replace("⁻¹", "^-1").lower()
