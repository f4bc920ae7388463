"""CIF: dialects, what the file leaves unsaid, what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from pymatgen.core.structure import Structure
from pymatgen.io.cif import CifParser

from matstrata.pipelines.entities.structures.parse import StructureError, parse_structure
from matstrata.pipelines.entities.structures.plain_cif import read_plain_cif
from matstrata.schemas.composition import parse_formula
from tests.pipelines.entities.structures.crystals import ANATASE, CRYSTALS, NACL, RUTILE, WURTZITE, cif, shaken

CELL = """data_test
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
"""
P1 = """loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
"""
HEAD = """loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


def refused(text: str) -> StructureError:
    with pytest.raises(StructureError) as caught:
        parse_structure(text)
    return caught.value


@pytest.mark.parametrize("structure", [*CRYSTALS, shaken(RUTILE)], ids=lambda s: s.formula)
def test_what_pymatgen_writes_is_read_fast_and_as_pymatgen_reads_it(structure: Structure) -> None:
    text = cif(structure)
    ours, theirs = (
        parse_structure(text),
        CifParser.from_str(text, frac_tolerance=0).parse_structures(primitive=False)[0],
    )
    assert read_plain_cif(text) is not None
    assert ours.lattice == pytest.approx(theirs.lattice.parameters, abs=1e-7)
    assert ours.matrix == pytest.approx(theirs.lattice.matrix, abs=1e-7)
    assert ours.density == pytest.approx(theirs.density)
    assert ours.volume_per_atom == pytest.approx(theirs.volume / len(theirs))
    ordered = sorted((site.specie.symbol, *np.round(site.frac_coords % 1, 7)) for site in theirs)
    found = sorted((m[0][0], *np.round(x % 1, 7)) for m, x in zip(ours.species, ours.frac_coords, strict=True))
    assert found == ordered
    assert ours.ordered
    assert ours.notes == ()


@pytest.mark.parametrize("structure", [NACL, RUTILE, ANATASE, WURTZITE], ids=lambda s: s.formula)
def test_symmetry_operations_are_applied(structure: Structure) -> None:
    from pymatgen.io.cif import CifWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's remarks on its own output
        text = str(CifWriter(structure, symprec=0.01))
    found = parse_structure(text)
    assert found.n_sites == len(structure)
    assert found.formula == parse_formula(structure.composition.reduced_formula).material_id


def test_canonical_cif_reads_back_to_itself() -> None:
    for structure in CRYSTALS:
        text = parse_structure(cif(structure)).to_cif()
        assert parse_structure(text).to_cif() == text


def test_canonical_cif_does_not_depend_on_the_order_of_sites() -> None:
    text = parse_structure(cif(RUTILE)).to_cif()
    assert parse_structure(cif(Structure.from_sites(list(RUTILE)[::-1]))).to_cif() == text


def test_uncertainties_charges_and_case_are_read() -> None:
    text = (
        CELL.replace("_cell_length_a 4.0", "_CELL_Length_A 5.43(2)")
        + P1
        + HEAD
        + "Na1 Na1+ 0 0 0 1.\nCl1 Cl1- 0.5(1) .5 0.5 ?\n"
    )
    found = parse_structure("\ufeff" + text.replace("\n", "\r\n"))
    assert found.lattice[0] == 5.43
    assert found.formula == "ClNa"
    assert found.ordered


def test_several_elements_share_a_site() -> None:
    found = parse_structure(CELL + P1 + HEAD + "Y1 Y 0 0 0 0.8\nCa1 Ca 0 0 0 0.2\nO1 O .5 .5 .5 .\n")
    assert set(found.species) == {(("O", 1.0),), (("Ca", 0.2), ("Y", 0.8))}
    assert found.formula == "CaO5Y4"
    assert not found.ordered
    again = parse_structure(found.to_cif())
    assert again.to_cif() == found.to_cif()
    assert again.formula == found.formula


