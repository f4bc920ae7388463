"""Real files: what must be read, and what must be refused."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymatgen.io.cif import CifParser

from matstrata.pipelines.entities.structures.parse import StructureError, parse_structure
from matstrata.pipelines.entities.structures.plain_cif import read_plain_cif
from matstrata.pipelines.entities.structures.symmetry import symmetry_of
from matstrata.schemas.composition import parse_formula

Mirrored = Callable[[str], list[Path]]


def column(paths: list[Path], name: str) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield row[name]


def test_every_cif_is_read_but_the_broken_one(mirrored: Mirrored) -> None:
    refusals = {}
    for path in mirrored("cifs/**/*.cif"):
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            found = parse_structure(text)
        except StructureError as error:
            refusals[path.name] = (error.rule_id, str(error))
            continue
        assert parse_structure(found.to_cif()).to_cif() == found.to_cif(), path.name
        assert symmetry_of(found).protostructure, path.name
    assert list(refusals) == ["INTENTIONALLY_BAD_CIF.cif"]
    rule_id, sentence = refusals["INTENTIONALLY_BAD_CIF.cif"]
    assert rule_id == "structure.unreadable"
    assert "beta" in sentence


def test_what_the_dialects_hold(mirrored: Mirrored) -> None:
    expected = {
        "AFLOW_mC24.cif": ("O2Sb", 24, 15),
        "AMCSD_meteorite.cif": ("O2Si", 12, 60),
        "LaCl3.cif": ("Cl3La", 8, 176),
        "ReS2.cif": ("ReS2", 12, 2),
        "no42.cif": ("O2Si", 108, 166),
        "zeolite_clo.cif": ("O33Si16", 588, 221),
    }
    paths = {path.name: path for path in mirrored("cifs/dialects/*.cif")}
    for name, (formula, n_sites, space_group) in expected.items():
        found = parse_structure(paths[name].read_text(encoding="utf-8"))
        assert (found.formula, found.n_sites, symmetry_of(found).space_group) == (formula, n_sites, space_group), name


def test_doped_structures_have_the_formulas_in_their_names(mirrored: Mirrored) -> None:
    for path in mirrored("cifs/3dsc_mp/*.cif"):
        written = parse_formula(path.name.split("-MP-")[0])
        found = parse_formula(parse_structure(path.read_text(encoding="utf-8")).formula)
        assert found.elements == written.elements
        assert found.fractions == pytest.approx(written.fractions, abs=1e-5), path.name


def test_protostructures_are_mostly_those_of_aflow(mirrored: Mirrored) -> None:
    examples = json.loads(mirrored("structures/aviary_examples/examples.json")[0].read_text(encoding="utf-8"))
    ours = {key: symmetry_of(parse_structure(json.dumps(s))).protostructure for key, s in examples["structure"].items()}
    agree = [key for key, label in examples["protostructure"].items() if ours[key] == label]
    assert len(agree) >= 64
    assert len(ours) == 68


def test_entries_of_the_materials_project_are_read(mirrored: Mirrored) -> None:
    with gzip.open(mirrored("raw_exports/mp_emmet/Li-Fe-O.json.gz")[0]) as file:
        entries = json.load(file)
    for entry in entries:
        formula = "".join(f"{symbol}{amount:g}" for symbol, amount in entry["composition"].items())
        assert parse_structure(json.dumps(entry)).formula == parse_formula(formula).material_id


def test_the_plain_reader_agrees_with_pymatgen(mirrored: Mirrored) -> None:
    for text in list(column(mirrored("structures/*/test.csv"), "cif"))[::40]:
        assert read_plain_cif(text) is not None
        ours = parse_structure(text)
        theirs = CifParser.from_str(text, frac_tolerance=0).parse_structures(primitive=False)[0]
        assert ours.lattice == pytest.approx(theirs.lattice.parameters, abs=1e-6)
        assert ours.density == pytest.approx(theirs.density)
        assert ours.n_sites == len(theirs)
        assert ours.formula == parse_formula(theirs.composition.formula.replace(" ", "")).material_id
