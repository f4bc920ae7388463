"""Which column of an unknown table is the formula, the SMILES, the structure, the identifier: by name and by content.

Not here: what values mean (`pipelines.ingest.drafting.names`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from matstrata.pipelines.ingest.drafting.names import MISSING, formula_rank, identifier_rank, is_smiles
from matstrata.pipelines.ingest.readers import Sample
from matstrata.schemas.composition import Composition, FormulaError, parse_formula

_LOOK = 300  # different texts of a column; a few hundred tell as much as all
_LONGEST = 300  # characters of a formula or a SMILES that is worth a look
_NAMED_SHARE, _UNNAMED_SHARE = 0.6, 0.9  # of texts that must be formulas, if the column's name says so, and if not
_SMILES_LIKE = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$%/\\.:*~]+")
_ORGANIC = re.compile(r"[cnos][0-9(cno]|[=#]|\(|([CNO])\1|[CNO][0-9]$")
_REPEATED = re.compile(r"([A-Z][a-z]?)\1")
_CIF = re.compile(r"^\s*(#.*\n\s*)*data_", re.MULTILINE)


def formula_column(sample: Sample) -> str | None:
    """The column of chemical formulas."""
    best: tuple[float, str] | None = None
    for name in sample.names:
        score = _formula_score(name, _different(sample.column(name)))
        if score and (best is None or score > best[0]):
            best = (score, name)
    return best[1] if best else None


def smiles_column(sample: Sample) -> str | None:
    """The column of SMILES: by its name, else by its texts, which RDKit must understand where it is installed."""
    named = [name for name in sample.names if is_smiles(name)]
    for name in sorted(named, key=lambda name: (len(name), name)):
        texts = _different(sample.column(name))
        if texts and sum(bool(_SMILES_LIKE.fullmatch(text.split()[0])) for text in texts) * 2 > len(texts):
            return name
    for name in sample.names:
        texts = [text for text in _different(sample.column(name)) if len(text) <= _LONGEST]
        if len(texts) < 3 or not all(map(_SMILES_LIKE.fullmatch, texts)):
            continue
        if sum(bool(_ORGANIC.search(text)) for text in texts) * 3 >= len(texts) and _understood(texts):
            return name
    return None


def structure_column(sample: Sample) -> tuple[str | None, str]:
    """The column of crystal structures (CIF, or JSON of pymatgen), and what to say of one that can't be read."""
    doubt = ""
    for name in sample.names:
        texts = [text for text in sample.column(name)[:50] if text]
        if not texts:
            continue
        if all(_is_structure(text) for text in texts[:5]):
            return name, ""
        if "structure" in name.lower() and any("Reduced Formula:" in text for text in texts[:5]):
            doubt = f"column {name!r} holds structures as pymatgen prints them, which can't be read back"
    return None, doubt


def identifier_column(sample: Sample) -> tuple[str | None, str]:
    """The column whose values name the records, each once; and what to say of one that repeats."""
    ranked = [(rank, name) for name in sample.names if (rank := identifier_rank(name)) is not None]
    doubt = ""
    for _, name in sorted(ranked, key=lambda pair: pair[0]):
        texts = sample.column(name)
        if name.startswith("Unnamed") or any(is_missing(text) for text in texts):
            continue
        if len(set(texts)) == len(texts):
            return name, doubt
        doubt = doubt or f"column {name!r} looks like an identifier but repeats"
    return None, doubt


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().lower() in MISSING


def _different(texts: Sequence[str]) -> list[str]:
    """Some different texts, spread over the column, without the missing ones."""
    distinct = [text.strip() for text in dict.fromkeys(texts) if text.strip() and text.strip().lower() not in MISSING]
    step = max(len(distinct) // _LOOK, 1)
    return distinct[::step][:_LOOK]


def _formula_score(name: str, texts: Sequence[str]) -> float:
    rank = formula_rank(name)
    if not texts or rank == -1:
        return 0
    parsed = [composition for text in texts if (composition := _composition(text)) is not None]
    share = len(parsed) / len(texts)
    elements = {symbol for composition in parsed for symbol in composition.elements}
    compounds = sum(composition.n_elements > 1 for composition in parsed) / len(texts)
    if rank is None:
        # no name vouches for them: they must look like a collection of compounds, not like words, ids or symbols
        repeated = sum(bool(_REPEATED.search(text)) for text in texts) / len(texts)
        if share < _UNNAMED_SHARE or compounds < 0.3 or len(elements) < 3 or repeated > 0.2:
            return 0
        return share
    return 2 + share - rank / 10 if share >= _NAMED_SHARE else 0


def _composition(text: str) -> Composition | None:
    if len(text) > _LONGEST:
        return None
    try:
        return parse_formula(text)
    except FormulaError:
        return None


def _understood(texts: Sequence[str]) -> bool:
    try:
        from rdkit import Chem, rdBase  # deferred: 0.1 s, and an extra
    except ImportError:
        return True
    with rdBase.BlockLogs():
        return sum(Chem.MolFromSmiles(text) is not None for text in texts[:100]) >= 0.9 * len(texts[:100])


def _is_structure(text: str) -> bool:
    if "_cell_length_a" in text:
        return _CIF.search(text) is not None
    if not text.startswith("{") or '"lattice"' not in text:
        return False
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, dict) and {"lattice", "sites"} <= document.keys()
