"""What every table of observations must satisfy, as Great Expectations suites derived from contract and vocabulary.

A row-level expectation carries the id of a rule of `schemas.rules`: the record that breaks it is refused. A table-level
one carries an id of `schemas.rules.TABLE_RULES`: breaking it stops the source, or warns.

Not here: running the suites (`pipelines.ingest.validating.validation`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matstrata.schemas.contracts import Contract
from matstrata.schemas.properties import get_property
from matstrata.schemas.tables import TABLES
from matstrata.schemas.terms import Kind

if TYPE_CHECKING:
    from types import ModuleType

    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

_REQUIRED = ("observation_id", "source", "property", "unit")
_LARGEST = sys.float_info.max


def great_expectations() -> ModuleType:
    """The module, imported on first use, without what its import does to the process's warnings."""
    with warnings.catch_warnings():
        # its import warns of a standard module it need not use, and hides all DeprecationWarnings from then on
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations.expectations  # deferred: 4 s
    return great_expectations


def header_suite() -> ExpectationSuite:
    """What the columns of the table must satisfy, whatever the rows."""
    gx = great_expectations()
    names = list(TABLES["observations"].column_names)
    columns = gx.expectations.ExpectTableColumnsToMatchSet(column_set=names, **_tags("table.columns"))
    return gx.ExpectationSuite(name="observations.header", expectations=[columns])


Past = tuple[int, Mapping[str, tuple[float, float]]]  # observations, and the middle 80 % of each property's values


ENOUGH = 10  # values of a property from which on their median says something


def rows_suite(contract: Contract, counts: Mapping[str, int], past: Past | None = None) -> ExpectationSuite:
    """What the rows must satisfy; the first expectation that a record breaks is the one it is refused for.

    Args:
        contract: the source.
        counts: number of values of each property; of few, the median is not looked at.
        past: what the source's last refresh left, to compare with.
    """
    ample = [name for name in contract.properties if counts.get(name, 0) >= ENOUGH]
    expectations = [*_table_level(contract), *_plausible(ample), *_unchanged(ample, past), *_row_level(contract)]
    return great_expectations().ExpectationSuite(name=f"observations.{contract.source}", expectations=expectations)


def _plausible(names: Sequence[str]) -> list[Expectation]:
    """The median of a property betrays a wrong unit before a single value breaks its bounds."""
    ranges = {name: get_property(name).typical for name in names}
    return [_median_within(name, *span, "table.plausible_unit") for name, span in ranges.items() if span is not None]


def _unchanged(names: Sequence[str], past: Past | None) -> list[Expectation]:
    if past is None:
        return []
    count, middle = past
    gxe = great_expectations().expectations
    limits = {"min_value": count // 2, "max_value": 2 * count + 10}
    rows = gxe.ExpectTableRowCountToBeBetween(**limits, **_tags("table.row_count"))
    return [
        rows,
        *(_median_within(name, *span, "table.distribution") for name, span in middle.items() if name in names),
    ]


def _median_within(name: str, low: float, high: float, rule_id: str) -> Expectation:
    return great_expectations().expectations.ExpectColumnMedianToBeBetween(
        column="value", min_value=low, max_value=high, row_condition=_only(name), **_tags(rule_id, name=name)
    )


def _tags(rule_id: str, *, name: str | None = None, severity: str = "critical") -> dict[str, object]:
    return {"meta": {"rule_id": rule_id, "property": name}, "severity": severity}


def _table_level(contract: Contract) -> list[Expectation]:
    gxe = great_expectations().expectations
    names = list(contract.properties)
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, **_tags("table.not_empty")),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column, **_tags("table.required")) for column in _REQUIRED),
        gxe.ExpectColumnValuesToBeUnique(column="observation_id", **_tags("table.unique_observations")),
        gxe.ExpectColumnValuesToBeInSet(column="source", value_set=[contract.source], **_tags("table.one_source")),
        gxe.ExpectColumnValuesToBeInSet(column="property", value_set=names, **_tags("table.known_properties")),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="property", value_set=names, **_tags("table.every_property", severity="warning")
        ),
        *(
            gxe.ExpectColumnValuesToBeInSet(
                column="unit",
                value_set=[get_property(name).unit],
                row_condition=_only(name),
                **_tags("table.canonical_units", name=name),
            )
            for name in names
        ),
    ]


def _row_level(contract: Contract) -> list[Expectation]:
    """Two expectations share a rule where the one that bounds a column passes over its nulls."""
    gxe = great_expectations().expectations
    number, temperature, kind = (
        _tags(rule_id) for rule_id in ("value.not_a_number", "temperature.not_positive", "kind.unknown")
    )
    return [
        gxe.ExpectColumnValuesToNotBeNull(column="value", **number),
        gxe.ExpectColumnValuesToBeBetween(column="value", min_value=-_LARGEST, max_value=_LARGEST, **number),
        *(_within_bounds(name) for name in contract.properties),
        gxe.ExpectColumnValuesToBeBetween(
            column="temperature_k", min_value=0, strict_min=True, max_value=_LARGEST, **temperature
        ),
        gxe.ExpectColumnValuesToNotBeNull(column="kind", **kind),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=[kind.value for kind in Kind], **kind),
    ]


def _within_bounds(name: str) -> Expectation:
    declared = get_property(name)
    return great_expectations().expectations.ExpectColumnValuesToBeBetween(
        column="value",
        min_value=declared.lower,
        max_value=declared.upper,
        row_condition=_only(name),
        **_tags("value.out_of_bounds", name=name),
    )


def _only(name: str) -> object:
    """The condition that looks only at rows of this property."""
    great_expectations()
    from great_expectations.expectations.row_conditions import Column

    return Column("property") == name