def test_dopants_survive_in_the_formula() -> None:
    found = parse_structure(CELL + P1 + HEAD + "Si1 Si 0 0 0 1\nC1 C .5 .5 .5 .961\nB1 B .5 .5 .5 .039\n")
    assert parse_formula(found.formula).material_id == "B39C961Si1000"


def test_rounded_thirds_are_thirds() -> None:
    found = parse_structure(CELL + P1 + HEAD + "Fe1 Fe 0 0 0 0.6667\nO1 O .5 .5 .5 1\n")
    assert found.formula == "Fe2O3"


def test_deuterium_is_kept() -> None:
    found = parse_structure(CELL + P1 + HEAD + "O1 O 0 0 0 1\nD1 D 0.24 0 0 1\nD2 D 0 0.24 0 1\n")
    assert found.formula == "D2O"
    assert found.density == pytest.approx(20.03 / 64 * 1.66054, rel=1e-3)
    assert parse_structure(found.to_cif()).formula == "D2O"


def test_deuterium_and_hydrogen_stay_apart_without_type_symbols() -> None:
    head = HEAD.replace("_atom_site_type_symbol\n", "")
    found = parse_structure(CELL + P1 + head + "O1 0 0 0 1\nD1 0.24 0 0 1\nH1 0 0.24 0 1\nDy1 .5 .5 .5 1\n")
    assert found.formula == "DDyHO"


def test_tetrahedral_sites_are_not_tritium() -> None:
    head = HEAD.replace("_atom_site_type_symbol\n", "")
    assert "tritium" in str(refused(CELL + P1 + head + "T1 0 0 0 1\n"))


def test_occupancies_a_little_above_one_are_scaled_and_noted() -> None:
    found = parse_structure(CELL + P1 + HEAD + "Y1 Y 0 0 0 0.82\nCa1 Ca 0 0 0 0.2\n")
    assert sum(occupancy for _, occupancy in found.species[0]) == pytest.approx(1)
    assert any("1.02" in note for note in found.notes)


def test_occupancies_far_above_one_are_refused() -> None:
    error = refused(CELL + P1 + HEAD + "Y1 Y 0 0 0 0.9\nCa1 Ca 0 0 0 0.7\n")
    assert error.rule_id == "structure.occupancy"
    assert "1.6" in str(error)


@pytest.mark.parametrize("word", ["-0.5", "full"])
def test_occupancies_that_are_none_are_refused(word: str) -> None:
    assert refused(CELL + P1 + HEAD + f"Y1 Y 0 0 0 {word}\n").rule_id == "structure.occupancy"


def test_two_atoms_in_one_place_are_refused() -> None:
    error = refused(CELL + P1 + HEAD + "Y1 Y 0 0 0 1\nCa1 Ca 0 0 0.99 1\n")
    assert error.rule_id == "structure.overlapping_sites"
    assert "0.040" in str(error)


def test_missing_symmetry_is_noted() -> None:
    found = parse_structure(CELL + HEAD + "Na1 Na 0 0 0 1\n")
    assert any("P1" in note for note in found.notes)


def test_a_space_group_without_operations_is_used_and_noted() -> None:
    found = parse_structure(CELL + "_symmetry_space_group_name_H-M 'F m -3 m'\n" + HEAD + "Cu1 Cu 0 0 0 1\n")
    assert found.n_sites == 4
    assert any("symmetry" in note for note in found.notes)


def test_a_space_group_number_alone_is_used_and_noted() -> None:
    found = parse_structure(CELL + "_space_group_IT_number 225\n" + HEAD + "Cu1 Cu 0 0 0 1\n")
    assert found.n_sites == 4
    assert any("space group number" in note for note in found.notes)


def test_a_formula_that_differs_from_the_sites_is_noted() -> None:
    found = parse_structure(CELL + "_chemical_formula_sum 'H2 O'\n" + P1 + HEAD + "O1 O 0 0 0 1\n")
    assert found.formula == "O"
    assert found.stated_formula == "H2 O"
    assert any("'H2 O'" in note for note in found.notes)


