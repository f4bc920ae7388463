"""Equal structures are found, polymorphs stay apart, and the order of the input does not matter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.structure import Structure

from matstrata.pipelines.entities.structures.duplicates import group_structures
from matstrata.pipelines.entities.structures.parsed import ParsedStructure
from matstrata.pipelines.entities.structures.symmetry import symmetry_of
from matstrata.schemas.composition import parse_formula
from tests.pipelines.entities.structures.crystals import (
    ANATASE,
    BATIO3_CUBIC,
    BATIO3_TETRAGONAL,
    CRYSTALS,
    CSCL_TYPE_NACL,
    DIAMOND,
    GRAPHITE,
    NACL,
    QUARTZ_HIGH,
    QUARTZ_LOW,
    RUTILE,
    VARIANTS,
    ZRO2_CUBIC,
    ZRO2_TETRAGONAL,
    parsed,
)


def grouped(structures: list[ParsedStructure], n_workers: int = 1) -> list[int]:
    symmetries = [symmetry_of(structure) for structure in structures]
    return group_structures(
        [parse_formula(structure.formula).material_id for structure in structures],
        [symmetry.space_group for symmetry in symmetries],
        [symmetry.protostructure for symmetry in symmetries],
        structures,
        n_workers=n_workers,
    )


@pytest.mark.parametrize("structure", CRYSTALS, ids=lambda s: s.formula)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_a_crystal_are_one(structure: Structure, variant) -> None:
    assert grouped([parsed(structure), parsed(variant(structure))]) == [0, 0]


@pytest.mark.parametrize(("one", "other"), [
    (RUTILE, ANATASE), (DIAMOND, GRAPHITE), (NACL, CSCL_TYPE_NACL),
    (BATIO3_CUBIC, BATIO3_TETRAGONAL), (ZRO2_CUBIC, ZRO2_TETRAGONAL), (QUARTZ_LOW, QUARTZ_HIGH),
])  # fmt: skip
def test_polymorphs_stay_apart(one: Structure, other: Structure) -> None:
    assert len(set(grouped([parsed(one), parsed(other)]))) == 2


def test_compressed_crystals_stay_apart() -> None:
    small = NACL.copy()
    small.scale_lattice(NACL.volume / 1.15)
    assert len(set(grouped([parsed(NACL), parsed(small)]))) == 2


def test_missing_labels_do_no_harm() -> None:
    pair = [parsed(RUTILE), parsed(VARIANTS[-1](RUTILE))]
    assert group_structures(["O2Ti"] * 2, [None] * 2, [None] * 2, pair) == [0, 0]


def test_materials_are_never_mixed() -> None:
    assert len(set(group_structures(["a", "b"], [1, 1], ["x", "x"], [parsed(NACL)] * 2))) == 2


def test_nothing_gives_nothing() -> None:
    assert group_structures([], [], [], []) == []


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="shorter"):
        group_structures(["a"], [1], ["x"], [])


EVERYTHING = [parsed(make(crystal)) for crystal in CRYSTALS for make in [lambda s: s, *VARIANTS]]
LABELS = grouped(EVERYTHING)


def test_all_together() -> None:
    n = 1 + len(VARIANTS)
    assert sorted(set(LABELS)) == list(range(len(CRYSTALS)))
    assert all(len(set(LABELS[start : start + n])) == 1 for start in range(0, len(LABELS), n))


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(chance: random.Random) -> None:
    order = list(range(len(EVERYTHING)))
    chance.shuffle(order)
    assert grouped([EVERYTHING[place] for place in order]) == [LABELS[place] for place in order]


@pytest.mark.slow
def test_two_processes_give_the_same_labels() -> None:
    assert grouped(EVERYTHING, n_workers=2) == LABELS
