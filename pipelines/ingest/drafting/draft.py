"""A contract drafted from a look at an unknown file: what can be guessed is filled in, what can't is said.

Not here: the tables of names (`pipelines.ingest.drafting.names`), and whether the drafted contract works (a dry run
tells).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from matstrata.pipelines.ingest.drafting import column_roles
from matstrata.pipelines.ingest.drafting import names as guesses
from matstrata.pipelines.ingest.drafting.sampling import take_samples
from matstrata.pipelines.ingest.readers import Sample
from matstrata.pipelines.ingest.readers.header_units import split_unit, unknown_unit
from matstrata.schemas.contracts import SOURCE_NAME, Columns
from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property

UNKNOWN = "unknown"
_NUMERIC_SHARE = 0.8  # of a column's filled cells
_INSIDE_SHARE = 0.98  # of the values that must lie within the property's bounds
_GENERAL_NAMES = {
    "train",
    "test",
    "val",
    "valid",
    "data",
    "dataset",
    "examples",
    "results",
    "table",
    "sheet",
    "download",
}
_FLAGS = {"true", "false", "True", "False", "TRUE", "FALSE"}
_STARTS_AS_NUMBER = re.compile(r"[\s<>=≤≥~≈±+−-]*[.,]?\d")
_DIRECT = re.compile(r"\b(direct|dir)\b")


@dataclass(frozen=True, slots=True)
class ValueGuess:
    """A column of values.

    Attributes:
        column: its name.
        property: what it reports, or None where that could not be told.
        unit: the unit, as pint writes it; None where the property is not known.
        method: how the values were obtained, where the columns of the file differ in that.
        kind: "experiment" or "computation", where that differs from the file's.
        checks: what a person should look at.
    """

    column: str
    property: str | None
    unit: str | None
    method: str | None = None
    kind: str | None = None
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A contract to be completed by a person.

    Attributes:
        source: the name of the source.
        sample: what was seen of the file.
        columns: role -> column; without a composition where none was found.
        values: columns of values, those that say what they report first.
        kind: "experiment", "computation", or "unknown".
        missing: spellings of "no value" that occur in the value columns.
        replicates: what to do with identical records: "keep" or "reject".
        checks: section of the contract -> what a person should look at.
    """

    source: str
    sample: Sample
    columns: Mapping[str, str]
    values: tuple[ValueGuess, ...]
    kind: str
    missing: tuple[str, ...]
    replicates: str
    checks: Mapping[str, tuple[str, ...]]

    def as_yaml(self) -> str:
        """The contract, with doubts as comments that begin with "# check:"."""
        sample = self.sample
        seen = f"all {len(sample.rows):,}" if sample.whole else f"the first {len(sample.rows):,}"
        lines = [
            f"# Drafted from {seen} records of {' '.join(sample.file.name.split())}.",
            f"# Look at each 'check' and fill in what is {UNKNOWN!r}; docs/contracts.md explains the fields.",
            f"# Save this as {self.source}.yaml: a contract is named after its source.",
            f"source: {_scalar(self.source)}",
            f"title: {_scalar(_title(sample.file.path))}",
            f"description: {UNKNOWN}",
            *self._said("kind"),
            f"kind: {self.kind}",
            f"method: {UNKNOWN}",
            f"licence: {UNKNOWN}",
            "citation:",
            f"  bibtex: {UNKNOWN}",
            "files:",
            f"  - path: {_scalar(sample.file.path.resolve().as_posix())}",
            f"    sha256: {sample.file.sha256}",
            *self._said("reader"),
            f"reader: {sample.reader}",
            f"options: {_flow(sample.options)}",
            *self._said("columns"),
            "columns:",
            *[f"  {role}: {_scalar(column)}" for role, column in self._columns().items()],
            *self._said("values"),
            *self._values(),
            *self._said("missing"),
            f"missing: {_flow(list(self.missing))}",
            *(["decimal: ','"] if sample.decimal == "," else []),
            *self._said("replicates"),
            f"replicates: {self.replicates}",
        ]
        return "\n".join(lines) + "\n"

    def _said(self, section: str) -> list[str]:
        return [_comment(check) for check in self.checks.get(section, ())]

    def _columns(self) -> Mapping[str, str]:
        if self.columns.keys() & {"formula", "smiles", "structure"}:
            return self.columns
        return {"formula": UNKNOWN, **self.columns}

    def _values(self) -> list[str]:
        known = [value for value in self.values if value.property]
        written = known or list(self.values[:1])
        if not written:
            return ["values: []"]
        lines = ["values:"]
        for value in written:
            lines += [_comment(check, "  ") for check in value.checks]
            fields: dict[str, Any] = {
                "column": value.column,
                "property": value.property or UNKNOWN,
                "unit": value.unit or UNKNOWN,
            }
            fields |= {name: said for name in ("method", "kind") if (said := getattr(value, name))}
            lines.append(f"  - {_flow(fields)}")
        return lines


