"""What people call columns that are not values: formulas, SMILES, identifiers, temperatures, references, counts.

Not here: what a column of values reports (`pipelines.ingest.drafting.property_guesses`), and units in headers
(`pipelines.ingest.readers.header_units`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from matstrata.schemas.elements import SYMBOLS

MISSING = (
    "", "-", "--", "—", "–", "?", "na", "n/a", "n.a.", "n.a", "#n/a", "nan", "-nan", "none", "null", "nil", "missing",
    "unknown", "not available", "nd", "n.d.", "<na>", "inf", "-inf", "#div/0!", "#value!", "#ref!", "#num!", "*",
)  # fmt: skip
"""Spellings of "no value", in lower case."""


_COUNTS = re.compile(
    r"(n ?(sites?|atoms?|elements?|types?)|nelem\w*|num .*|number .*|count|z|space ?group.*|sg|sgnum|spg|fold|year|"
    r"nperiodic dimensions|version|index|unnamed.*|a|b|c|alpha|beta|gamma|volume|vol|lattice.*|seed|split|rank|charge|"
    r"step|level.*)"
)
_TEMPERATURE = re.compile(r"(temp(erature)?|t|meas\w* temp\w*|t meas\w*)( k(elvin)?)?")
_REFERENCE = re.compile(r"(doi|dois|reference|references|ref|refs|citation|bibtex|source doi|paper|publication)( url)?")

# best first; the whole name
_FORMULA = (
    r"formula",
    r"pretty formula|formula pretty",
    r"chemical formula reduced",
    r"reduced formula|formula reduced( abc)?",
    r"compositions?",
    r"chemical formula( \w+)?",
    r"compounds?",
    r"full formula|formula \w+|\w+ formula",
    r"chemical composition|comp|chem(ical)?|stoichiometry|materials?|compound name|sample composition",
)
_NOT_FORMULA = re.compile(
    r".*\b(anonymous|chem ?sys(tem)?|space ?group|pearson|prototype|protostructure|elements?|atom|cation|anion|site|"
    r"symmetry|distortion|dopant|substrate|phase|type|smiles|[ab] \d|wyckoff)\b.*"
)
_SMILES = re.compile(r".*\bsmiles?\b.*")
_IDENTIFIER = (
    r"material id|mat id",
    r"id",
    r"mp ?id|mb ?id|task id|entry id|cod ?id|icsd ?id|oqmd ?id|jid|jvasp|auid",
    r"\w+ id|id \w+",
    r"identifier",
    r"(sample|specimen|record|entry)( (name|id|no|number))?|(sample|record) \w+",
    r"index|name",
)

_GREEK = str.maketrans(
    {
        "σ": "sigma",
        "κ": "kappa",
        "ε": "eps",
        "ρ": "rho",
        "μ": "mu",
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "δ": "delta",
    }
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def words(text: str) -> str:
    """The words of a name, in lower case, with a blank between two."""
    spelt = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text.strip())).lower().translate(_GREEK)
    return " ".join(re.split(r"[^a-z0-9]+", spelt)).strip()


def element_columns(headers: Sequence[str]) -> frozenset[str]:
    """Columns that hold amounts of elements: where several are called after elements, "n" is nitrogen."""
    called = frozenset(header for header in headers if words(header).capitalize() in SYMBOLS)
    return called if len(called) >= 4 else frozenset()


def is_count(header: str) -> bool:
    """Whether a column's name says that its numbers are not a property: counts, lattice parameters, folds."""
    name = last_words(header)
    return not name or _COUNTS.fullmatch(name) is not None


def is_temperature(header: str) -> bool:
    """Whether the column holds the temperature of a measurement."""
    return _TEMPERATURE.fullmatch(words(header)) is not None


def is_reference(header: str) -> bool:
    """Whether the column says where a record is from."""
    return _REFERENCE.fullmatch(words(header)) is not None


def is_smiles(header: str) -> bool:
    """Whether the column's name says SMILES."""
    return _SMILES.fullmatch(words(header)) is not None


def formula_rank(header: str) -> int | None:
    """How much a column's name sounds like formulas: 0 is best, None not at all, -1 surely none."""
    name = last_words(header)
    if _NOT_FORMULA.fullmatch(name):
        return -1
    return next((rank for rank, pattern in enumerate(_FORMULA) if re.fullmatch(pattern, name)), None)


def identifier_rank(header: str) -> int | None:
    """How much a column's name sounds like an identifier: 0 is best, None not at all."""
    name = last_words(header)
    return next((rank for rank, pattern in enumerate(_IDENTIFIER) if re.fullmatch(pattern, name)), None)


def last_words(header: str) -> str:
    """The words of a name, of a dotted one ("data.e_above_hull") those behind the last dot."""
    parts = header.split(".")
    # "S.n" is not a path: letters mean something together only
    dotted = len(parts[-1]) > 2 and all(part[:1].isalpha() or part.startswith("_") for part in parts)
    return words(parts[-1] if dotted else header) or words(header)
