"""What a record is about: one composition, and a name for its structure or molecule; contradictions are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pymatgen.core.structure import Structure

from matstrata.pipelines.ingest.identity import Identified, identify
from matstrata.schemas.contracts import Contract
from matstrata.schemas.tables import TABLES
from tests.pipelines.entities.structures.crystals import NACL, RUTILE, cif

NACL_CIF, RUTILE_CIF = cif(NACL), cif(RUTILE)
MIXED = Structure(NACL.lattice, [{"Na": 0.7, "K": 0.3}] * 4 + ["Cl"] * 4, NACL.frac_coords)
MIXED_CIF = cif(MIXED)


def contract(source: str = "lab", **columns: str) -> Contract:
    return Contract.model_validate(
        {
            "source": source,
            "title": "Lab",
            "description": "What the lab has",
            "kind": "experiment",
            "method": "any",
            "licence": "CC0-1.0",
            "citation": {"bibtex": "@misc{lab}"},
            "files": [{"path": Path("lab.csv")}],
            "reader": "delimited",
            "columns": columns,
            "values": [{"column": "gap", "property": "band_gap", "unit": "eV"}],
        }
    )


def found(columns: Mapping[str, Sequence[str]], source: str = "lab") -> tuple[Identified, dict[int, tuple[str, str]]]:
    """What records of these columns are about, and which were refused; each column is named for its role."""
    refused: dict[int, tuple[str, str]] = {}
    table = pa.table({role: pa.chunked_array([pa.array(cells, pa.string())]) for role, cells in columns.items()})
    told = identify(
        contract(source, **{role: role for role in columns}),
        table,
        lambda row, rule, reason: refused.setdefault(row, (rule, reason)) and None,
    )
    return told, refused


def rules(refused: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    return {row: rule for row, (rule, _) in refused.items()}


def test_beside_decimal_commas_a_formula_has_them_too():
    table = pa.table({"formula": pa.chunked_array([pa.array(["Cu1,8S", "Bi2Te2,7", "Cu1.8S"])])})
    commas = contract(formula="formula").model_copy(update={"decimal": ","})
    told = identify(commas, table, lambda *refused: pytest.fail(str(refused)))
    assert told.material_ids.to_pylist() == ["Cu9S5", "Bi20Te27", "Cu9S5"]
    assert told.formulas.to_pylist() == ["Cu1,8S", "Bi2Te2,7", "Cu1.8S"]
    assert told.space_groups.null_count == 3


def test_a_formula_names_a_composition_and_no_entity():
    told, refused = found({"formula": ["O3Fe2", "AgCNO,65", "GaN"]})
    assert told.material_ids.to_pylist() == ["Fe2O3", "AgCNO", "GaN"]
    assert told.formulas.to_pylist() == ["O3Fe2", "AgCNO,65", "GaN"]
    assert told.space_groups.to_pylist() == [None, 65, None]
    assert told.entity_ids.to_pylist() == [None] * 3
    assert told.assumed.to_pylist() == [False] * 3
    assert refused == {}


def test_a_formula_that_is_none_is_refused_wherever_it_stands():
    told, refused = found({"formula": ["Xx", "GaN", "Xx", ""]})
    assert rules(refused) == {0: "formula.unknown_element", 2: "formula.unknown_element", 3: "formula.empty"}
    assert told.material_ids.to_pylist() == [None, "GaN", None, None]


class TestStructures:
    def test_the_structure_gives_the_composition(self):
        told, refused = found({"structure": [NACL_CIF, RUTILE_CIF]})
        assert refused == {}
        assert told.material_ids.to_pylist() == ["ClNa", "O2Ti"]
        assert told.formulas.to_pylist() == [told.parsed[0].formula, told.parsed[1].formula]

    def test_each_structure_has_a_name_of_its_own_that_its_content_gives(self):
        one, _ = found({"structure": [NACL_CIF, RUTILE_CIF, NACL_CIF, NACL_CIF]})
        first, other, second, third = one.entity_ids.to_pylist()
        assert len({first, other, second, third}) == 4
        assert (second, third) == (f"{first}-2", f"{first}-3")
        moved, _ = found({"structure": [RUTILE_CIF, NACL_CIF]})
        assert moved.entity_ids.to_pylist() == [other, first]

    def test_the_same_structure_in_another_source_has_another_name(self):
        here, there = (found({"structure": [NACL_CIF]}, source)[0].entity_ids[0].as_py() for source in ("a", "b"))
        assert here != there

    def test_a_structure_that_is_none_is_refused_with_its_rule(self):
        told, refused = found({"structure": ["", "no structure", NACL_CIF]})
        assert rules(refused) == {0: "structure.empty", 1: "structure.unreadable"}
        assert told.entity_ids.to_pylist()[:2] == [None, None]
        assert told.material_ids.to_pylist() == [None, None, "ClNa"]

    def test_a_formula_beside_it_is_kept_as_reported(self):
        told, refused = found({"formula": ["Na4Cl4"], "structure": [NACL_CIF]})
        assert refused == {}
        assert (told.formulas[0].as_py(), told.material_ids[0].as_py()) == ("Na4Cl4", "ClNa")

    def test_a_formula_of_something_else_is_refused_and_both_are_named(self):
        _, refused = found({"formula": ["KCl", "NaCl"], "structure": [NACL_CIF, NACL_CIF]})
        assert rules(refused) == {0: "composition.contradiction"}
        for word in ("'KCl'", "ClK", "ClNa"):
            assert word in refused[0][1]

    def test_occupancies_are_rounded_so_a_disordered_structure_contradicts_nothing(self):
        told, refused = found({"formula": ["Na2KCl3"], "structure": [MIXED_CIF]})
        assert refused == {}
        assert told.material_ids.to_pylist() == ["Cl3KNa2"]  # as stated

    def test_their_rows(self):
        told, _ = found({"structure": [NACL_CIF, "none", RUTILE_CIF, MIXED_CIF]})
        records = pa.chunked_array([["row 1", "row 2", "row 3", "row 4"]])
        table = told.structures("lab", np.array([0, 2, 3]), records)
        assert table.schema == TABLES["structures"].arrow_schema
        rows = table.to_pylist()
        assert [row["source_record"] for row in rows] == ["row 1", "row 3", "row 4"]
        assert [row["material_id"] for row in rows][:2] == ["ClNa", "O2Ti"]
        assert [row["space_group"] for row in rows][:2] == [225, 136]
        assert [row["ordered"] for row in rows] == [True, True, False]
        assert rows[0]["lattice_a"] == pytest.approx(NACL.lattice.a)
        assert rows[0]["volume_per_atom"] == pytest.approx(NACL.volume / 8)
        assert {row["structure_group"] for row in rows} == {None}
        assert [row["structure_id"] for row in rows] == [told.entity_ids[i].as_py() for i in (0, 2, 3)]

    def test_there_are_no_rows_without_structures(self):
        told, _ = found({"formula": ["GaN"]})
        assert told.structures("lab", np.array([0]), pa.chunked_array([["row 1"]])).num_rows == 0


class TestMolecules:
    @pytest.fixture(autouse=True)
    def _rdkit(self):
        pytest.importorskip("rdkit", reason="needs RDKit: 'make extras'")

    def test_the_molecule_gives_composition_and_name(self):
        told, refused = found({"smiles": ["OCC", "[H]OCC", "COC"]})
        assert refused == {}
        assert told.material_ids.to_pylist() == ["C2H6O"] * 3
        assert told.molecules == ["CCO", "CCO", "COC"]
        one, same, other = told.entity_ids.to_pylist()
        assert one == same == "LFQSCWFLJHTTHZ-UHFFFAOYSA-N" != other

    def test_what_is_no_molecule_is_refused(self):
        told, refused = found({"smiles": ["C1CC", "", "CCO", "[NH4+]"]})
        assert rules(refused) == {0: "smiles.syntax", 1: "smiles.syntax", 3: "formula.charged"}
        assert "C1CC" in refused[0][1]
        assert told.material_ids.to_pylist() == [None, None, "C2H6O", None]

    def test_a_formula_of_something_else_is_refused(self):
        _, refused = found({"formula": ["C2H6O", "CH4", "D2O"], "smiles": ["CCO", "CCO", "[2H]O[2H]"]})
        assert rules(refused) == {1: "composition.contradiction"}
