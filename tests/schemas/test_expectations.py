"""The suites say what the contract and the vocabulary say, and every rule in them is documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from matstrata.schemas.contracts import Citation, Columns, Contract, FileLocation, ValueColumn
from matstrata.schemas.expectations import header_suite, rows_suite
from matstrata.schemas.properties import get_property
from matstrata.schemas.rules import RULES, TABLE_RULES
from matstrata.schemas.tables import TABLES


@pytest.fixture
def contract() -> Contract:
    return Contract(
        source="gaps",
        title="Gaps",
        description="Gaps",
        kind="experiment",
        method="optical",
        licence="CC0-1.0",
        citation=Citation(bibtex="@misc{gaps}"),
        files=(FileLocation(path=Path("gaps.csv")),),
        reader="delimited",
        columns=Columns(formula="formula"),
        values=(
            ValueColumn(column="Eg", property="band_gap", unit="eV"),
            ValueColumn(column="n", property="refractive_index", unit="1"),
        ),
    )


MANY = {"band_gap": 100, "refractive_index": 100}


def test_bounds_are_those_of_the_vocabulary(contract: Contract) -> None:
    bounds = {
        e.meta["property"]: (e.min_value, e.max_value)
        for e in rows_suite(contract, MANY).expectations
        if e.meta["rule_id"] == "value.out_of_bounds"
    }
    declared = {name: get_property(name) for name in ("band_gap", "refractive_index")}
    assert bounds == {name: (prop.lower, prop.upper) for name, prop in declared.items()}


def test_every_expectation_carries_a_documented_rule_and_a_severity(contract: Contract) -> None:
    expectations = [*header_suite().expectations, *rows_suite(contract, MANY, (10, {"band_gap": (1, 2)})).expectations]
    used = {e.meta["rule_id"] for e in expectations}
    assert used <= {*RULES, *TABLE_RULES}
    assert set(TABLE_RULES) <= used
    warnings = {e.meta["rule_id"] for e in expectations if e.severity == "warning"}
    assert warnings == {"table.every_property"}
    assert {e.severity for e in expectations} == {"critical", "warning"}


def test_no_table_rule_takes_the_id_of_a_row_rule() -> None:
    assert not set(RULES) & set(TABLE_RULES)


def test_every_column_looked_at_is_one_of_the_table(contract: Contract) -> None:
    looked_at = {e.column for e in rows_suite(contract, MANY).expectations if hasattr(e, "column")}
    assert looked_at < set(TABLES["observations"].column_names)


def test_importing_the_module_does_not_import_great_expectations() -> None:
    command = "import sys, matstrata.schemas.expectations; print('great_expectations' in sys.modules, 'pandas' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["False", "False"]


def test_importing_great_expectations_leaves_the_warning_filters_alone() -> None:
    command = (
        "import warnings; from matstrata.schemas.expectations import great_expectations; before = list(warnings.filters);"
        "great_expectations(); print(warnings.filters == before)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=False, cwd=root
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")
