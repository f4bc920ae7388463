"""Space groups and protostructures of crystals that everyone knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from matstrata.pipelines.entities.structures import symmetry
from matstrata.pipelines.entities.structures.symmetry import Symmetry, symmetry_of
from tests.pipelines.entities.structures.crystals import (
    ANATASE,
    CRYSTALS,
    CSCL_TYPE_NACL,
    DIAMOND,
    GRAPHITE,
    NACL,
    RUTILE,
    WURTZITE,
    other_cell,
    parsed,
    shifted,
    supercell,
)


@pytest.mark.parametrize(
    ("structure", "space_group", "protostructure"),
    [
        (NACL, 225, "AB_cF8_225_a_b:Cl-Na"),
        (CSCL_TYPE_NACL, 221, "AB_cP2_221_a_b:Cl-Na"),
        (DIAMOND, 227, "A_cF8_227_a:C"),
        (GRAPHITE, 194, "A_hP4_194_bc:C"),
        (RUTILE, 136, "A2B_tP6_136_f_a:O-Ti"),
        (ANATASE, 141, "A2B_tI12_141_e_a:O-Ti"),
        (WURTZITE, 186, "AB_hP4_186_b_b:O-Zn"),
    ],
)
def test_known_crystals(structure: Structure, space_group: int, protostructure: str) -> None:
    found = symmetry_of(parsed(structure))
    assert found == Symmetry(space_group, protostructure.split("_")[1], protostructure)


@pytest.mark.parametrize("structure", CRYSTALS, ids=lambda s: s.formula)
@pytest.mark.parametrize("variant", [shifted, other_cell, supercell])
def test_the_choice_of_cell_and_origin_does_not_matter(structure: Structure, variant) -> None:
    assert symmetry_of(parsed(variant(structure))) == symmetry_of(parsed(structure))


def test_shared_sites_are_kinds_of_their_own() -> None:
    alloy = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    assert symmetry_of(parsed(alloy)).protostructure == "AB_cF8_225_a_b:(K0.5Na0.5)-Cl"


def test_one_centred_face_is_written_as_aflow_does() -> None:
    tin = Structure.from_spacegroup("Cmcm", Lattice.orthorhombic(2.854, 5.87, 4.955), ["U"], [[0, 0.1025, 0.25]])
    assert symmetry_of(parsed(tin)).protostructure == "A_oC4_63_c:U"


def test_a_failure_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """What a panic in Rust becomes."""

    def panic(*_: object) -> None:
        raise PanicException

    monkeypatch.setattr(symmetry, "_dataset", panic)
    found = symmetry_of(parsed(NACL))
    assert (found.space_group, found.pearson, found.protostructure) == (None, None, None)
    assert found.notes


def test_without_the_normalizer_the_label_is_that_of_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(symmetry, "_equal_settings", fail)
    for structure in (RUTILE, supercell(RUTILE)):
        found = symmetry_of(parsed(structure))
        assert found.protostructure in {"A2B_tP6_136_f_a:O-Ti", "A2B_tP6_136_f_b:O-Ti"}
        assert found.notes


def test_nonsense_is_no_exception() -> None:
    broken = replace(parsed(NACL), frac_coords=np.full((8, 3), 0.1))
    assert isinstance(symmetry_of(broken), Symmetry)
