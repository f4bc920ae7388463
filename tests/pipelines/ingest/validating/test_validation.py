"""A row that breaks a rule is named with rule and reason, and no other row is; a broken table stops the source."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.refresh import Ingested, refresh_source
from matstrata.pipelines.ingest.validating.validation import Validation, validate
from matstrata.schemas.contracts import Citation, Columns, Contract, FileLocation, ValueColumn, load_contract
from matstrata.schemas.errors import WorkError
from matstrata.schemas.expectations import great_expectations
from matstrata.schemas.properties import get_property
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake
from tests.lab import CONTRACT

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


def test_a_large_table_is_validated_whole(contract: Contract) -> None:
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
    validation = validate(pa.table(columns), contract)
    assert failed(validation) == set()
    assert validation.quarantined == {}


FORTY = [1 + i / 10 for i in range(40)]


@pytest.fixture
def refresh(lake: Lake, tmp_path: Path) -> Callable[..., Ingested]:
    """Refresh a source from these gaps, one formula each."""

    def refresh(gaps: Sequence[float], contract: str = CONTRACT, *, accept_change: bool = False) -> Ingested:
        (tmp_path / "lab.csv").write_text("formula,gap\n" + "".join(f"GaN{i},{gap}\n" for i, gap in enumerate(gaps, 1)))
        (tmp_path / "lab.yaml").write_text(contract)
        loaded = load_contract(tmp_path / "lab.yaml")
        files = locate(loaded.files, cache=tmp_path / "cache", mirrors=())
        return refresh_source(lake, loaded, files, accept_change=accept_change)

    return refresh


def held(lake: Lake) -> list[list[tuple[Any, ...]]]:
    """The values, and all that would say that the source was taken."""
    asked = (
        "SELECT source_record, value FROM observations ORDER BY ALL",
        "FROM rejections ORDER BY ALL",
        "FROM sources",
    )
    with lake.reader() as con:
        return [con.execute(sql).fetchall() for sql in asked]


class TestPlausibleUnit:
    def test_millielectronvolts_that_are_called_electronvolts_stop_the_source(self, lake, refresh) -> None:
        refresh(FORTY)
        before = held(lake)
        with pytest.raises(WorkError) as error:
            refresh([gap * 1000 for gap in FORTY])
        sentence = str(error.value)
        for part in ("source lab", "table.plausible_unit", "found 2,950 eV as the median of band_gap", "expected 0 to 15",
                     "meV (divide by 1000)"):  # fmt: skip
            assert part in sentence
        assert held(lake) == before

    def test_so_they_do_the_first_time_and_even_where_the_change_is_accepted(self, lake, refresh) -> None:
        before = held(lake)
        with pytest.raises(WorkError, match=r"table\.plausible_unit"):
            refresh([gap * 1000 for gap in FORTY], accept_change=True)
        assert held(lake) == before

    def test_called_by_their_name_they_pass(self, lake, refresh) -> None:
        refresh([gap * 1000 for gap in FORTY], CONTRACT.replace("unit: eV", "unit: meV"))
        assert [value for _, value in held(lake)[0]] == pytest.approx([value for _, value in sorted(
            (f"row {i}", gap) for i, gap in enumerate(FORTY, 1))])  # fmt: skip

    def test_what_fits_no_unit_is_stopped_with_the_rules_remedy(self, refresh) -> None:
        with pytest.raises(WorkError, match=r"table\.plausible_unit.*check the contract's unit"):
            refresh([gap * 1e12 for gap in FORTY])

    @pytest.mark.parametrize(("n", "stopped"), [(9, False), (10, True)])
    def test_of_fewer_than_ten_values_nothing_is_said(self, refresh, n: int, stopped: bool) -> None:
        gaps = [3.0, 3.1, *([20.0] * (n - 2))]  # within the bounds of single values
        if stopped:
            with pytest.raises(WorkError, match=r"table\.plausible_unit"):
                refresh(gaps)
        else:
            assert refresh(gaps).rows_accepted == n

    def test_a_few_strange_values_are_refused_one_by_one(self, refresh) -> None:
        assert refresh([*FORTY, 3400, 3500]).rows_rejected == 2


class TestChange:
    """A refresh that differs much from the last one is stopped, unless it is meant."""

    @pytest.mark.parametrize(
        ("gaps", "rule_id"),
        [
            (FORTY[::2][:-1], "table.row_count"),  # 19 of 40
            (FORTY[:12], "table.row_count"),
            ([*FORTY, *FORTY, *FORTY], "table.row_count"),
            ([gap + 5 for gap in FORTY], "table.distribution"),
            ([0.0] * 40, "table.distribution"),
        ],
        ids=["halved", "cut", "trebled", "shifted", "zeros"],
    )
    def test_it_is_stopped_or_accepted(self, lake, refresh, gaps: list[float], rule_id: str) -> None:
        refresh(FORTY)
        before = held(lake)
        with pytest.raises(WorkError) as error:
            refresh(gaps)
        assert rule_id in str(error.value)
        assert "--accept-change" in str(error.value)
        assert held(lake) == before
        done = refresh(gaps, accept_change=True)
        assert (done.changed, done.rows_in) == (True, len(gaps))
        assert sorted(value for _, value in held(lake)[0]) == pytest.approx(sorted(gaps))

    @pytest.mark.parametrize(
        "gaps",
        [FORTY[::2], [*FORTY, *FORTY], [gap + 0.5 for gap in FORTY], FORTY[::-1]],
        ids=["half", "twice", "a little", "order"],
    )
    def test_a_smaller_one_passes(self, refresh, gaps: list[float]) -> None:
        refresh(FORTY)
        assert refresh(gaps).rows_accepted == len(gaps)

    def test_an_accepted_one_is_the_next_ones_measure(self, refresh) -> None:
        refresh(FORTY)
        refresh([gap + 5 for gap in FORTY], accept_change=True)
        assert refresh([gap + 5.1 for gap in FORTY]).changed
        with pytest.raises(WorkError, match=r"table\.distribution"):
            refresh(FORTY)

    def test_another_contract_means_the_change(self, refresh) -> None:
        refresh(FORTY)
        assert refresh(FORTY[:5], CONTRACT + "reconcile: {policy: mean}\n").deleted == 35

    def test_of_fewer_than_ten_values_the_middle_is_not_looked_at(self, refresh) -> None:
        refresh(FORTY[:9])
        assert refresh([gap + 5 for gap in FORTY[:9]]).changed
