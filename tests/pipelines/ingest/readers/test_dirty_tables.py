"""Tables in which every rule is broken on purpose: each bad row is refused by its rule, each good one is kept."""

from __future__ import annotations

import csv
import io
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.refresh import examine
from matstrata.schemas.contracts import Contract, load_contract
from matstrata.schemas.rules import RULES
from tests.pipelines.entities.structures.crystals import NACL, RUTILE, cif

pytest.importorskip("rdkit", reason="needs RDKit: 'make extras'")

Row = Mapping[str, str]
Fault = Callable[[dict[str, str]], str | bytes | dict[str, str]]

CONTRACT = """
source: dirty
title: Dirty
description: A table in which every rule is broken
kind: experiment
method: imagined
licence: CC0-1.0
citation: {bibtex: "@misc{dirty}"}
files: [{path: dirty.csv}]
reader: delimited
columns: {COLUMNS, record_id: id, temperature_k: T, conditions: conditions, kind: kind}
values: [{column: gap, property: band_gap, unit: eV}]
missing: ["", "n/a"]
"""


def change(**cells: str) -> Fault:
    """The fault of a row that holds these cells."""
    return lambda row: row | cells


def line(row: Row) -> str:
    """The row as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row.values())
    return text.getvalue().removesuffix("\n")


def overlapping() -> Structure:
    return Structure(Lattice.cubic(5), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.01]])


def open_quote(row: Row) -> str:
    """Where cells hold several lines, nobody can tell where such a row ends: planted in tables of single lines only."""
    return f'{row["id"]},"never closed,300'


CIF, RUTILE_CIF = cif(NACL), cif(RUTILE)
XYZ = "2\nNaCl\nNa 0.0 0.0 0.0\nCl 0.0 0.0 2.4\n"

# What can be wrong in any table; the first cell of a row is its id, so an open quote or a bad byte lies behind it.
ANYWHERE: list[tuple[str, Fault]] = [
    ("value.not_a_number", change(gap="ca. 3")),
    ("value.not_a_number", change(gap="3,4")),
    ("value.not_a_number", change(gap="nan")),
    ("value.not_a_number", change(gap="1e999")),
    ("value.out_of_bounds", change(gap="-3")),
    ("value.out_of_bounds", change(gap="3400")),
    ("temperature.not_positive", change(T="-5")),
    ("temperature.not_positive", change(T="room")),
    ("kind.unknown", change(kind="theory")),
    ("kind.unknown", change(kind="")),
    ("conditions.malformed", change(conditions="300 K")),
    ("conditions.malformed", change(conditions='{"p": NaN}')),
    ("conditions.malformed", change(conditions="[" * 2000)),
    ("record.duplicate", change(id="first")),
    ("record.malformed", lambda row: line(row) + ",one too many"),
    ("record.malformed", lambda row: f"{row['id']},3.4"),
    ("record.malformed", open_quote),
    ("record.undecodable", lambda row: line(row | {"gap": "3.4@"}).encode().replace(b"@", b"\xb0")),
]
FORMULAS: list[tuple[str, Fault]] = [
    ("formula.empty", change(formula="  ")),
    ("formula.syntax", change(formula="Fe2(O3")),
    ("formula.unknown_element", change(formula="GaAs0.1P0.9G1128")),
    ("formula.amount_out_of_range", change(formula="GaAs0.1P0.9Ga1128")),
    ("formula.charged", change(formula="SO4^2-")),
    ("formula.variable_amount", change(formula="Li1-xCoO2")),
    ("formula.dopant_notation", change(formula="ZnO:Al")),
    ("value.missing", change(gap="")),
    ("value.missing", change(gap=" n/a ")),
]
MOLECULES: list[tuple[str, Fault]] = [
    ("smiles.syntax", change(smiles="C1CC")),
    ("smiles.syntax", change(smiles="C(C)(C)(C)(C)C")),
    ("smiles.syntax", change(smiles="")),
    ("composition.contradiction", change(formula="CH4")),
    ("formula.charged", change(smiles="[NH4+]")),
    ("value.missing", change(gap="n/a")),
]
STRUCTURES: list[tuple[str, Fault]] = [
    ("composition.contradiction", change(formula="KCl")),
    ("formula.unknown_element", change(formula="Qq")),
    ("structure.unreadable", change(structure="see the paper")),
    ("structure.unreadable", change(structure='{"lattice": 1}')),
    ("structure.empty", change(structure="")),
    ("structure.overlapping_sites", change(structure=cif(overlapping()))),
    ("structure.occupancy", change(structure=CIF.replace("  1\n", "  1.7\n").replace("  1.0\n", "  1.7\n"))),
    ("structure.not_periodic", change(structure=XYZ)),
]
COMMON = {"gap": "3.4", "T": "300", "conditions": '{"ray": "o"}', "kind": "experiment"}
KINDS: Mapping[str, tuple[str, list[tuple[str, Fault]], Sequence[Row]]] = {
    "formulas": (
        "formula: formula",
        FORMULAS,
        [{"formula": f, **COMMON} for f in ("GaN", "NaN", "Ag0.5Pb1.75GeSe4", "AgCNO,65", "CuSO4.5H2O")],
    ),
    "molecules": (
        "formula: formula, smiles: smiles",
        MOLECULES,
        [
            {"formula": f, "smiles": s, **COMMON}
            for f, s in (("C2H6O", "OCC"), ("D2O", "[2H]O[2H]"), ("C6H6", "c1ccccc1"))
        ],
    ),
    "structures": (
        "formula: formula, structure: structure",
        STRUCTURES,
        [{"formula": f, "structure": s, **COMMON} for f, s in (("NaCl", CIF), ("TiO2", RUTILE_CIF))],
    ),
}
UNUSUAL = [
    {}, {"gap": "0"}, {"gap": " +1e-1 "}, {"T": ""}, {"conditions": ""}, {"kind": "computation"}, {"T": "4.2"},
    {"conditions": '{"note": "with \\"quotes\\""}'},
]  # fmt: skip
# a table holds no spectra; and what orders records is planted in test_rules_raised and test_times
BY_OTHERS = {rule for rule in RULES if rule.startswith(("optics.", "order."))}


def test_every_rule_is_planted() -> None:
    planted = {rule for _, faults, _ in KINDS.values() for rule, _ in [*ANYWHERE, *faults]}
    assert planted == set(RULES) - BY_OTHERS


def contract_of(folder: Path, columns: str) -> Contract:
    (folder / "dirty.yaml").write_text(CONTRACT.replace("COLUMNS", columns))
    return load_contract(folder / "dirty.yaml")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])  # shrinking takes minutes
@given(seed=st.integers(0, 2**32))
def test_each_bad_row_is_refused_by_its_rule_and_each_good_one_kept(kind: str, seed: int) -> None:
    columns, own, good_rows = KINDS[kind]
    faults = [(rule, spoil) for rule, spoil in [*ANYWHERE, *own] if kind != "structures" or spoil is not open_quote]
    n_good = 20 if kind == "structures" else 120
    chance = random.Random(seed)
    plan: list[tuple[str, Fault] | None] = [*[None] * n_good, *faults, *chance.choices(faults, k=40)]
    chance.shuffle(plan)
    lines: list[bytes] = []
    expected: dict[str, str] = {}
    kept: set[str] = set()
    for number, planted in enumerate([None, *plan], start=1):
        unusual = chance.choice(UNUSUAL if planted is None else UNUSUAL[:-1])  # a bad row of two lines would be two
        row = {"id": "first" if number == 1 else f"s{number}", **chance.choice(good_rows), **unusual}
        row = {name: row[name] for name in ("id", *good_rows[0])}  # in the order of the header
        if planted is None:
            kept.add(f"row {number}")
            lines.append(line(row).encode())
        else:
            rule_id, spoil = planted
            if rule_id == "record.malformed" and "structure" in row:
                row["structure"] = "one line"
            expected[f"row {number}"] = rule_id
            spoilt = spoil(row)
            text = line(spoilt) if isinstance(spoilt, dict) else spoilt
            lines.append(text if isinstance(text, bytes) else text.encode())
    header = ",".join(["id", *good_rows[0]]).encode()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dirty.csv").write_bytes(b"\n".join([header, *lines, b""]))
        contract = contract_of(Path(folder), columns)
        observed, _ = examine(contract, locate(contract.files, cache=Path(folder) / "cache", mirrors=()))

    refused = {rejection.source_record: rejection.rule_id for rejection in observed.rejections}
    assert refused == expected
    assert set(observed.observations["source_record"].to_pylist()) == kept
    assert observed.rows_in == len(lines) == len(observed.rejections) + len(kept)
    assert all(len(rejection.reason) > 10 for rejection in observed.rejections)
    if kind == "structures":
        assert set(observed.structures["source_record"].to_pylist()) == kept
