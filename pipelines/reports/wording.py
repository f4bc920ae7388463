"""How reports write numbers, units and the names that stand in tables.

Not here: what is counted (`queries`), what is drawn (`figures`), and the meanings of settings and protocols
(`matstrata.schemas.terms`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from math import isfinite
from types import MappingProxyType

from matstrata.schemas.terms import Baseline, Setting, Split, Term
from matstrata.schemas.units import unit_suffix

SETTINGS: tuple[Term, ...] = (*Baseline, *Setting)
"""Everything that an evaluation compares, from the simplest to the best informed."""

MEANINGS: Mapping[str, str] = MappingProxyType({str(term): term.meaning for term in (*SETTINGS, *Split)})
"""What each setting and each protocol stands for."""

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "root_fraction": "element fractions",
        "fraction_norm": "norms of the fractions",
        "anion": "anion fraction and electronegativity",
        "charge": "charge balance and transfer",
        "n_elements": "number of elements",
        "electronegativity_geometric_mean": "geometric mean electronegativity",
    }
)
_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "_avg_dev": "mean deviation of ",
        "_min": "minimum ",
        "_max": "maximum ",
        "_range": "range of ",
        "_mean": "mean ",
        "_mode": "mode of ",
    }
)
_PATTERNS = (
    (re.compile(r"^root_fraction_(\w+)$"), r"root of the \1 fraction"),
    (re.compile(r"^fraction_norm_(\d+)$"), r"\1-norm of the fractions"),
    (re.compile(r"^gs_"), "elemental "),
    (re.compile("_"), " "),
)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with `digits` significant digits; '–' for none.

    Powers of ten are used below 0.0001 only.
    """
    if value is None or not isfinite(value):
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    elif value != 0 and abs(value) < 1e-4:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{value:#.{digits}g}".rstrip(".")
    return text.replace("-", "\u2212", 1) if value < 0 else text


def signed(value: float | None, digits: int = 3) -> str:
    """Write a number with its sign, for differences."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def count(value: float | None) -> str:
    """Write a whole number with thousands separators; '–' for none."""
    return "–" if value is None else f"{int(value):,}"


def percent(fraction: float | None) -> str:
    """Write a fraction as '90.4 %'; '–' for none."""
    return "–" if fraction is None or not isfinite(fraction) else f"{100 * fraction:.1f}\u00a0%"


def with_unit(value: float | None, unit: str) -> str:
    """Write a number with its unit; a pure number stands alone."""
    text = number(value)
    return text if text == "–" else text + unit_suffix(unit).replace(" ", "\u00a0", 1)


def plural(amount: int, noun: str) -> str:
    """Write '1 material', '233 materials'."""
    return f"{count(amount)} {noun}{'' if amount == 1 else 's'}"


def in_order(names: Collection[str], order: Iterable[str]) -> list[str]:
    """Names in the given order; those that it lacks follow, alphabetically."""
    first = [str(name) for name in order if name in names]
    return first + sorted(set(names) - set(first))


def readable(name: str) -> str:
    """A name from the tables in plain words: 'out of domain', 'mean covalent radius'."""
    if name in _NAMES:
        return _NAMES[name]
    for ending, statistic in _ENDINGS.items():
        if name.endswith(ending):
            return statistic + readable(name.removesuffix(ending))
    for pattern, replacement in _PATTERNS:
        name = pattern.sub(replacement, name)
    return name
