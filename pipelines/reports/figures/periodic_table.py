"""Where each of the 118 elements stands in the usual long table with the f-block below. No properties of elements."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from matstrata.schemas.elements import ELEMENTS

COLUMNS, ROWS = 18, 9
_NOBLE = (2, 10, 18, 36, 54, 86, 118)


def _place(z: int) -> tuple[int, int]:
    period = next(i for i, last in enumerate(_NOBLE) if z <= last)
    first = (0, *_NOBLE)[period] + 1
    last = _NOBLE[period]
    if period >= 5 and first + 2 <= z <= first + 15:  # La-Yb and Ac-No: 14 elements under the d-block
        return period + 2, z - first
    from_left = z - first
    if from_left < (1 if period == 0 else 2):
        return period, from_left
    return period, COLUMNS - 1 - (last - z)


PLACES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {symbol: _place(z) for z, symbol in enumerate(ELEMENTS, start=1)}
)
"""(row, column) of each element, from 0 at the top left; rows 7 and 8 are the f-block, La to Yb and Ac to No."""
