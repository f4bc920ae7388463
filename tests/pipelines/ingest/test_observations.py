"""Each record becomes observations or one rejection that says why; nothing a file may hold stops the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matstrata.pipelines.ingest.observations import Observed, observe, quarantine
from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection
from matstrata.schemas.contracts import Contract
from matstrata.schemas.rules import RULES
from matstrata.schemas.tables import TABLES

GAP = {"column": "gap", "property": "band_gap", "unit": "eV"}
INDEX = {"column": "n", "property": "refractive_index", "unit": "1"}


def contract(**fields: Any) -> Contract:
    return Contract.model_validate(
        {
            "source": "lab",
            "title": "Lab",
            "description": "What the lab measured",
            "kind": "experiment",
            "method": "absorption",
            "licence": "CC0-1.0",
            "citation": {"doi": "10.1000/lab", "bibtex": "@misc{lab}"},
            "files": [{"path": Path("lab.csv")}],
            "reader": "delimited",
            "columns": {"formula": "formula"},
            "values": [GAP],
        }
        | fields
    )


def records(*rows: dict[str, str], rejections: Sequence[Rejection] = ()) -> RawRecords:
    """Raw records, all strings, as readers give them."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["formula", "gap"]
    own = {
        "source_record": [f"row {i}" for i in range(1, len(rows) + 1)],
        "file_sha256": ["f" * 64] * len(rows),
        "raw": [json.dumps(row) for row in rows],
    }
    cells = {name: [row.get(name, "") for row in rows] for name in names}
    return RawRecords(pa.table({k: pa.array(v, pa.string()) for k, v in {**own, **cells}.items()}), tuple(rejections))


def refusals(observed: Observed) -> list[tuple[str, str]]:
    return [(rejection.source_record, rejection.rule_id) for rejection in observed.rejections]


def accepted(observed: Observed, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in observed.observations.select(list(columns)).to_pylist()]


FULL = contract(
    columns={
        "formula": "formula",
        "record_id": "id",
        "temperature_k": "T",
        "conditions": "conditions",
        "kind": "kind",
        "reference": "ref",
    },
    missing=["", "None"],
)
GOOD = {
    "id": "1",
    "formula": "GaN",
    "gap": "3.4",
    "T": "300",
    "conditions": '{"ray": "o"}',
    "kind": "experiment",
    "ref": "Kim 1999",
}


def test_a_good_record():
    observed = observe(FULL, records(GOOD))
    (row,) = observed.observations.to_pylist()
    assert row | {"observation_id": "", "record_hash": ""} == {
        "observation_id": "",
        "source": "lab",
        "source_record": "row 1",
        "material_id": "GaN",
        "structure_id": None,
        "formula_reported": "GaN",
        "property": "band_gap",
        "value": 3.4,
        "unit": "eV",
        "value_reported": "3.4",
        "unit_reported": "eV",
        "kind": "experiment",
        "method": "absorption",
        "temperature_k": 300.0,
        "conditions": '{"ray": "o"}',
        "uncertainty": None,
        "reference": "Kim 1999",
        "file_sha256": "f" * 64,
        "rank": None,
        "flags": [],
        "record_hash": "",
    }
    assert observed.observations.schema == TABLES["observations"].arrow_schema
    assert (observed.rows_in, observed.rejections) == (1, ())


