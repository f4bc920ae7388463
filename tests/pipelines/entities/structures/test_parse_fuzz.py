"""Whatever the text: a structure, or a refusal in plain words."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.io.vasp.inputs import Poscar

from matstrata.pipelines.entities.structures.parse import StructureError, parse_structure
from matstrata.schemas.composition import parse_formula
from tests.pipelines.entities.structures.crystals import DIAMOND, RUTILE, cif
from tests.pipelines.entities.structures.test_parse_others import OPTIMADE

DISORDERED = """data_1
_cell_length_a   5.0(1)
_cell_length_b   5.0
_cell_length_c   6
_cell_angle_alpha   90
_cell_angle_beta   90
_cell_angle_gamma   120
_chemical_formula_sum 'Y0.8 Ca0.2 O'
_publ_section_title
;
 A title; with 'quotes"
;
_symmetry_space_group_name_H-M 'P -3'
loop_
_symmetry_equiv_pos_as_xyz
x,y,z -y,x-y,z y-x,-x,z -x,-y,-z y,y-x,-z x-y,x,-z
loop_
_atom_type_symbol
_atom_type_oxidation_number
Y3+ 3
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Y1 Y3+ 0 0 0 0.8
Ca1 Ca2+ 0 0 0 0.2
O1 O2- 0.3333 0.6667 0.25(1) .
"""
TEXTS = [DISORDERED, cif(RUTILE), json.dumps(OPTIMADE), json.dumps(DIAMOND.as_dict()), Poscar(RUTILE).get_str()]
PIECES = [
    "",
    "?",
    ".",
    "0",
    "-1",
    "1e9",
    "nan",
    "\n",
    ";",
    "'",
    '"',
    "loop_",
    "data_",
    "_cell_length_a",
    "x,x,z",
    "Xx",
    "{",
    "é",
    "#",
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """One of the texts with a few words, lines or characters replaced, doubled or lost."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        separator = draw(st.sampled_from(["\n", " ", ""]))
        parts = text.split(separator) if separator else list(text) or [""]
        place = draw(st.integers(0, len(parts) - 1))
        piece = draw(st.sampled_from(PIECES) | st.sampled_from(parts))
        kept = draw(st.integers(0, 1))
        text = separator.join([*parts[: place + kept], piece, *parts[place + 1 :]])
    return text


@settings(max_examples=200, deadline=None)
@given(damaged())
def test_damaged_texts_give_a_structure_or_a_refusal(text: str) -> None:
    try:
        found = parse_structure(text)
    except StructureError as error:
        assert error.rule_id.startswith("structure.")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 400  # noqa: PT017
        return
    assert parse_formula(found.formula).elements
    canonical = found.to_cif()
    assert parse_structure(canonical).to_cif() == canonical


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_structure_or_a_refusal(text: str) -> None:
    try:
        parse_structure(text)
    except StructureError as error:
        assert str(error)  # noqa: PT017
