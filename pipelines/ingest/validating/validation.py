"""Validating a source's observations: which rules held, and which records must be quarantined.

Not here: the rules (`schemas.expectations`), and what becomes of a quarantined record (`observations`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from matstrata.pipelines.ingest.validating.second_process import in_second_process
from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import WorkError
from matstrata.schemas.expectations import great_expectations, header_suite, rows_suite
from matstrata.schemas.properties import get_property
from matstrata.schemas.rules import RULES, TABLE_RULES, Rule
from matstrata.schemas.units import likely_units, unit_suffix
from matstrata.store.records.sources import Earlier

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

_CATEGORIES = ("source", "property", "unit", "kind")
_EXPLAINED = (
    *("source_record", "property", "value", "unit", "value_reported", "unit_reported"),
    *("temperature_k", "kind"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How one expectation fared; columns as in table `validations`."""

    rule_id: str
    column: str | None
    property: str | None
    severity: str
    success: bool
    checked: int
    unexpected: int


@dataclass(frozen=True, slots=True)
class Validation:
    """All results, and the records to quarantine: source_record -> (rule_id, reason).

    `evaluated` are GX's own results, pickled, so that who only hands them on need not import it.
    """

    results: tuple[Result, ...] = ()
    quarantined: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    evaluated: bytes = field(default=b"", compare=False, repr=False)


class RefusedError(WorkError):
    """A critical table-level rule is broken; `validation` holds what was found, without records to quarantine."""

    def __init__(self, message: str, validation: Validation) -> None:
        super().__init__(message, validation)  # both, so that the error survives pickling between processes
        self.validation = validation

    def __str__(self) -> str:
        """The sentence alone."""
        return str(self.args[0])


def validate(observations: pa.Table, contract: Contract, last: Earlier | None = None) -> Validation:
    """Hold a source's observations against the shared rules and its contract.

    Args:
        observations: the schema of the table `observations`.
        contract: the contract that they were made by.
        last: what the source's last refresh left, where there was one.

    Returns:
        The results; and each record of which an observation breaks a row-level rule, with the first rule broken and a
        sentence for each observation that breaks one.

    Raises:
        RefusedError: a critical table-level rule is broken.
        WorkError: an expectation could not be evaluated.
    """
    looked_at = [name for name in observations.column_names if name in {"observation_id", *_CATEGORIES, *_EXPLAINED}]
    return in_second_process(_validate, observations.schema, observations.select(looked_at), contract, last)


def _validate(schema: pa.Schema, observations: pa.Table, contract: Contract, last: Earlier | None) -> Validation:
    asset = _asset()
    header = _run(_batch(asset, schema.empty_table().to_pandas()), header_suite(), "SUMMARY")
    _require(header, contract)
    batch = _batch(asset, _frame(observations))
    past = None if last is None else (last.observations, last.middle)
    suite = rows_suite(contract, _counts(observations), past)
    rows = _run(batch, suite, "SUMMARY")
    evaluated = (*header, *rows)
    _require(evaluated, contract)
    broken = [_config(result).to_domain_obj() for result in rows if not result.success and _rule(result) in RULES]
    quarantined = _quarantine(broken, batch, observations, contract) if broken else {}
    return Validation(_summarize(evaluated), quarantined, pickle.dumps(evaluated))


def read_evaluated(evaluated: bytes) -> tuple[ExpectationValidationResult, ...]:
    """GX's results, from `Validation.evaluated`; none where validation was not reached."""
    great_expectations()
    return pickle.loads(evaluated) if evaluated else ()  # noqa: S301 written by `validate`, never read from a file


def _summarize(evaluated: Iterable[ExpectationValidationResult]) -> tuple[Result, ...]:
    """GX's results in the columns of table `validations`."""
    return tuple(map(_result, evaluated))


def _counts(observations: pa.Table) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(observations["property"]).to_pylist()}


