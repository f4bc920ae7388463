"""Cells of a sample as numbers: which there are, and whether a column is one of numbers.

Not here: what the numbers mean (`pipelines.ingest.drafting.values`), and their units (`drafting.units`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matstrata.pipelines.ingest.drafting.column_roles import is_missing

FLAGS = frozenset({"true", "false", "True", "False", "TRUE", "FALSE"})
"""Cells that are a yes or a no."""

_NUMERIC_SHARE = 0.8  # of a column's filled cells
_STARTS_AS_NUMBER = re.compile(r"[\s<>=≤≥~≈±+−-]*[.,]?\d")


def numbers(texts: Sequence[str]) -> list[float]:
    """The finite numbers among some cells; true is 1 and false is 0."""
    finite = []
    for text in texts:
        try:
            number = float(text)
        except ValueError:
            if text.strip().lower() not in {"true", "false"}:
                continue
            number = float(text.strip().lower() == "true")
        if abs(number) < float("inf"):
            finite.append(number)
    return finite


def is_numeric(texts: Sequence[str]) -> bool:
    """Whether most filled cells of a column are numbers."""
    filled = [text for text in texts if not is_missing(text)]
    return bool(filled) and len(numbers(filled[:500])) >= _NUMERIC_SHARE * len(filled[:500])


def begins_with_numbers(texts: Sequence[str]) -> bool:
    """Whether a column is of numbers that need cleaning: '1.2 eV', '<0.1', '1.5±0.2', '12,000'."""
    filled = [text for text in texts if not is_missing(text)][:500]
    return bool(filled) and sum(map(bool, map(_STARTS_AS_NUMBER.match, filled))) >= _NUMERIC_SHARE * len(filled)


def is_varied(texts: Sequence[str]) -> bool:
    """Whether a column of numbers is filled and holds more than flags and constants."""
    finite = numbers(texts)
    return len(finite) * 2 > len(texts) and len(set(finite)) > min(2, len(texts) - 1)
