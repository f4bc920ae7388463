"""Which property of the vocabulary a column reports, by which method, and whether it was measured, by names alone.

What a property is called is said in `schemas/properties.yaml`. Not here: columns of other things
(`pipelines.ingest.drafting.names`), and whether the values fit (`pipelines.ingest.drafting.values`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from matstrata.pipelines.ingest.drafting.names import last_words, words
from matstrata.pipelines.ingest.readers.header_units import BRACKETS, split_unit
from matstrata.schemas.properties import properties

# A column that a data set names misleadingly, by a word of the file's name: what it truly is.
_MISNOMERS: tuple[tuple[str, str, str], ...] = (
    (r"delaney|esol", r"log ?p|logp", "log_solubility"),
    (r"qm9", r"gap", "homo_lumo_gap"),
)

# Data whose values look like a property of the vocabulary and are another quantity: a word of the file's name, why.
_LOOKALIKES: tuple[tuple[str, str, str], ...] = (
    (
        r"castelli|matbench perovskites",
        "formation_energy",
        "formation energy per cell of five atoms (eV per cell), not per atom",
    ),
)

# Quantities that data sets often report and the vocabulary lacks, with patterns as `synonyms` in the vocabulary.
_LACKING: tuple[tuple[str, str, str], ...] = (
    ("glass_forming_ability", r"gfa|glass forming ability|is glass", r"glass|gfa"),
    ("exfoliation_energy", r"exfoliation (en(ergy)?)", r"exfoliation"),
    ("power_factor", r"power factor|pf", r"power factor"),
    ("magnetic_moment", r"mu b|(total )?mag(netic)?( moment|netization)?|magmom", r"magneti\w+"),
)

_MEASURED = frozenset({"expt", "exp", "experiment", "experiments", "experimental", "experimentally", "measured"})
_FUNCTIONALS = frozenset(
    {
        *("pbe", "pbesol", "gga", "hse", "hse06", "hse03", "scan", "r2scan", "gllb", "gllbsc", "tbmbj", "mbj", "lda"),
        *("gw", "g0w0", "ks", "qp", "b3lyp", "pbe0", "optb88", "optb88vdw"),
    }
)
_CALCULATED = frozenset({"mp", "oqmd", "aflow", "jarvis", "dft", "calc", "calculated", "computed"})
_METHODS = (
    _FUNCTIONALS
    | _CALCULATED
    | {"expt", "exp", "experimental", "experiment", "measured"}
    | {"opt", "icsd", "indirect", "direct", "ind", "dir"}
)
_COMPUTED = (
    _FUNCTIONALS | _CALCULATED | {"vasp", "theory", "theoretical", "computation", "castelli", "qm9", "cdvae", "crabnet"}
)

_GENERIC = re.compile(
    r"(target|value|values|y|label|labels|property|prop|measured|result|output|measurement|actual)( \d+)?"
)
_PREDICTED = re.compile(r"\b(pred|predicted|prediction|predictions|std|err|error|uncertainty|sigma pred|ref)\b")
_NOTHING = r"(?!)"  # the pattern that matches nothing
_LOGARITHM = re.compile(r"\b(log|log10|ln|lg)\b")


@dataclass(frozen=True, slots=True)
class PropertyGuess:
    """What a column of numbers may report.

    Attributes:
        property: its name in the vocabulary, or None.
        doubt: why there is none, or what speaks against it; empty where nothing does.
        method: the word for a method in the column's name.
        generic: the name says nothing ("target"), so that the file's name was asked.
    """

    property: str | None
    doubt: str
    method: str | None = None
    generic: bool = False


@dataclass(frozen=True, slots=True)
class _Names:
    """What a quantity is called: patterns of whole headers, and of words inside the names of files and folders."""

    quantity: str
    headers: str
    files: str


def guess_property(header: str, context: Sequence[str]) -> PropertyGuess:
    """What a column reports, by its name, and where that says nothing by the names of file and folders.

    Args:
        header: the column's name.
        context: names of the file and of the folders around it, the nearest first.
    """
    bare = split_unit(header)[0]
    if not _LOGARITHM.search(words(bare)):
        bare = BRACKETS.sub("", bare) or bare  # "(fit=standard)"
    name = last_words(bare)
    method = " ".join(word for word in name.split() if word in _METHODS) or None
    core = " ".join(word for word in name.split() if word not in _METHODS)
    if _PREDICTED.search(name):
        return PropertyGuess(None, "a prediction or an error, not a value")
    for hint, pattern, quantity in _MISNOMERS:
        if re.fullmatch(pattern, core) and any(re.search(hint, words(place)) for place in context):
            return _known(quantity, method, f"in spite of its name, this data set holds {quantity}")
    for names in _all_names():
        if re.fullmatch(names.headers, name) or (core and re.fullmatch(names.headers, core)):
            for hint, lookalike, reason in _LOOKALIKES:
                if names.quantity == lookalike and any(_mentions(hint, words(place)) for place in context):
                    return PropertyGuess(None, reason, method, generic=True)
            return _known(names.quantity, method, "")
    if _LOGARITHM.search(name):
        argument = re.sub(_LOGARITHM, " ", name).strip()
        quantity_of_log = next((each.quantity for each in _all_names() if _mentions(each.headers, argument)), None)
        if quantity_of_log is not None:
            return PropertyGuess(None, _logarithm_of(quantity_of_log), method)
    if not core or _GENERIC.fullmatch(core):
        return _by_context(method, context)
    return PropertyGuess(None, "", method)


def _by_context(method: str | None, context: Sequence[str]) -> PropertyGuess:
    # the file and its folder also as one: "matbench_csv/dielectric" says what neither says alone
    places = [*context[:1], " ".join(reversed(context[:2])), *context[2:]]
    for place in places:
        text = words(place)
        for hint, _, reason in _LOOKALIKES:
            if _mentions(hint, text):
                return PropertyGuess(None, reason, method, generic=True)
        quantity = _mentioned(text)
        if quantity is not None:
            if _LOGARITHM.search(text):
                return PropertyGuess(None, _logarithm_of(quantity), method, generic=True)
            guess = _known(quantity, method, f"its own name says nothing, but {place!r} suggests {quantity}")
            return replace(guess, generic=True)
    return PropertyGuess(None, "its name does not say what it is", method, generic=True)


def _mentioned(text: str) -> str | None:
    """The quantity that the name of a file or folder speaks of, by the longest of the words that speak of one."""
    matches = [
        (match.end() - match.start(), names.quantity)
        for names in _all_names()
        if (match := re.search(rf"\b({names.files})\b", text))
    ]
    return max(matches, key=lambda match: match[0])[1] if matches else None


def _mentions(pattern: str, text: str) -> bool:
    return re.search(rf"\b({pattern})\b", text) is not None


def _logarithm_of(quantity: str) -> str:
    return f"a logarithm of {quantity}: add a column of the values themselves"


def _known(quantity: str, method: str | None, doubt: str) -> PropertyGuess:
    if quantity in properties():
        return PropertyGuess(quantity, doubt, method)
    lacking = f"looks like {quantity}, which the vocabulary (schemas/properties.yaml) lacks"
    return PropertyGuess(None, lacking, method)


@lru_cache(maxsize=1)
def _all_names() -> tuple[_Names, ...]:
    """The vocabulary's own names and titles, its synonyms, and the quantities that it lacks, in this order."""
    own, synonyms = [], []
    for name, declared in properties().items():
        itself = re.escape(words(name))
        own.append(_Names(name, f"{itself}|{re.escape(words(declared.title))}", itself))
        if declared.synonyms.headers or declared.synonyms.files:
            headers, files = declared.synonyms.headers, declared.synonyms.files
            synonyms.append(_Names(name, "|".join(headers) or _NOTHING, "|".join(files) or _NOTHING))
    return (*own, *synonyms, *(_Names(*lacking) for lacking in _LACKING))


def guess_kind(texts: Sequence[str]) -> str | None:
    """Whether names speak of measurements or of computations; None where they say nothing, or both."""
    spoken = {word for text in texts for word in words(text).split()}
    measured, computed = bool(spoken & _MEASURED), bool(spoken & _COMPUTED)
    return None if measured == computed else "experiment" if measured else "computation"