def draft(path: Path, name: str | None = None) -> Draft:
    """Look at the beginning of a data file and draft its contract.

    Args:
        path: CSV, TSV or other delimited text in any encoding, Excel, JSON, JSON lines, Parquet or Feather; plain,
            compressed, or in an archive.
        name: what the contract's file is to be called, without its ending; by default it is made of the data's.

    Raises:
        InputError: there is no such file, it is empty, damaged, or of a format that no reader takes.
    """
    source = name if name and re.fullmatch(SOURCE_NAME, name) else _source(path.resolve())
    drafts = [_draft(path, source, sample) for sample in take_samples(path)]
    return max(drafts, key=_worth)  # the first of equals: objects inside records become columns only where that helps


def _worth(candidate: Draft) -> tuple[bool, bool]:
    composed = bool(candidate.columns.keys() & {"formula", "smiles", "structure"})
    return composed, any(value.property for value in candidate.values)


def _draft(path: Path, source: str, sample: Sample) -> Draft:
    resolved = path.resolve()
    context = [_stem(resolved), *[folder.name for folder in list(resolved.parents)[:3] if folder.name]]
    columns, said = _roles(sample)
    taken = set(columns.values())
    found, left = _values(sample, taken, context)
    kind = guesses.guess_kind(context) or guesses.guess_kind([value.column for value in found]) or UNKNOWN
    values, dropped = _distinguish(found, kind)
    said_values = [*left, *dropped]
    if not any(value.property for value in values):
        if "structure" in columns:  # which is enough for a contract: better no column than a wrong one
            said_values += [f"column {value.column!r} is left out: what does it report?" for value in values]
            values = []
        said_values.insert(0, _lacking(values))
    missing, odd = _missing(sample, [value.column for value in values])
    replicates, why = _replicates(sample, columns, kind)
    checks = {
        "kind": [f"{kind!r} is a guess from names"] if kind != UNKNOWN else ["write 'experiment' or 'computation'"],
        "reader": list(sample.checks),
        "columns": said,
        "values": said_values,
        "missing": odd,
        "replicates": why,
    }
    return Draft(
        source,
        sample,
        columns,
        tuple(values),
        kind,
        missing,
        replicates,
        {section: tuple(dict.fromkeys(texts)) for section, texts in checks.items() if texts},
    )


def _roles(sample: Sample) -> tuple[dict[str, str], list[str]]:
    said = []
    formula, smiles = column_roles.formula_column(sample), column_roles.smiles_column(sample)
    structure, unreadable = column_roles.structure_column(sample)
    identifier, repeats = column_roles.identifier_column(sample)
    found = {"formula": formula, "smiles": smiles, "structure": structure, "record_id": identifier}
    numeric = {name for name in sample.names if _is_numeric(sample.column(name))}
    found["temperature_k"] = next((n for n in sample.names if n in numeric and guesses.is_temperature(n)), None)
    found["reference"] = next((n for n in sample.names if n not in numeric and guesses.is_reference(n)), None)
    columns = {role: column for role, column in found.items() if column is not None and role in Columns.model_fields}
    if not columns.keys() & {"formula", "smiles", "structure"}:
        said.append(f"no column of formulas, SMILES or structures was found among {_listed(sample.names)}")
    said += [text for text in (unreadable, repeats) if text]
    if identifier and not sample.whole:
        said.append(f"{identifier!r} is unique in the first {len(sample.rows):,} records; all must be")
    if "temperature_k" in columns:
        said.append(f"{columns['temperature_k']!r} must be in kelvin")
    return columns, said