def _frame(observations: pa.Table) -> pd.DataFrame:
    """The columns that the rows' suite looks at, in the forms in which pandas compares them fastest."""
    temperatures = observations["temperature_k"]
    if pa.types.is_floating(temperatures.type):
        # pandas does not distinguish NaN from null: null means "not stated" and is allowed, NaN must break the rule
        temperatures = pc.if_else(pc.is_nan(temperatures), float("-inf"), temperatures)
    columns = {name: observations[name].dictionary_encode() for name in _CATEGORIES}
    ids = observations["observation_id"].combine_chunks().dictionary_encode()
    # where all differ there is nothing to show of them, and numbers are compared and hashed ten times faster
    names = ids.indices if len(ids.dictionary) == len(ids) else observations["observation_id"]
    columns |= {"observation_id": names, "value": observations["value"], "temperature_k": temperatures}
    return pa.table(columns).to_pandas()


def _asset() -> DataFrameAsset:
    """What GX takes frames by: in memory, with nothing sent, shown or left on the disk."""
    gx = great_expectations()
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False, metric_calculations=False),
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    return context.data_sources.add_pandas("observations").add_dataframe_asset("observations")


def _batch(asset: DataFrameAsset, frame: pd.DataFrame) -> Batch:
    name = f"observations {len(asset.batch_definitions)}"
    return asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": frame})


def _run(batch: Batch, suite: ExpectationSuite, result_format: Any) -> list[ExpectationValidationResult]:
    """Evaluate a suite; an expectation that could not be evaluated is a fault of the pipeline, never bad data."""
    results: list[ExpectationValidationResult] = batch.validate(suite, result_format=result_format).results
    raised = [f"{_rule(result)} ({message})" for result in results for message in _exceptions(result.exception_info)]
    if raised:
        raise WorkError(f"could not be evaluated: {'; '.join(raised)}; the table is malformed, see its column types")
    return results


def _exceptions(info: Mapping[str, Any] | None) -> Iterable[str]:
    """The messages of what an expectation raised; GX gives one record, or one per metric."""
    records = [info or {}] if "raised_exception" in (info or {}) else (info or {}).values()
    return dict.fromkeys(record["exception_message"] for record in records if record["raised_exception"])


def _require(results: Sequence[ExpectationValidationResult], contract: Contract) -> None:
    """Stop the source where a critical table-level rule is broken, before it replaces good data."""
    failed = [
        f"{rule.rule_id} ({rule.meaning}) is broken{_evidence(result)}; {_remedy(result, rule)}"
        for result in results
        if not result.success and _severity(result) == "critical" and (rule := TABLE_RULES.get(_rule(result)))
    ]
    if failed:
        message = f"source {contract.source} is refused, the data in the store stay as they were: {'. '.join(failed)}"
        raise RefusedError(message, Validation(_summarize(results), evaluated=pickle.dumps(tuple(results))))


def _remedy(result: ExpectationValidationResult, rule: Rule) -> str:
    """What to do; where a median betrays a wrong unit, the unit that would make it right."""
    median, name = result.result.get("observed_value"), _tags(result)["property"]
    if rule.rule_id != "table.plausible_unit" or median is None:
        return rule.remedy
    likely = likely_units(float(median), get_property(name).unit, get_property(name).typical)
    units = " or ".join(f"{unit} (divide by {factor:g})" for unit, factor in likely)
    return f"if the values are in {units}, say so in the contract" if units else rule.remedy


def _evidence(result: ExpectationValidationResult) -> str:
    outcome = result.result
    if "unexpected_count" in outcome:
        column = _config(result).kwargs["column"]
        examples = ", ".join(map(repr, dict.fromkeys(outcome["partial_unexpected_list"])))
        return f" by {outcome['unexpected_count']:,} values of column {column!r}: {examples}"
    limits = [_config(result).kwargs.get(name) for name in ("min_value", "max_value")]
    if None not in (outcome.get("observed_value"), *limits):
        name = _tags(result)["property"]
        what = f" {get_property(name).unit} as the median of {name}" if name else ""
        return f": found {outcome['observed_value']:,.6g}{what}, expected {limits[0]:,.6g} to {limits[1]:,.6g}"
    if "details" in outcome:
        sides = outcome["details"]["mismatched"]
        return " by " + ", ".join(f"{side} {', '.join(map(repr, names))}" for side, names in sorted(sides.items()))
    return ""


