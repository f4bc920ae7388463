"""One molecule has one name, however its SMILES is written; what is no molecule is said to be none, quietly."""

from __future__ import annotations

import sys

import pytest

from matstrata.pipelines.entities import molecules
from matstrata.pipelines.entities.molecules import SmilesError, read_smiles
from matstrata.schemas.errors import InputError

pytest.importorskip("rdkit", reason="needs RDKit: 'make extras'")


def test_ethanol():
    found = read_smiles("OCC")
    assert (found.formula, found.smiles, found.inchikey) == ("C2H6O", "CCO", "LFQSCWFLJHTTHZ-UHFFFAOYSA-N")


@pytest.mark.parametrize("text", ["CCO", "OCC", "C(O)C", "[CH3][CH2][OH]", "[H]OCC", " CCO\n"])
def test_spellings_of_a_molecule_are_one(text):
    assert read_smiles(text) == read_smiles("OCC")


@pytest.mark.parametrize(
    ("one", "other"), [("F/C=C/F", "F/C=C\\F"), ("C[C@@H](O)F", "C[C@H](O)F"), ("O", "[2H]O[2H]"), ("CCO", "COC")]
)
def test_different_molecules_stay_apart(one, other):
    assert read_smiles(one).smiles != read_smiles(other).smiles
    assert read_smiles(one).inchikey != read_smiles(other).inchikey


@pytest.mark.parametrize(
    ("text", "formula"),
    [("[2H]O[2H]", "D2O"), ("[3H]C", "CH3T"), ("[13CH4]", "CH4"), ("[1H]Cl", "HCl"), ("[Na+].[Cl-]", "ClNa"), ("[H][H]", "H2")],
)  # fmt: skip
def test_the_formula_is_one_that_formulas_are_written_in(text, formula):
    """D and T are symbols of their own, as they are for formulas; other isotopes are their element."""
    assert read_smiles(text).formula == formula


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("C1CC", "can't be parsed"),
        ("C(C", "can't be parsed"),
        ("[Xx]", "can't be parsed"),
        ("aspirin", "can't be parsed"),
        ("CC|", "can't be parsed"),
        ("C\x00C", "can't be parsed"),
        ("é", "can't be parsed"),
        ("C(C)(C)(C)(C)C", "valence for atom # 0 C, 5"),
        ("c1cccc1", "kekulize"),
        ("", "empty"),
        (" \t", "empty"),
        ("*CC", "any atom"),
    ],
)
def test_what_is_no_molecule_is_said_once(text, sentence, capfd):
    with pytest.raises(SmilesError, match=sentence) as error:
        read_smiles(text)
    assert "\n" not in str(error.value).replace(repr(text), "")
    assert capfd.readouterr() == ("", "")  # RDKit would print its own words for it


def test_without_rdkit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    molecules._rdkit.cache_clear()
    with pytest.raises(InputError, match="make extras"):
        read_smiles("CCO")
    molecules._rdkit.cache_clear()
