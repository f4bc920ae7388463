"""Text for terminals and JSON: nothing is obeyed, nothing is lost."""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.schemas.text import to_json, visible

ANYTHING = st.text(st.characters(categories=["Cc", "Cf", "Cs", "L", "M", "N", "P", "S", "Z", "Co"]))


@pytest.mark.parametrize("text", ["GaN", "Fe₂O₃ – 3 Å", "two\nlines\tand a tab", "می\u200cخواهم", "👩\u200d🔬"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b5n\x1b]0;title\x07", r"\x9b5n\x1b]0;title\x07"),
        ("a\rb\x00\x7f", r"a\rb\x00\x7f"),
        ("PbI2\u202eexe", r"PbI2\u202eexe"),
        ("name\udcff", r"name\udcff"),
        ("\U000e0041\u2028", r"\U000e0041\u2028"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_written_out(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(ANYTHING)
def test_no_text_holds_anything_for_a_terminal_to_obey(text: str) -> None:
    for safe in (visible(text), to_json({"x": text}), to_json(text, indent=2)):
        safe.encode()
        assert {char for char in safe if unicodedata.category(char) in ("Cc", "Cf", "Cs")} <= set("\n\t\u200c\u200d")
    assert visible(visible(text)) == visible(text)


@given(ANYTHING)
def test_json_reads_back_as_the_same_text(text: str) -> None:
    assert json.loads(to_json({"text": text}))["text"] == json.loads(json.dumps(text))


def test_numbers_are_numbers_and_what_is_missing_is_null() -> None:
    row = {
        "sum": Decimal(2**70),
        "mean": Decimal("1.50"),
        "nan": math.nan,
        "pair": (math.inf, 1.0),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "path": Path("a"),
    }
    expected = {
        "sum": 2**70,
        "mean": 1.5,
        "nan": None,
        "pair": [None, 1.0],
        "at": "2026-01-02 00:00:00+00:00",
        "path": "a",
    }
    assert json.loads(to_json(row)) == expected
