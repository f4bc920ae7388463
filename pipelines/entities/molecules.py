"""Molecules from SMILES: composition and identity. Not here: properties of molecules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from matstrata.schemas.errors import InputError


@dataclass(frozen=True, slots=True)
class Molecule:
    """What a SMILES names.

    Attributes:
        formula: its composition, in Hill order.
        smiles: RDKit's canonical form.
        inchikey: the identifier by which it is known everywhere.
    """

    formula: str
    smiles: str
    inchikey: str


class SmilesError(ValueError):
    """The text is not a SMILES; the message says where it fails."""


@lru_cache(maxsize=1)
def _rdkit() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        from rdkit import Chem, rdBase  # deferred: 0.5 s, and an extra
        from rdkit.Chem import inchi, rdMolDescriptors
    except ImportError as error:
        raise InputError("SMILES need RDKit: install the extra 'molecules' ('make extras')") from error
    rdBase.DisableLog("rdApp.*")  # it would print each fault to standard error; ours are in the rejections
    return Chem, inchi, rdMolDescriptors


def read_smiles(text: str) -> Molecule:
    """Read a SMILES.

    Raises:
        SmilesError: it is not a SMILES, or names no atom.
        InputError: RDKit is not installed.
    """
    chem, inchi, descriptors = _rdkit()
    if not text.strip():
        raise SmilesError("the SMILES is empty; give the molecule")
    molecule = chem.MolFromSmiles(text.strip())
    if molecule is None:
        raise SmilesError(_fault(text, chem))
    if not molecule.GetNumAtoms():
        raise SmilesError(f"SMILES {text!r} names no atom")
    if any(atom.GetAtomicNum() == 0 for atom in molecule.GetAtoms()):
        raise SmilesError(f"SMILES {text!r} holds '*', which stands for any atom; name the atom")
    key = inchi.MolToInchiKey(molecule)
    if not key:
        raise SmilesError(f"SMILES {text!r} names a molecule that has no InChIKey; check it")
    return Molecule(_formula(molecule, descriptors), chem.MolToSmiles(molecule), key)


def _fault(text: str, chem: ModuleType) -> str:
    """Why RDKit takes a text for no molecule: it tells only where it is asked to take two steps."""
    molecule = chem.MolFromSmiles(text.strip(), sanitize=False)
    if molecule is None:
        return f"SMILES {text!r} can't be parsed; check brackets and ring closures"
    try:
        chem.SanitizeMol(molecule)
    except ValueError as error:
        return f"SMILES {text!r} names an impossible molecule: {error}"
    return f"SMILES {text!r} names no molecule; check it"


def _formula(molecule: Any, descriptors: ModuleType) -> str:
    """The composition, in which deuterium is D, as in formulas, and other isotopes are their element."""
    counted = type(molecule)(molecule)
    for atom in counted.GetAtoms():
        if atom.GetAtomicNum() != 1 or atom.GetIsotope() not in (2, 3):
            atom.SetIsotope(0)
    return str(descriptors.CalcMolFormula(counted, True, True))