def _values(sample: Sample, taken: set[str], context: Sequence[str]) -> tuple[list[ValueGuess], list[str]]:
    """The columns of values, and what is said of those that are left out."""
    found: list[tuple[bool, ValueGuess]] = []
    said: list[str] = []
    nameless: list[str] = []
    amounts = guesses.element_columns(sample.names)
    if amounts:
        said.append(f"columns of amounts of elements are left out: {_listed(sorted(amounts))}")
    for name in sample.names:
        texts = sample.column(name)
        if name in taken or name in amounts or guesses.is_count(name):
            continue
        if guesses.identifier_rank(name) is not None or guesses.is_temperature(name):
            continue
        guess = guesses.guess_property(name, context)
        if not _is_numeric(texts) and (guess.generic or guess.property is None or not _begins_with_numbers(texts)):
            continue
        if guess.property is not None:
            unit, checks = _unit(name, guess.property, texts)
            doubts = (f"column {name!r}: {guess.doubt}", *checks) if guess.doubt else checks
            found.append((guess.generic, ValueGuess(name, guess.property, unit, guess.method, None, tuple(doubts))))
        elif guess.generic:
            found.append((True, ValueGuess(name, None, None, guess.method, None, (f"column {name!r}: {guess.doubt}",))))
        elif guess.doubt:
            said.append(f"column {name!r} is left out: {guess.doubt}")
        elif not set(texts) <= {*_FLAGS, ""}:
            nameless.append(name)
    named = any(value.property and not generic for generic, value in found)
    if named:  # where one column says what it is, those that need the file's name for it say less
        said += [f"column {v.column!r} is left out: its name does not say what it is" for g, v in found if g]
        found = [pair for pair in found if not pair[0]]
    elif not found:
        varied = [name for name in nameless if _is_varied(sample.column(name))]
        only = ("a mere guess: a column of numbers whose name says nothing",)
        found = [(True, ValueGuess(name, None, None, None, None, only)) for name in varied[:1]]
    left = [name for name in nameless if name not in {value.column for _, value in found}]
    if left:
        said.append(f"columns of numbers that are left out, as their names are not known: {_listed(left)}")
    return sorted((value for _, value in found), key=lambda value: value.property is None), said


def _is_varied(texts: Sequence[str]) -> bool:
    """Whether a column of numbers is filled and holds more than flags and constants."""
    numbers = _numbers(texts)
    return len(numbers) * 2 > len(texts) and len(set(numbers)) > min(2, len(texts) - 1)


def _distinguish(values: Sequence[ValueGuess], kind: str) -> tuple[list[ValueGuess], list[str]]:
    """Columns that report the same property get a method each; of direct and indirect gaps the latter stay."""
    said: list[str] = []
    kept: list[ValueGuess] = []
    by_property: dict[str | None, list[ValueGuess]] = {}
    for value in values:
        by_property.setdefault(value.property, []).append(value)
    for name, rivals in by_property.items():
        direct = [value for value in rivals if name and _DIRECT.search(guesses.words(value.column))]
        if 0 < len(direct) < len(rivals):  # "PBE direct gap" beside "PBE gap" is no other report of the same quantity
            said += [f"column {v.column!r} is left out: {name} is the smallest gap, not the direct one" for v in direct]
            rivals = [value for value in rivals if value not in direct]  # noqa: PLW2901
        if name is None or len(rivals) == 1:
            kept += [_plain(value) for value in rivals]
            continue
        said.append(f"{len(rivals)} columns report {name}: give each its method, or keep one")
        methods = [value.method for value in rivals]
        for value in rivals:
            own = guesses.guess_kind([value.column])
            kept.append(
                ValueGuess(
                    value.column,
                    name,
                    value.unit,
                    value.method if value.method and methods.count(value.method) == 1 else value.column,
                    own if own != kind else None,
                    value.checks,
                )
            )
    return kept, said


def _plain(value: ValueGuess) -> ValueGuess:
    return ValueGuess(value.column, value.property, value.unit, None, None, value.checks)


def _lacking(values: Sequence[ValueGuess]) -> str:
    if values:
        return f"write property and unit of {values[0].column!r}; schemas/properties.yaml lists what there is"
    return "no column of numbers with a known meaning was found"


def _unit(name: str, property: str, texts: Sequence[str]) -> tuple[str, list[str]]:
    """The unit in which a column's numbers lie within the property's bounds: the stated one, its own, or another."""
    canonical = get_property(property).unit
    stated = split_unit(name)[1]
    said = []
    if stated is not None and not _is_convertible(stated, canonical):
        said.append(f"column {name!r} says {stated}, which is no unit of {property} ({canonical})")
        stated = None
    if unknown := unknown_unit(name):
        said.append(f"column {name!r} says {unknown!r}: write that unit as pint does, if it is one")
    numbers = _numbers(texts)
    candidates = [stated] if stated else []
    candidates += [unit for unit in (canonical, *guesses.OTHER_SCALES.get(canonical, ())) if unit not in candidates]
    fitting = next((unit for unit in candidates if _inside(numbers, unit, property)), candidates[0])
    if fitting != (stated or canonical):
        said.append(f"values of {name!r} don't fit into the bounds of {property} in {stated or canonical}: {fitting}?")
    elif not _inside(numbers, fitting, property):
        said.append(f"many values of {name!r} lie outside the bounds of {property} in {fitting}")
    elif stated is None and canonical != "1" and not said:
        said.append(f"column {name!r} names no unit: {fitting} is the property's own")
    return fitting, said


