"""The rules as users read them: each can be broken, and no record is refused by one that is not declared."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from matstrata.schemas.rules import RULES, TABLE_RULES, WARNINGS, as_markdown

PROJECT = Path(__file__).resolve().parents[2]
DECLARED = {**RULES, **WARNINGS, **TABLE_RULES}
RULE_ID = re.compile(r"[a-z]+\.[a-z_]+")


def test_the_page_is_made_from_the_code() -> None:
    assert (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8") == as_markdown()


def test_each_rule_says_what_it_means_and_what_to_do() -> None:
    assert len(RULES) > 20
    for rule_id, rule in DECLARED.items():
        assert RULE_ID.fullmatch(rule_id)
        assert rule.meaning
        assert rule.remedy


def literals() -> Mapping[str, set[str]]:
    """The texts in the code, besides the declarations, that look like a rule's id or stand in SQL like one."""
    subjects = {rule_id.partition(".")[0] for rule_id in DECLARED}
    found: dict[str, set[str]] = {}
    for path in sorted(path for folder in ("schemas", "pipelines") for path in (PROJECT / folder).rglob("*.py")):
        if path == PROJECT / "schemas" / "rules.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for text in texts:
            ids = {text} if RULE_ID.fullmatch(text) else set(re.findall(r"'([a-z]+\.[a-z_]+)'", text))
            for rule_id in ids:
                if rule_id.partition(".")[0] in subjects:
                    found.setdefault(rule_id, set()).add(path.relative_to(PROJECT).as_posix())
    return found


def test_each_declared_rule_stands_whole_in_code_that_applies_it_and_each_one_there_is_declared() -> None:
    assert sorted(literals()) == sorted(DECLARED)