def _quarantine(
    broken: Sequence[Expectation], batch: Batch, observations: pa.Table, contract: Contract
) -> dict[str, tuple[str, str]]:
    """Find the rows that broke row-level rules (GX counts the frame's rows, as the table does) and say why."""
    suite = great_expectations().ExpectationSuite(name="broken", expectations=list(broken))
    results = _run(batch, suite, {"result_format": "COMPLETE", "exclude_unexpected_values": True})
    explained = observations.select(_EXPLAINED)
    order = list(RULES)
    faults: dict[str, tuple[str, str]] = {}
    for result in sorted(results, key=lambda result: order.index(_rule(result))):
        rule_id = _rule(result)
        for row in explained.take(result.result["unexpected_index_list"]).to_pylist():
            reason = _REASONS[rule_id](row, contract)
            first, reasons = faults.get(row["source_record"], (rule_id, ""))
            if reason not in reasons:
                faults[row["source_record"]] = (first, f"{reasons}; {reason}" if reasons else reason)
    return {record: (rule_id, f"{reason}: {RULES[rule_id].remedy}") for record, (rule_id, reason) in faults.items()}


def _value_fault(row: Mapping[str, Any], contract: Contract, what: str) -> str:
    columns = " or ".join(repr(value.column) for value in contract.values if value.property == row["property"])
    reported = _quantity(repr(row["value_reported"]), row["unit_reported"])
    return f"{row['property']} is {_quantity(row['value'], row['unit'])} ({reported} in column {columns}), {what}"


def _quantity(number: object, unit: str) -> str:
    return f"{number}{unit_suffix(unit)}"


def _out_of_bounds(row: Mapping[str, Any], contract: Contract) -> str:
    bounds = get_property(row["property"])
    span = _quantity(f"{bounds.lower:g} to {bounds.upper:g}", bounds.unit)
    return _value_fault(row, contract, f"outside its bounds, {span}")


def _not_a_number(row: Mapping[str, Any], contract: Contract) -> str:
    return _value_fault(row, contract, "which is not a finite number")


def _not_positive(row: Mapping[str, Any], contract: Contract) -> str:
    column = contract.columns.temperature_k
    place = f"column {column!r}" if column else "the contract's constants"
    return f"temperature is {row['temperature_k']} K in {place}, which is not a positive number"


def _unknown_kind(row: Mapping[str, Any], contract: Contract) -> str:
    place = f"column {contract.columns.kind!r}" if contract.columns.kind else "the contract"
    return f"kind is {row['kind']!r} in {place}, neither 'experiment' nor 'computation'"


_REASONS: Mapping[str, Callable[[Mapping[str, Any], Contract], str]] = {
    "value.not_a_number": _not_a_number,
    "value.out_of_bounds": _out_of_bounds,
    "temperature.not_positive": _not_positive,
    "kind.unknown": _unknown_kind,
}


def _config(result: ExpectationValidationResult) -> ExpectationConfiguration:
    return cast("ExpectationConfiguration", result.expectation_config)  # optional by its type, given by every suite


def _tags(result: ExpectationValidationResult) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = _config(result).meta
    return meta


def _rule(result: ExpectationValidationResult) -> str:
    return str(_tags(result)["rule_id"])


def _severity(result: ExpectationValidationResult) -> str:
    return str(_config(result).severity.value)


def _result(result: ExpectationValidationResult) -> Result:
    """GX counts values where an expectation is about values; one about the table as a whole looks at one thing."""
    config, outcome = _config(result), result.result
    counted = "element_count" in outcome
    return Result(
        rule_id=_rule(result),
        column=config.kwargs.get("column"),
        property=_tags(result)["property"],
        severity=_severity(result),
        success=bool(result.success),
        checked=outcome["element_count"] - outcome.get("missing_count", 0) if counted else 1,
        unexpected=outcome["unexpected_count"] if counted else int(not result.success),
    )