@pytest.mark.parametrize(
    ("fault", "rule_id"),
    [
        ({"formula": ""}, "formula.empty"),
        ({"formula": "Fe2(O3"}, "formula.syntax"),
        ({"formula": "GaAs0.1P0.9G1128"}, "formula.unknown_element"),
        ({"formula": "GaAs0.1P0.9Ga1128"}, "formula.amount_out_of_range"),
        ({"formula": "SO4^2-"}, "formula.charged"),
        ({"formula": "Li1-xCoO2"}, "formula.variable_amount"),
        ({"formula": "ZnO:Al"}, "formula.dopant_notation"),
        ({"gap": ""}, "value.missing"),
        ({"gap": " None "}, "value.missing"),
        ({"gap": "ca. 3"}, "value.not_a_number"),
        ({"gap": "3,4"}, "value.not_a_number"),
        ({"gap": "1_000"}, "value.not_a_number"),
        ({"gap": "3.4 eV"}, "value.not_a_number"),
        ({"gap": "nan"}, "value.not_a_number"),
        ({"gap": "inf"}, "value.not_a_number"),
        ({"gap": "1e999"}, "value.not_a_number"),
        ({"T": "0"}, "temperature.not_positive"),
        ({"T": "-5"}, "temperature.not_positive"),
        ({"T": "room"}, "temperature.not_positive"),
        ({"T": "inf"}, "temperature.not_positive"),
        ({"T": "nan"}, "temperature.not_positive"),
        ({"kind": "theory"}, "kind.unknown"),
        ({"kind": ""}, "kind.unknown"),
        ({"conditions": "300 K"}, "conditions.malformed"),
        ({"conditions": "[1]"}, "conditions.malformed"),
        ({"conditions": "null"}, "conditions.malformed"),
        ({"conditions": '{"p": NaN}'}, "conditions.malformed"),
        ({"conditions": '{"p": 1e999}'}, "conditions.malformed"),
        ({"conditions": '{"p": 1' + "0" * 5000 + "}"}, "conditions.malformed"),
        ({"conditions": "[" * 100_000}, "conditions.malformed"),
        ({"conditions": '{"p": "\\ud800"}'}, "conditions.malformed"),
        ({"id": "1"}, "record.duplicate"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:40],
)
def test_a_fault_costs_its_record_and_no_other(fault, rule_id):
    bad = GOOD | {"id": "2"} | fault
    observed = observe(FULL, records(GOOD, bad, GOOD | {"id": "3"}))
    assert refusals(observed) == [("row 2", rule_id)]
    assert accepted(observed, "source_record", "value") == [("row 1", 3.4), ("row 3", 3.4)]
    (rejection,) = observed.rejections
    assert rule_id in RULES
    assert json.loads(rejection.raw) == bad
    assert len(rejection.reason) > 10
    assert rejection.file_sha256 == "f" * 64


def test_the_reason_names_the_text_and_where():
    observed = observe(FULL, records(GOOD | {"gap": "ca. 3"}, GOOD | {"id": "2", "T": "room"}))
    number, temperature = observed.rejections
    assert "'gap'" in number.reason
    assert "'ca. 3'" in number.reason
    assert "'room'" in temperature.reason


def test_a_record_with_several_faults_is_rejected_once():
    observed = observe(
        FULL, records(GOOD | {"formula": "Xx", "gap": "?", "T": "-1", "kind": "", "conditions": "?"}, GOOD)
    )
    assert refusals(observed) == [("row 1", "formula.unknown_element")]


@pytest.mark.parametrize("text", ["3.4", " 3.4 ", "\t3.4\n", "+3.4", "34e-1", "3.40"])
def test_spellings_of_a_number(text):
    assert accepted(observe(contract(), records({"formula": "GaN", "gap": text})), "value", "value_reported") == [
        (3.4, text)
    ]


def test_nothing_is_guessed_to_be_missing():
    """The formula NaN is sodium nitride."""
    observed = observe(contract(), records({"formula": "NaN", "gap": "0"}))
    assert accepted(observed, "material_id", "value") == [("NNa", 0.0)]


@pytest.mark.parametrize(
    ("formula", "material_id"),
    [("Ag0.5Pb1.75GeSe4", "Ag2Ge4Pb7Se16"), ("O3Fe2", "Fe2O3"), ("Fe4O6", "Fe2O3"), ("D2O", "D2O")],
)
def test_material_id_is_the_reduced_formula_and_the_reported_one_is_kept(formula, material_id):
    observed = observe(contract(), records({"formula": formula, "gap": "1"}))
    assert accepted(observed, "material_id", "formula_reported") == [(material_id, formula)]


def test_amounts_up_to_the_contracts_maximum():
    big = records({"formula": "GaN1200", "gap": "1"})
    assert refusals(observe(contract(), big)) == [("row 1", "formula.amount_out_of_range")]
    assert refusals(observe(contract(max_amount=2000), big)) == []


@pytest.mark.parametrize(
    ("unit", "text", "expected"), [("meV", "3400", 3.4), ("J", "1.602176634e-19", 1.0), ("eV", "3.4", 3.4)]
)
def test_units_are_converted_and_the_reported_ones_kept(unit, text, expected):
    observed = observe(contract(values=[GAP | {"unit": unit}]), records({"formula": "GaN", "gap": text}))
    ((value, written, reported, reported_unit),) = accepted(
        observed, "value", "unit", "value_reported", "unit_reported"
    )
    assert value == pytest.approx(expected, rel=1e-12)
    assert (written, reported, reported_unit) == ("eV", text, unit)


def test_a_value_that_overflows_in_its_canonical_unit_stays_for_validation_to_refuse():
    observed = observe(contract(values=[GAP | {"unit": "keV"}]), records({"formula": "GaN", "gap": "1e308"}))
    assert accepted(observed, "value") == [(float("inf"),)]


def test_constants_hold_where_the_record_says_nothing():
    given = contract(
        columns={"formula": "formula", "temperature_k": "T", "conditions": "conditions"},
        constants={"temperature_k": 300, "conditions": {"ray": "o", "doping": 1e18}},
    )
    observed = observe(
        given,
        records(
            {"formula": "GaN", "gap": "3.4", "T": "", "conditions": ""},
            {"formula": "Si", "gap": "1.1", "T": "77", "conditions": '{"ray": "e"}'},
            {"formula": "Ge", "gap": "0.7", "T": " ", "conditions": "  "},
        ),
    )
    found = [(temperature, json.loads(text)) for temperature, text in accepted(observed, "temperature_k", "conditions")]
    assert found == [
        (300.0, {"ray": "o", "doping": 1e18}),
        (77.0, {"ray": "e", "doping": 1e18}),
        (300.0, {"ray": "o", "doping": 1e18}),
    ]


def test_a_temperature_that_is_not_stated_is_null():
    assert accepted(observe(contract(), records({"formula": "GaN", "gap": "3.4"})), "temperature_k") == [(None,)]


def test_a_space_group_after_the_formula_is_a_condition():
    observed = observe(contract(constants={"conditions": {"ray": "o"}}), records({"formula": "AgCNO,65", "gap": "1"}))
    ((material_id, conditions),) = accepted(observed, "material_id", "conditions")
    assert material_id == "AgCNO"
    assert json.loads(conditions) == {"ray": "o", "space_group": 65}


def test_the_citation_stands_in_for_a_missing_reference():
    observed = observe(
        contract(columns={"formula": "formula", "reference": "ref"}),
        records({"formula": "GaN", "gap": "3.4", "ref": "Kim 1999"}, {"formula": "Si", "gap": "1.1", "ref": ""}),
    )
    assert accepted(observed, "reference") == [("Kim 1999",), ("https://doi.org/10.1000/lab",)]
    bare = contract(citation={"bibtex": "@misc{lab}"})
    assert accepted(observe(bare, records({"formula": "GaN", "gap": "3.4"})), "reference") == [("@misc{lab}",)]


def test_the_kind_of_the_record_overrules_the_contracts():
    observed = observe(FULL, records(GOOD, GOOD | {"id": "2", "kind": "computation"}))
    assert accepted(observed, "kind") == [("experiment",), ("computation",)]


class TestSeveralValues:
    given = contract(values=[GAP, INDEX, GAP | {"column": "gap2", "unit": "meV"}])

    def test_each_filled_cell_is_an_observation(self):
        observed = observe(
            self.given,
            records(
                {"formula": "GaN", "gap": "3.4", "n": "2.3", "gap2": "3390"},
                {"formula": "Si", "gap": "", "n": "3.9", "gap2": ""},
            ),
        )
        found = accepted(observed, "source_record", "property", "value", "unit")
        assert sorted(found) == [
            ("row 1", "band_gap", 3.39, "eV"),
            ("row 1", "band_gap", 3.4, "eV"),
            ("row 1", "refractive_index", 2.3, "1"),
            ("row 2", "refractive_index", 3.9, "1"),
        ]
        assert len(set(accepted(observed, "observation_id"))) == 4

    def test_one_wrong_cell_refuses_the_record(self):
        observed = observe(self.given, records({"formula": "GaN", "gap": "3.4", "n": "high", "gap2": ""}))
        assert refusals(observed) == [("row 1", "value.not_a_number")]
        assert observed.observations.num_rows == 0

    def test_a_record_without_any_value(self):
        observed = observe(self.given, records({"formula": "GaN", "gap": "", "n": "", "gap2": ""}))
        assert refusals(observed) == [("row 1", "value.missing")]


class TestDuplicates:
    ROW = {"formula": "GaN", "gap": "3.4"}
    by_id = {"formula": "formula", "record_id": "id"}

    def test_the_whole_record_identifies_it(self):
        observed = observe(contract(), records(self.ROW, self.ROW | {"gap": "3.5"}, self.ROW))
        assert refusals(observed) == [("row 3", "record.duplicate")]
        assert "row 1" in observed.rejections[0].reason

    def test_an_id_identifies_it(self):
        rows = [self.ROW | {"id": i, "gap": gap} for i, gap in [("a", "3.4"), ("b", "3.4"), ("a", "3.5")]]
        observed = observe(contract(columns=self.by_id), records(*rows))
        assert refusals(observed) == [("row 3", "record.duplicate")]
        assert "'a'" in observed.rejections[0].reason

    def test_a_refused_record_does_not_shadow_its_mended_repetition(self):
        rows = [self.ROW | {"id": "a", "gap": "?"}, self.ROW | {"id": "a"}]
        observed = observe(contract(columns=self.by_id), records(*rows))
        assert refusals(observed) == [("row 1", "value.not_a_number")]
        assert accepted(observed, "source_record") == [("row 2",)]

    @pytest.mark.parametrize("columns", [{"formula": "formula"}, by_id])
    def test_independent_replicates_are_kept(self, columns):
        row = self.ROW | {"id": "a"}
        observed = observe(contract(columns=columns, replicates="keep"), records(row, row, row))
        assert observed.rejections == ()
        assert len(set(accepted(observed, "observation_id"))) == 3


class TestIdentity:
    @staticmethod
    def ids(observed: Observed, column: str = "observation_id") -> dict[str, str]:
        return dict(accepted(observed, "formula_reported", column))

    def test_with_an_id_the_observation_survives_a_change_of_its_value(self):
        given = contract(columns={"formula": "formula", "record_id": "id"})
        old, new = ({"formula": "GaN", "gap": gap, "id": "a"} for gap in ("3.4", "3.5"))
        before, after = observe(given, records(old)), observe(given, records(new))
        assert self.ids(before) == self.ids(after)
        assert self.ids(before, "record_hash") != self.ids(after, "record_hash")

    def test_neither_order_nor_position_nor_file_matters(self):
        rows = [{"formula": "GaN", "gap": "3.4"}, {"formula": "Si", "gap": "1.1"}]
        before, after = (
            observe(contract(), records(*rows)),
            observe(contract(), records({"formula": "?", "gap": ""}, *rows[::-1])),
        )
        assert self.ids(before) == self.ids(after)
        assert self.ids(before, "record_hash") == self.ids(after, "record_hash")

    def test_two_sources_share_no_observation(self):
        row = records({"formula": "GaN", "gap": "3.4"})
        assert self.ids(observe(contract(), row)) != self.ids(observe(contract(source="other"), row))

    @pytest.mark.parametrize(
        "change", [{"method": "other"}, {"constants": {"temperature_k": 4}}, {"kind": "computation"}]
    )
    def test_what_the_contract_says_is_part_of_the_content(self, change):
        row = records({"formula": "GaN", "gap": "3.4"})
        assert self.ids(observe(contract(), row), "record_hash") != self.ids(
            observe(contract(**change), row), "record_hash"
        )


@pytest.mark.parametrize(
    ("fields", "absent"),
    [
        ({"columns": {"formula": "compound"}}, "'compound'"),
        ({"columns": {"formula": "formula", "record_id": "id"}}, "'id'"),
        ({"values": [GAP, INDEX]}, "'n'"),
    ],
)
def test_a_missing_column_is_named_beside_those_that_are_there(fields, absent):
    with pytest.raises(ReadError, match=rf"source lab.*{absent}.*'formula', 'gap'"):
        observe(contract(**fields), records({"formula": "GaN", "gap": "3.4"}))


def test_what_the_reader_refused_counts():
    unreadable = Rejection("row 9", "record.malformed", "row 9 has 3 cells instead of 2", "{}", "f" * 64)
    observed = observe(contract(), records({"formula": "GaN", "gap": "3.4"}, rejections=[unreadable]))
    assert observed.rows_in == 2
    assert observed.rejections == (unreadable,)


def test_no_records_at_all():
    observed = observe(contract(), records())
    assert (observed.rows_in, observed.observations.num_rows, observed.rejections) == (0, 0, ())


def test_quarantine_moves_the_whole_record():
    raw = records({"formula": "GaN", "gap": "3.4", "n": "99"}, {"formula": "Si", "gap": "1.1", "n": "3.9"})
    observed = observe(contract(values=[GAP, INDEX]), raw)
    moved = quarantine(observed, raw, {"row 1": ("value.out_of_bounds", "n is 99")})
    assert refusals(moved) == [("row 1", "value.out_of_bounds")]
    assert moved.rejections[0].raw == raw.table["raw"][0].as_py()
    assert {record for (record,) in accepted(moved, "source_record")} == {"row 2"}
    assert moved.rows_in == 2
    assert quarantine(observed, raw, {}) is observed


CELLS = st.one_of(
    st.sampled_from(
        ["", "None", "nan", "inf", "-1", "0", "3.4", "1e308", "1e999", "ca. 3", "experiment", "computation", "300"]
    ),
    st.text(max_size=8),
)
FORMULAS = st.one_of(
    st.sampled_from(["GaN", "NaN", "AgCNO,65", "Fe2O3", "Xx", "", "(", "Li1-xCoO2", "GaN2000"]), st.text(max_size=8)
)
CONDITIONS = st.one_of(
    st.sampled_from(["", "{}", '{"a": 1}', "[]", "{", '{"a": NaN}', '{"a": "\\ud800"}']), st.text(max_size=8)
)
TABLE = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from("abc"),
            "formula": FORMULAS,
            "gap": CELLS,
            "n": CELLS,
            "T": CELLS,
            "kind": CELLS,
            "conditions": CONDITIONS,
            "ref": CELLS,
        }
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(rows=TABLE, identified=st.booleans(), keep=st.booleans())
def test_whatever_the_table_each_record_is_accepted_or_rejected(rows, identified, keep):
    columns = FULL.columns.model_dump() | {"record_id": "id" if identified else None}
    given = contract(
        columns=columns,
        values=[GAP | {"unit": "keV"}, INDEX],
        missing=["", "None"],
        replicates="keep" if keep else "reject",
    )
    empty = dict.fromkeys(["id", "formula", "gap", "n", "T", "kind", "conditions", "ref"], "")
    raw = records(*rows) if rows else RawRecords(records(empty).table.slice(0, 0), ())
    observed = observe(given, raw)
    refused = [rejection.source_record for rejection in observed.rejections]
    kept = {record for (record,) in accepted(observed, "source_record")}
    assert observed.rows_in == len(rows) == len(refused) + len(kept)
    assert kept.isdisjoint(refused)
    assert {f"row {i}" for i in range(1, len(rows) + 1)} == kept | set(refused)
    ids = accepted(observed, "observation_id")
    assert len(set(ids)) == len(ids)
    assert {rejection.rule_id for rejection in observed.rejections} <= set(RULES)


def test_true_is_a_value_only_of_what_is_a_matter_of_yes_and_no() -> None:
    metal = {"column": "metal", "property": "is_metal", "unit": "1"}
    row = {"formula": "Si", "gap": "1.1", "metal": "False"}
    observed = observe(contract(values=[GAP, metal]), records(row, row | {"formula": "Ag", "gap": "TRUE"}))
    assert accepted(observed, "property", "value") == [("band_gap", 1.1), ("is_metal", 0.0)]
    assert refusals(observed) == [("row 2", "value.not_a_number")]
