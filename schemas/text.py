"""Text that people and programs get to see: nothing in it is obeyed by a terminal, and JSON says what is stored.

Not here: how formulas are written (`schemas.display`), tables in a terminal (`pipelines.cli.plain`).
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any
from unicodedata import category

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what a terminal obeys or hides: controls, directions, lone surrogates, separators."""
_ORDINARY = frozenset("\n\t\u200c\u200d")  # joiners belong to the spelling of Persian and Hindi, and to emoji


def visible(text: str) -> str:
    r"""A text as a terminal may have it: what it would obey or hide is written as an escape.

    Terminal escapes (ESC, CSI, OSC), other control characters, marks of direction and lone surrogates are escaped;
    ends of lines and tabs stay.

    >>> visible("GaN\x1b[2J"), visible("PbI2\u202e")
    ('GaN\\x1b[2J', 'PbI2\\u202e')
    """
    if text.isprintable():
        return text
    return "".join(char.encode("unicode_escape").decode() if _is_obeyed(char) else char for char in text)


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON that any program reads and any terminal may show.

    Decimals and whole numbers of any size are numbers (a decimal the nearest double), NaN and infinity null, times and
    paths text. Characters that a terminal would obey are written as JSON's own escapes, so that the value is the same.
    """
    text = json.dumps(_finite(value), indent=indent, default=_number_or_text, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(_json_escape(char) if _is_obeyed(char) else char for char in text)


def _is_obeyed(char: str) -> bool:
    return not char.isprintable() and char not in _ORDINARY and category(char) in _OBEYED


def _json_escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def _finite(value: Any) -> Any:
    """A value for JSON, which has no NaN and no infinity: null stands for both."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number_or_text(value: object) -> int | float | str:
    if isinstance(value, Decimal):  # DuckDB's sums of whole numbers are decimals without a fraction
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return str(value)
