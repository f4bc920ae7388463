"""Each rule by which a record is refused or flagged is broken by its smallest example."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.observations import observe
from matstrata.pipelines.ingest.readers import get_reader
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.validating.validation import validate
from matstrata.schemas.contracts import Contract
from matstrata.schemas.rules import RULES, WARNINGS

COLUMNS = ("formula", "smiles", "structure", "gap", "temperature", "kind", "conditions")
SOUND = {"formula": "GaN", "gap": "3.4", "temperature": "300", "kind": "experiment", "conditions": "{}"}
ROLES = {"temperature_k": "temperature", "kind": "kind", "conditions": "conditions"}


def poscar(second_site: str = "0.5 0.5 0.5", counts: str = "1 1") -> str:
    return f"NaCl\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n{counts}\nDirect\n0 0 0\n{second_site}\n"


SHARED_SITE = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Y1 Y 0 0 0 {first}
Ca1 Ca 0 0 0 {second}
"""

# rule -> the cells that break it, and the column by which a material is known
CELLS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "formula.empty": ({"formula": ""}, "formula"),
    "formula.syntax": ({"formula": "Fe2(O3"}, "formula"),
    "formula.unknown_element": ({"formula": "GaAs0.1P0.9G1128"}, "formula"),
    "formula.amount_out_of_range": ({"formula": "GaAs0.1P0.9Ga1128"}, "formula"),
    "formula.charged": ({"formula": "SO4^2-"}, "formula"),
    "formula.variable_amount": ({"formula": "Li1-xCoO2"}, "formula"),
    "formula.dopant_notation": ({"formula": "ZnO:Al"}, "formula"),
    "formula.suffix": ({"formula": "AgCNO,65"}, "formula"),
    "smiles.syntax": ({"smiles": "C1CC"}, "smiles"),
    "composition.contradiction": ({"formula": "KCl", "structure": poscar()}, "formula and structure"),
    "structure.unreadable": ({"structure": "Na and Cl"}, "structure"),
    "structure.empty": ({"structure": ""}, "structure"),
    "structure.overlapping_sites": ({"structure": poscar("0 0 0.01")}, "structure"),
    "structure.occupancy": ({"structure": SHARED_SITE.format(first=0.9, second=0.7)}, "structure"),
    "structure.assumed": ({"structure": SHARED_SITE.format(first=0.6, second=0.42)}, "structure"),
    "structure.not_periodic": ({"structure": "2\nwater\nO 0 0 0\nH 0 0 1\n"}, "structure"),
    "value.missing": ({"gap": ""}, "formula"),
    "value.not_a_number": ({"gap": "ca. 3"}, "formula"),
    "value.out_of_bounds": ({"gap": "-3"}, "formula"),
    "value.zero_class": ({"gap": "0"}, "formula"),
    "temperature.not_positive": ({"temperature": "-5"}, "formula"),
    "kind.unknown": ({"kind": "theory"}, "formula"),
    "conditions.malformed": ({"conditions": "300 K"}, "formula"),
}
LINES: Mapping[str, bytes] = {
    "record.duplicate": b"GaN,3.4\nGaN,3.4\n",
    "record.malformed": b"GaN,3.4,5\n",
    "record.undecodable": b"GaN,3\xb74\n",
}
TIMES: Mapping[str, bytes] = {
    "order.unreadable": b"GaN,3.4,03/04/2020\n",
    "order.undecided": b"GaN,3.4,2020\nGaN,3.5,2020-05-31\n",
}
TABLE = "DATA:\n  - type: tabulated {kind}\n    data: |\n        {start} 1.5\n        {end} 1.6\n"
OPTICS: Mapping[str, str] = {
    "optics.out_of_range": TABLE.format(kind="n", start="5.0", end="9.0"),
    "optics.only_extinction": TABLE.format(kind="k", start="0.4", end="0.8"),
    "optics.unknown_form": "DATA:\n  - type: formula 12\n    wavelength_range: 0.4 0.8\n    coefficients: 0 1\n",
}


def contract(reader: str, columns: Mapping[str, str], value: str, **fields: object) -> Contract:
    return Contract.model_validate(
        {
            "source": "lab",
            "title": "Gaps of the lab",
            "description": "One record.",
            "kind": "experiment",
            "method": "absorption",
            "licence": "CC0-1.0",
            "citation": {"bibtex": "@misc{lab}"},
            "files": [{"path": "lab.csv"}],
            "reader": reader,
            "columns": columns,
            "values": [{"column": value, "property": "band_gap", "unit": "eV"}],
            **fields,
        }
    )


def rules_broken(path: Path, described: Contract) -> set[str]:
    raw = get_reader(described.reader).read([SourceFile(path.name, path, "0" * 64)], described.options)
    observed = observe(described, raw)
    rules = {rejection.rule_id for rejection in observed.rejections}
    rules |= {flag for flags in observed.observations["flags"].to_pylist() for flag in flags}
    if observed.observations.num_rows and not rules:
        rules = {rule_id for rule_id, _ in validate(observed.observations, described).quarantined.values()}
    return rules


def test_every_rule_has_an_example() -> None:
    assert sorted([*CELLS, *LINES, *TIMES, *OPTICS]) == sorted([*RULES, *WARNINGS])


@pytest.mark.parametrize("rule_id", CELLS)
def test_a_cell_breaks_the_rule(rule_id: str, tmp_path: Path) -> None:
    cells, known_by = CELLS[rule_id]
    if known_by == "smiles":
        pytest.importorskip("rdkit")
    row = {**SOUND, **cells}
    quoted = ",".join('"' + row.get(column, "").replace('"', '""') + '"' for column in COLUMNS)
    (tmp_path / "lab.csv").write_text(f"{','.join(COLUMNS)}\n{quoted}\n", encoding="utf-8")
    identity = {column: column for column in known_by.split(" and ")}
    assert rules_broken(tmp_path / "lab.csv", contract("delimited", identity | ROLES, "gap")) == {rule_id}


@pytest.mark.parametrize("rule_id", LINES)
def test_a_line_breaks_the_rule(rule_id: str, tmp_path: Path) -> None:
    (tmp_path / "lab.csv").write_bytes(b"formula,gap\n" + LINES[rule_id])
    assert rules_broken(tmp_path / "lab.csv", contract("delimited", {"formula": "formula"}, "gap")) == {rule_id}


@pytest.mark.parametrize("rule_id", TIMES)
def test_a_time_breaks_the_rule(rule_id: str, tmp_path: Path) -> None:
    (tmp_path / "lab.csv").write_bytes(b"formula,gap,when\n" + TIMES[rule_id])
    reconcile = {"policy": "newest", "by": "when"}
    described = contract("delimited", {"formula": "formula"}, "gap", reconcile=reconcile)
    assert rules_broken(tmp_path / "lab.csv", described) == {rule_id}


@pytest.mark.parametrize("rule_id", OPTICS)
def test_a_file_of_the_optical_database_breaks_the_rule(rule_id: str, tmp_path: Path) -> None:
    content = OPTICS[rule_id].encode()
    with tarfile.open(tmp_path / "lab.tar", "w") as archive:
        entry = tarfile.TarInfo("database/SiO2/Choi.yml")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    described = contract("refractiveindex_info", {"formula": "formula"}, "n", options={"wavelength_um": 0.5893})
    assert rules_broken(tmp_path / "lab.tar", described) == {rule_id}
