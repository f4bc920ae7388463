"""The rules as users read them."""

from __future__ import annotations

import re
from pathlib import Path

from matstrata.schemas.rules import RULES, TABLE_RULES, as_markdown

PROJECT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_code() -> None:
    assert (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8") == as_markdown()


def test_each_rule_says_what_it_means_and_what_to_do() -> None:
    for rule_id, rule in {**RULES, **TABLE_RULES}.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", rule_id)
        assert rule.meaning
        assert rule.remedy
