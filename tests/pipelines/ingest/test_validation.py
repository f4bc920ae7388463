"""A row that breaks a rule is named with rule and reason, and no other row is; a broken table stops the source."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.ingest.validation import Validation, validate
from schemas.contracts import Citation, Columns, Contract, FileLocation, ValueColumn
from schemas.errors import WorkError
from schemas.expectations import great_expectations
from schemas.properties import get_property
from schemas.tables import TABLES

SCHEMA = TABLES["observations"].arrow_schema
GAP, INDEX = get_property("band_gap"), get_property("refractive_index")
N = 20


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(
        source="optics",
        title="Optics",
        description="Band gaps and refractive indices",
        kind="experiment",
        method="optical",
        licence="CC0-1.0",
        citation=Citation(bibtex="@misc{optics}"),
        files=(FileLocation(path=Path("optics.csv")),),
        reader="delimited",
        columns=Columns(formula="formula", temperature_k="T"),
        values=(
            ValueColumn(column="Eg", property="band_gap", unit="meV"),
            ValueColumn(column="n", property="refractive_index", unit="1"),
        ),
    )


def observation(i: int, name: str, **fields: Any) -> dict[str, Any]:
    gap = name == "band_gap"
    return {
        **dict.fromkeys(SCHEMA.names),
        "observation_id": f"{i}/{name}",
        "source": "optics",
        "source_record": f"row {i}",
        "material_id": "GaN",
        "property": name,
        "value": 3.4 if gap else 2.4,
        "unit": "eV" if gap else "1",
        "value_reported": "3400" if gap else "2.4",
        "unit_reported": "meV" if gap else "1",
        "kind": "experiment",
        "temperature_k": 300.0 if i % 2 else None,
    } | fields


def table(row: int | None = None, name: str = "band_gap", **fields: Any) -> pa.Table:
    """Sound observations of N records with two properties each; in record `row`, `fields` replace what is sound."""
    rows = [
        observation(i, prop, **(fields if (i, prop) == (row, name) else {}))
        for i in range(N)
        for prop in ("band_gap", "refractive_index")
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def failed(validation: Validation) -> set[tuple[str, str | None]]:
    return {(result.rule_id, result.property) for result in validation.results if not result.success}


def test_sound_observations_pass_every_rule(contract: Contract) -> None:
    validation = validate(table(), contract)
    assert validation.quarantined == {}
    assert failed(validation) == set()
    checked = {(r.rule_id, r.property): r.checked for r in validation.results}
    assert checked["value.out_of_bounds", "band_gap"] == N
    assert checked["value.not_a_number", None] == 2 * N
    assert checked["temperature.not_positive", None] == N  # stated for every other record
    assert {r.severity for r in validation.results} == {"critical", "warning"}


@pytest.mark.parametrize(
    ("name", "fields", "rule_id", "sentence"),
    [
        (
            "band_gap",
            {"value": -3.0, "value_reported": "-3000"},
            "value.out_of_bounds",
            f"band_gap is -3.0 eV ('-3000' meV in column 'Eg'), outside its bounds, {GAP.lower:g} to {GAP.upper:g} eV: check",
        ),
        (
            "refractive_index",
            {"value": 24.0, "value_reported": "24"},
            "value.out_of_bounds",
            f"refractive_index is 24.0 ('24' in column 'n'), outside its bounds, {INDEX.lower:g} to {INDEX.upper:g}: check",
        ),
        ("band_gap", {"value": None}, "value.not_a_number", "band_gap is None eV"),
        ("band_gap", {"value": math.nan}, "value.not_a_number", "which is not a finite number: give the number alone"),
        ("refractive_index", {"value": math.inf}, "value.not_a_number", "in column 'n'"),
        ("band_gap", {"value": -math.inf}, "value.not_a_number", "in column 'Eg'"),
        ("band_gap", {"temperature_k": 0.0}, "temperature.not_positive", "temperature is 0.0 K in column 'T'"),
        (
            "band_gap",
            {"temperature_k": -5.0},
            "temperature.not_positive",
            "which is not a positive number: give kelvin",
        ),
        ("band_gap", {"temperature_k": math.nan}, "temperature.not_positive", "temperature is nan K"),
        ("band_gap", {"temperature_k": math.inf}, "temperature.not_positive", "temperature is inf K"),
        ("band_gap", {"kind": "theory"}, "kind.unknown", "kind is 'theory' in the contract, neither 'experiment' nor"),
        ("band_gap", {"kind": None}, "kind.unknown", "use one of the two words"),
    ],
)
def test_only_the_record_that_breaks_a_rule_is_quarantined(
    contract: Contract, name: str, fields: dict[str, Any], rule_id: str, sentence: str
) -> None:
    validation = validate(table(7, name, **fields), contract)
    assert list(validation.quarantined) == ["row 7"]
    assert validation.quarantined["row 7"][0] == rule_id
    assert sentence in validation.quarantined["row 7"][1]
    assert rule_id in {rule for rule, _ in failed(validation)}
    assert sum(result.unexpected for result in validation.results if result.rule_id == rule_id) == 1


@pytest.mark.parametrize("value", [GAP.lower, GAP.upper])
def test_a_value_on_a_bound_is_sound(contract: Contract, value: float) -> None:
    assert validate(table(7, value=value), contract).quarantined == {}


def test_a_record_with_two_faults_is_named_once_with_both(contract: Contract) -> None:
    rows = table(3, value=-1.0).to_pylist()
    rows[7]["value"] = 99.0  # the refractive index of the same record
    validation = validate(pa.Table.from_pylist(rows, schema=SCHEMA), contract)
    [(rule_id, reason)] = validation.quarantined.values()
    assert rule_id == "value.out_of_bounds"
    assert "band_gap is -1.0 eV" in reason
    assert "refractive_index is 99.0" in reason


def test_faults_of_several_rules_are_all_found(contract: Contract) -> None:
    rows = table().to_pylist()
    rows[0]["value"], rows[10]["kind"], rows[20]["temperature_k"], rows[31]["value"] = -1.0, "guess", -1.0, math.nan
    quarantined = validate(pa.Table.from_pylist(rows, schema=SCHEMA), contract).quarantined
    assert {record: rule_id for record, (rule_id, _) in quarantined.items()} == {
        "row 0": "value.out_of_bounds",
        "row 5": "kind.unknown",
        "row 10": "temperature.not_positive",
        "row 15": "value.not_a_number",
    }


def test_a_property_never_reported_is_a_warning(contract: Contract) -> None:
    gaps = [observation(i, "band_gap") for i in range(N)]
    validation = validate(pa.Table.from_pylist(gaps, schema=SCHEMA), contract)
    assert failed(validation) == {("table.every_property", None)}
    assert validation.quarantined == {}


@pytest.mark.parametrize(
    ("spoil", "rule_id", "evidence"),
    [
        (lambda t: t.drop_columns(["method"]), "table.columns", "missing 'method'"),
        (lambda t: t.append_column("extra", pa.nulls(t.num_rows)), "table.columns", "unexpected 'extra'"),
        (lambda t: t.slice(0, 0), "table.not_empty", "at least one observation"),
        (lambda t: pa.concat_tables([t, t.slice(0, 1)]), "table.unique_observations", "'0/band_gap'"),
        (lambda _: table(1, source="other"), "table.one_source", "'other'"),
        (lambda _: table(1, property="colour"), "table.known_properties", "'colour'"),
        (lambda _: table(1, unit="meV"), "table.canonical_units", "'meV'"),
        (lambda _: table(1, unit=None), "table.required", "'unit'"),
        (lambda _: table(1, property=None), "table.required", "'property'"),
        (lambda _: table(1, observation_id=None), "table.required", "'observation_id'"),
    ],
)
def test_a_broken_table_stops_the_source(
    contract: Contract, spoil: Callable[[pa.Table], pa.Table], rule_id: str, evidence: str
) -> None:
    with pytest.raises(WorkError) as error:
        validate(spoil(table()), contract)
    assert all(part in str(error.value) for part in ("source optics", rule_id, evidence))


def test_an_expectation_that_raises_is_a_fault_of_the_pipeline(contract: Contract) -> None:
    texts = pa.array(["3.4"] * (2 * N))
    with pytest.raises(WorkError, match=r"value\.out_of_bounds.*malformed"):
        validate(table().set_column(SCHEMA.get_field_index("value"), "value", texts), contract)


def test_nothing_is_written_to_the_terminal(contract: Contract, capfd: pytest.CaptureFixture[str]) -> None:
    validate(table(7, value=-1.0), contract)
    assert capfd.readouterr() == ("", "")


def test_a_large_table_is_validated_in_seconds(contract: Contract) -> None:
    n = 350_000
    great_expectations()
    columns = {name: pa.nulls(n, SCHEMA.field(name).type) for name in SCHEMA.names} | {
        "observation_id": pa.array([f"{i:032x}" for i in range(n)]),
        "source": pa.repeat("optics", n),
        "source_record": pa.array([f"row {i}" for i in range(n)]),
        "property": pa.array(["band_gap", "refractive_index"] * (n // 2)),
        "value": pa.array(np.linspace(1, 5, n)),
        "unit": pa.array(["eV", "1"] * (n // 2)),
        "kind": pa.repeat("experiment", n),
    }
    start = time.process_time()
    validation = validate(pa.table(columns), contract)
    assert time.process_time() - start < 6  # measured: 1.6 s
    assert failed(validation) == set()
    assert validation.quarantined == {}