def test_water_without_hydrogens_is_noted() -> None:
    found = parse_structure(CELL + P1 + HEAD + "Na1 Na 0 0 0 1\nW1 Wat .5 .5 .5 1\n")
    assert found.formula == "NaO"
    assert any("hydrogens" in note for note in found.notes)


def test_dummy_atoms_are_left_out_and_noted() -> None:
    rows = "O1 O 0 0 0 1 d\nH1 H ? ? ? 1 dum\n"
    found = parse_structure(CELL + P1 + HEAD + "_atom_site_calc_flag\n" + rows)
    assert found.formula == "O"
    assert any("dummy" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CELL + P1 + HEAD + "H1 H ? ? ? 1\n", "no position"),
        (CELL + P1 + HEAD + "H1 H 0 0 . 1\n", "no position"),
        (CELL + P1 + HEAD + "Q1 ? 0 0 0 1\n", "no element"),
        (CELL + P1 + HEAD + "Aa1 Aa 0 0 0 1\n", "no element"),
        (CELL + P1 + HEAD + "Na1 Na 0 0 0 1\nq1 xx .5 .5 .5 1\n", "no element"),
        (CELL + P1 + HEAD + "Na1 Na 0 0 0 1\nO1 OH .5 .5 .5 1\n", "a group of atoms"),
        (CELL + P1 + HEAD + "Na1 Na 0 zero 0 1\n", "not a number"),
        (CELL.replace("beta 90", "beta -10"), "beta is -10"),
        (CELL.replace("c 4.0", "c ?"), "_cell_length_c"),
        (CELL.replace("_cell_length_b 4.0\n", "") + P1 + HEAD + "Na1 Na 0 0 0 1\n", "_cell_length_b"),
        (CELL.replace("alpha 90", "alpha 170").replace("beta 90", "beta 170"), "No cell"),
        (CELL + P1, "no atoms"),
        (CELL + P1.replace("x, y, z", "x, x, z") + HEAD + "Na1 Na .1 .2 .3 1\n", "not a symmetry operation"),
        (CELL + P1 + HEAD + "Na1 Na 0 0 0\n", "6 columns but 5 values"),
        (CELL + "_publ_section_title\n;A title\n" + P1 + HEAD + "Na1 Na 0 0 0 1\n", "never closed"),
        (CELL + P1 + "loop_\n" + HEAD + "Na1 Na 0 0 0 1\n", "no columns"),
        ("Once upon a time", "known format"),
    ],
)
def test_unreadable_files_are_refused_with_the_place(text: str, said: str) -> None:
    error = refused(text)
    assert error.rule_id == "structure.unreadable"
    assert said in str(error)


def test_modulated_structures_are_refused() -> None:
    text = CELL + "_cell_modulation_dimension 1\n" + P1 + HEAD + "Na1 Na 0 0 0 1\n"
    assert refused(text).rule_id == "structure.not_periodic"


@pytest.mark.parametrize("text", ["", " \n", CELL + P1 + HEAD, CELL + P1 + HEAD + "Na1 Na 0 0 0 0\n"])
def test_nothing_is_refused_as_empty(text: str) -> None:
    assert refused(text).rule_id in {"structure.empty", "structure.unreadable"}


MIRROR = """loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-x, y, z'
"""


def test_images_that_rounding_keeps_apart_are_one_atom() -> None:
    found = parse_structure(CELL + MIRROR + HEAD + "Na1 Na 0.0005 0 0 1\nCl1 Cl .5 .5 .5 1\n")
    assert found.formula == "ClNa"
    assert any("rounding" in note for note in found.notes)


def test_atoms_split_about_a_mirror_stay_two_halves() -> None:
    found = parse_structure(CELL + MIRROR + HEAD + "Na1 Na 0.005 0 0 .5\nCl1 Cl .5 .5 .5 1\n")
    assert found.formula == "ClNa"
    assert found.n_sites == 3


def test_what_was_read_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        parse_structure(cif(NACL)).frac_coords[0, 0] = 1
