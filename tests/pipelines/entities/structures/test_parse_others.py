"""pymatgen's JSON, OPTIMADE, POSCAR and XYZ."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pymatgen.core.structure import Molecule, Structure
from pymatgen.io.vasp.inputs import Poscar

from matstrata.pipelines.entities.structures.parse import ParsedStructure, StructureError, parse_structure
from tests.pipelines.entities.structures.crystals import CRYSTALS, NACL, RUTILE

OPTIMADE: dict[str, Any] = {
    "nperiodic_dimensions": 3,
    "dimension_types": [1, 1, 1],
    "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 1, 4]],
    "cartesian_site_positions": [[0, 0, 0], [2, 2.5, 2]],
    "species": [
        {"name": "A", "chemical_symbols": ["Na"], "concentration": [1.0]},
        {"name": "B", "chemical_symbols": ["Cl", "Br", "vacancy"], "concentration": [0.5, 0.25, 0.25]},
    ],
    "species_at_sites": ["A", "B"],
}


def optimade(**changes: Any) -> str:
    return json.dumps({"id": "1", "type": "structures", "attributes": {**OPTIMADE, **changes}})


def refused(text: str) -> StructureError:
    with pytest.raises(StructureError) as caught:
        parse_structure(text)
    return caught.value


def same(found: ParsedStructure, expected: Structure) -> bool:
    return found.to_cif() == parse_structure(json.dumps(expected.as_dict())).to_cif()


@pytest.mark.parametrize("structure", CRYSTALS, ids=lambda s: s.formula)
def test_pymatgen_json_is_read_as_pymatgen_reads_it(structure: Structure) -> None:
    found = parse_structure(json.dumps(structure.as_dict()))
    assert found.lattice == pytest.approx(structure.lattice.parameters)
    assert found.density == pytest.approx(structure.density)
    assert found.n_sites == len(structure)


def test_oxidation_states_and_entries_are_read() -> None:
    charged = NACL.copy()
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    assert same(parse_structure(json.dumps({"energy": -1.0, "structure": charged.as_dict()})), NACL)


def test_a_molecule_is_not_periodic() -> None:
    text = json.dumps(Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]]).as_dict())
    assert refused(text).rule_id == "structure.not_periodic"
    assert refused("2\nhydrogen\nH 0.0 0.0 0.0\nH 0.0 0.0 0.74\n").rule_id == "structure.not_periodic"


def test_optimade_mixes_and_vacancies_are_read() -> None:
    found = parse_structure(optimade(chemical_formula_reduced="BrCl2Na4"))
    assert found.formula == "BrCl2Na4"
    assert not found.ordered
    assert found.volume_per_atom == pytest.approx(64 / 1.75)
    assert found.frac_coords == pytest.approx(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    assert found.notes == ()


def test_optimade_vacant_sites_are_left_out_and_noted() -> None:
    species = [OPTIMADE["species"][0], {"name": "B", "chemical_symbols": ["vacancy"], "concentration": [1.0]}]
    found = parse_structure(optimade(species=species))
    assert found.formula == "Na"
    assert any("vacant" in note for note in found.notes)


def test_optimade_assemblies_give_occupancies() -> None:
    species = [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in ("Si", "Ge")]
    found = parse_structure(
        optimade(
            species=species,
            species_at_sites=["Si", "Ge"],
            cartesian_site_positions=[[0, 0, 0], [0, 0, 0]],
            assemblies=[{"sites_in_groups": [[0], [1]], "group_probabilities": [0.3, 0.7]}],
        )
    )
    assert found.species == ((("Ge", 0.7), ("Si", 0.3)),)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"nperiodic_dimensions": 2}, "not_periodic"),
        ({"dimension_types": [1, 1, 0]}, "not_periodic"),
        ({"lattice_vectors": [[4, 0, 0], None, [0, 1, 4]]}, "not_periodic"),
        ({"lattice_vectors": [[4, 0, 0], [8, 0, 0], [0, 1, 4]]}, "unreadable"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 1, 10**400]]}, "unreadable"),
        ({"lattice_vectors": None}, "unreadable"),
        ({"species_at_sites": ["A"]}, "unreadable"),
        ({"species_at_sites": ["A", "C"]}, "unreadable"),
        ({"species": [{"name": "A", "chemical_symbols": ["X"], "concentration": [1.0]}]}, "unreadable"),
        ({"species": None}, "unreadable"),
        ({"cartesian_site_positions": [[0, 0, 0], [0, 0, 0.1]], "species_at_sites": ["A", "A"]}, "overlapping_sites"),
        ({"cartesian_site_positions": [], "species_at_sites": []}, "empty"),
        ({"lattice_vectors": [[0.3, 0, 0], [0, 9, 0], [0, 0, 9]]}, "overlapping_sites"),
    ],
)
def test_optimade_refusals(changes: dict[str, Any], rule: str) -> None:
    assert refused(optimade(**changes)).rule_id == f"structure.{rule}"


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": ', '{"sites": 3}', "[" * 100_000, '{"structure": {"lattice": 1}}'])
def test_other_json_is_refused(text: str) -> None:
    error = refused(text)
    assert error.rule_id in {"structure.unreadable", "structure.not_periodic"}
    assert len(str(error)) < 250


@pytest.mark.parametrize("structure", CRYSTALS, ids=lambda s: s.formula)
@pytest.mark.parametrize("direct", [True, False])
def test_poscar_is_read_as_pymatgen_reads_it(structure: Structure, *, direct: bool) -> None:
    text = Poscar(structure).get_str(direct=direct, significant_figures=12)
    found = parse_structure(text)
    expected = Poscar.from_str(text).structure
    assert found.matrix == pytest.approx(expected.lattice.matrix)
    assert found.frac_coords == pytest.approx(expected.frac_coords % 1, abs=1e-9)
    assert found.density == pytest.approx(structure.density)


def test_poscar_scales_and_selective_dynamics() -> None:
    text = "rutile\n-62.5\n4 0 0\n0 4 0\n0 0 4\nTi_pv O\n1 1\nSelective dynamics\nCartesian\n0 0 0 T T F\n2 2 2 T T T\n"
    found = parse_structure(text)
    assert found.formula == "OTi"
    assert found.volume_per_atom * 2 == pytest.approx(62.5)
    assert found.frac_coords[1] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize(
    ("old", "new"),
    [("Ti O\n", ""), ("2 4\n", "2\n"), ("2 4\n", "2 5\n"), ("2 4\n", "2 -4\n"), ("direct", "9"), ("1.0\n", "0\n")],
)
def test_faulty_poscars_are_refused(old: str, new: str) -> None:
    text = Poscar(RUTILE, comment="no element here").get_str()
    lines = [" ".join(line.split()[:3]) for line in text.splitlines()]
    text = "\n".join([lines[0], *lines[1:]]) + "\n"
    assert old in text
    assert refused(text.replace(old, new, 1)).rule_id == "structure.unreadable"
