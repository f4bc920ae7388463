"""The colors of figures. Not here: which series has which (each figure)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from matstrata.schemas.terms import Baseline, Setting

BLUE, ORANGE, GREEN, VERMILLION, SKY, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#6B7280"
"""Colors that color-blind readers can tell apart (Okabe and Ito 2008)."""

SETTING_COLORS: Mapping[str, str] = MappingProxyType(
    {
        Baseline.MEAN: GRAY,
        Baseline.SINGLE: ORANGE,
        Setting.WITHOUT_DFT: SKY,
        Setting.STRICT: GREEN,
        Setting.KNOWN_DFT: BLUE,
    }
)
