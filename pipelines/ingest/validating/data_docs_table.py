"""GX's table of expectations with a column more: our rule, what it means, and what to do where it is broken.

GX's own way to add columns, `properties_to_render`, is refused by its own models in 1.24; this is its other one.
Imports Great Expectations: 4 s; `data_docs` has GX load it by name when the first page is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from great_expectations.core import ExpectationValidationResult
from great_expectations.render.components import RenderedStringTemplateContent
from great_expectations.render.renderer.content_block.validation_results_table_content_block import (
    ValidationResultsTableContentBlockRenderer,
)

from matstrata.schemas.rules import RULES, TABLE_RULES


class RulesTable(ValidationResultsTableContentBlockRenderer):
    """The results of one column, or of the table as a whole."""

    @classmethod
    def _process_content_block(cls, content_block: Any, has_failed_evr: bool, render_object: Any = None) -> None:  # noqa: FBT001
        super()._process_content_block(content_block, has_failed_evr, render_object)
        content_block.header_row = [*content_block.header_row, "Rule"]

    @classmethod
    def _get_content_block_fn(cls, *words: Any, **named: Any) -> Callable[..., Any]:
        draw = super()._get_content_block_fn(*words, **named)
        assert draw is not None

        def with_rule(*, result: ExpectationValidationResult, **rest: Any) -> list[list[Any]]:
            return [[*row, _rule(result)] for row in draw(result=result, **rest)]

        return with_rule


def _rule(result: ExpectationValidationResult) -> RenderedStringTemplateContent:
    config = result.expectation_config
    assert config is not None
    rule_id = config.meta["rule_id"]
    meaning = f"refuses a record where {RULES[rule_id].meaning}" if rule_id in RULES else TABLE_RULES[rule_id].meaning
    remedy = (RULES.get(rule_id) or TABLE_RULES[rule_id]).remedy
    params = {"rule": rule_id, "severity": config.severity.value, "meaning": meaning, "remedy": remedy}
    return RenderedStringTemplateContent(
        content_block_type="string_template",
        string_template={
            "template": "$rule ($severity): $meaning" + ("" if result.success else "; $remedy"),
            "params": params,
            "styling": {"params": {"rule": {"tag": "code"}}},
        },
    )
