"""How the report says things: sentences for settings and protocols, numbers in words, the palette.

Not here: what is counted (`queries`) and what is drawn (`figures`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

BLUE, ORANGE, GREEN, VERMILLION, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#6B7280"
"""Colours that colour-blind readers tell apart (Okabe and Ito 2008)."""

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "mean": "the mean of the measured values, whatever the material",
        "single": "one plain model of the measured source alone",
        "without_dft": "the ensemble without any computed source",
        "strict": "the ensemble, told what models of the computed sources predict that never saw the material",
        "known_dft": "the ensemble, told the material's computed values too, where a computed source has them",
    }
)
"""What each setting of the evaluation stands for, from the simplest to the best informed."""

SETTINGS_IN_SHORT: Mapping[str, str] = MappingProxyType(
    {
        "mean": "the mean of what was measured",
        "single": "a plain random forest",
        "without_dft": "stack on {target} alone",
        "strict": "stack with {helpers}, test compositions unseen",
        "known_dft": "stack with {helpers}, test compositions' computed values known",
    }
)
"""The same in a few words, with room for the names of the sources."""

SETTING_COLOURS: Mapping[str, str] = MappingProxyType(
    {"mean": GREY, "single": ORANGE, "without_dft": SKY, "strict": GREEN, "known_dft": BLUE}
)

CHOICE: tuple[str, ...] = ("known_dft", "strict", "without_dft", "single", "mean")
"""The setting that the headline is about: the first of these that was evaluated."""

PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "grouped_kfold": "new compositions: near-identical ones are never on both sides of a split",
        "chemical_system": "new chemistry: all compounds of the same elements are held out together",
    }
)
"""What each way of splitting asks of a model."""


_SPOKEN: Mapping[str, str] = MappingProxyType(
    {
        "root_fraction": "which elements",
        "fraction_norm": "evenness of the fractions",
        "gs_band_gap": "band gap of the elements",
    }
)


def number(value: float | None, digits: int = 3) -> str:
    """A figure with `digits` significant digits, never in powers of ten between 0.0001 and a million; '–' for none."""
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
    """A figure with its sign, for differences."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def count(value: float | None) -> str:
    """A whole number with thousands separated; '–' for none."""
    return "–" if value is None else f"{int(value):,}"


def percent(fraction: float | None) -> str:
    """A fraction as '90.4 %'; '–' for none."""
    return "–" if fraction is None or not isfinite(fraction) else f"{100 * fraction:.1f}\u00a0%"


def with_unit(value: float | None, unit: str) -> str:
    """A figure and its unit; a pure number stands alone."""
    text = number(value)
    return text if unit == "1" or text == "–" else f"{text}\u00a0{unit}"


def plural(amount: int, noun: str) -> str:
    """'1 material', '233 materials'."""
    return f"{count(amount)} {noun}{'' if amount == 1 else 's'}"


def in_order(names: set[str] | frozenset[str], known: Mapping[str, str]) -> list[str]:
    """Names in the order of `known`; others follow, alphabetically."""
    return [name for name in known if name in names] + sorted(names - set(known))


def spoken(name: str) -> str:
    """A name from the tables as people write it: 'out of domain'."""
    return _SPOKEN.get(name, re.sub(r"^gs ", "elements' ", name.replace("_", " ").replace("avg dev", "deviation")))