def _is_convertible(unit: str, to: str) -> bool:
    import numpy as np

    from matstrata.schemas.units import convert  # deferred: 0.3 s, and only where a unit is stated

    try:
        convert(np.zeros(1), unit, to)
    except InputError:
        return False
    return True


def _inside(numbers: Sequence[float], unit: str, property: str) -> bool:
    import numpy as np

    from matstrata.schemas.units import convert

    declared = get_property(property)
    values = np.array(numbers)
    if not len(values):
        return True
    if unit != declared.unit:
        values = convert(values, unit, declared.unit)
    return bool(np.mean((values >= declared.lower) & (values <= declared.upper)) >= _INSIDE_SHARE)


def _is_numeric(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if not column_roles.is_missing(text)]
    return bool(filled) and len(_numbers(filled[:500])) >= _NUMERIC_SHARE * len(filled[:500])


def _begins_with_numbers(texts: Sequence[str]) -> bool:
    """Whether a column is of numbers that need cleaning: '1.2 eV', '<0.1', '1.5±0.2', '12,000'."""
    filled = [text for text in texts if not column_roles.is_missing(text)][:500]
    return bool(filled) and sum(map(bool, map(_STARTS_AS_NUMBER.match, filled))) >= _NUMERIC_SHARE * len(filled)


def _numbers(texts: Sequence[str]) -> list[float]:
    numbers = []
    for text in texts:
        try:
            number = float(text)
        except ValueError:
            if text.strip().lower() not in {"true", "false"}:
                continue
            number = float(text.strip().lower() == "true")
        if abs(number) < float("inf"):
            numbers.append(number)
    return numbers


def _missing(sample: Sample, columns: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The spellings of "no value" in the value columns, and what else is no number there."""
    spelled = {"": None}
    said = []
    for column in columns:
        odd: dict[str, None] = {}
        for text in sample.column(column):
            if column_roles.is_missing(text):
                spelled[text.strip()] = None
            elif text in _FLAGS or not _numbers([text]):
                odd[text] = None
        if odd.keys() & _FLAGS:
            said.append(f"column {column!r} holds true and false, where numbers are wanted: 1 and 0")
        if odd := {text: None for text in odd if text not in _FLAGS}:
            said.append(f"column {column!r} also holds {_listed(list(odd), 5)}, which are refused as no numbers")
    if {text.lower() for text in spelled} & {"inf", "-inf"}:
        said.append("infinite values are taken for missing ones")
    return tuple(spelled), said


def _replicates(sample: Sample, columns: Mapping[str, str], kind: str) -> tuple[str, list[str]]:
    """Whether identical records are copies or independent measurements; an identifier settles it."""
    if "record_id" in columns:
        return "reject", []
    rows = [tuple(row) for row in sample.rows]
    twice = len(rows) - len(set(rows))
    if not twice:
        return "reject", []
    if kind == "experiment":
        return "keep", [f"{twice} of {len(rows):,} records repeat another: taken for independent measurements"]
    return "reject", [f"{twice} of {len(rows):,} records repeat another: taken for copies, which are refused"]


def _source(path: Path) -> str:
    stem = _stem(path)
    general = not set(guesses.words(stem).split()) - _GENERAL_NAMES
    name = re.sub(r"[^a-z0-9]+", "_", f"{path.parent.name}_{stem}".lower() if general else stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"source_{name}".rstrip("_")


def _title(path: Path) -> str:
    return _stem(path).replace("_", " ")


def _stem(path: Path) -> str:
    """The file's name without the endings that say its format."""
    return re.sub(
        r"(\.(csv|tsv|txt|dat|xlsx|xlsm|jsonl?|ndjson|parquet|feather|arrow|gz|bz2|xz|zip|tar|tgz))+$", "", path.name
    )


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _comment(text: str, indent: str = "") -> str:
    return f"{indent}# check: {' '.join(text.split())}"


def _scalar(value: str) -> str:
    return _flow([value])[1:-1]


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return text.strip()
