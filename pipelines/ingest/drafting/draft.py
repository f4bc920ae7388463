"""A contract drafted from a look at an unknown file: what can be guessed is filled in, what can't is said.

Not here: what columns are by their names and cells (the other modules of this package), and whether the drafted
contract works (a dry run shows it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from matstrata.pipelines.ingest.drafting import column_roles, names
from matstrata.pipelines.ingest.drafting.numbers import is_numeric
from matstrata.pipelines.ingest.drafting.property_guesses import guess_kind
from matstrata.pipelines.ingest.drafting.sampling import stem_of, take_samples
from matstrata.pipelines.ingest.drafting.values import (
    ValueGuess,
    distinguish,
    listed,
    missing_spellings,
    value_columns,
)
from matstrata.pipelines.ingest.readers import Sample
from matstrata.schemas.contracts import SOURCE_NAME, Columns
from matstrata.schemas.terms import Kind

UNKNOWN = "unknown"
_GENERAL_NAMES = frozenset(
    {"train", "test", "val", "valid", "data", "dataset", "examples", "results", "table", "sheet", "download"}
)


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
            *self._checks_of("kind"),
            f"kind: {self.kind}",
            f"method: {UNKNOWN}",
            f"licence: {UNKNOWN}",
            "citation:",
            f"  bibtex: {UNKNOWN}",
            "files:",
            f"  - path: {_scalar(sample.file.path.resolve().as_posix())}",
            f"    sha256: {sample.file.sha256}",
            *self._checks_of("reader"),
            f"reader: {sample.reader}",
            f"options: {_flow(sample.options)}",
            *self._checks_of("columns"),
            "columns:",
            *[f"  {role}: {_scalar(column)}" for role, column in self._columns().items()],
            *self._checks_of("values"),
            *self._values(),
            *self._checks_of("missing"),
            f"missing: {_flow(list(self.missing))}",
            *(["decimal: ','"] if sample.decimal == "," else []),
            *self._checks_of("replicates"),
            f"replicates: {self.replicates}",
        ]
        return "\n".join(lines) + "\n"

    def _checks_of(self, section: str) -> list[str]:
        return [_comment(check) for check in self.checks.get(section, ())]

    def _columns(self) -> Mapping[str, str]:
        if self.columns.keys() & {"formula", "smiles", "structure"}:
            return self.columns
        return {"formula": UNKNOWN, **self.columns}

    def _values(self) -> list[str]:
        written = [value for value in self.values if value.property] or list(self.values[:1])
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
            fields |= {name: text for name in ("method", "kind") if (text := getattr(value, name))}
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
    context = [stem_of(resolved), *[folder.name for folder in list(resolved.parents)[:3] if folder.name]]
    columns, column_checks = _roles(sample)
    guesses, value_checks = value_columns(sample, set(columns.values()), context)
    kind = guess_kind(context) or guess_kind([value.column for value in guesses]) or UNKNOWN
    values, rival_checks = distinguish(guesses, kind)
    value_checks += rival_checks
    if not any(value.property for value in values):
        if "structure" in columns:  # which is enough for a contract: better no column than a wrong one
            value_checks += [f"column {value.column!r} is left out: what does it report?" for value in values]
            values = []
        value_checks.insert(0, _lacking(values))
    missing, missing_checks = missing_spellings(sample, [value.column for value in values])
    replicates, replicate_checks = _replicates(sample, columns, kind)
    checks = {
        "kind": [f"{kind!r} is a guess from names"] if kind != UNKNOWN else ["write 'experiment' or 'computation'"],
        "reader": list(sample.checks),
        "columns": column_checks,
        "values": value_checks,
        "missing": missing_checks,
        "replicates": replicate_checks,
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
    """The columns that are not values, by role, and what a person should look at."""
    checks = []
    formula, smiles = column_roles.formula_column(sample), column_roles.smiles_column(sample)
    structure, unreadable = column_roles.structure_column(sample)
    identifier, repeats = column_roles.identifier_column(sample)
    roles = {"formula": formula, "smiles": smiles, "structure": structure, "record_id": identifier}
    numeric = {name for name in sample.names if is_numeric(sample.column(name))}
    roles["temperature_k"] = next((n for n in sample.names if n in numeric and names.is_temperature(n)), None)
    roles["reference"] = next((n for n in sample.names if n not in numeric and names.is_reference(n)), None)
    columns = {role: column for role, column in roles.items() if column is not None and role in Columns.model_fields}
    if not columns.keys() & {"formula", "smiles", "structure"}:
        checks.append(f"no column of formulas, SMILES or structures was found among {listed(sample.names)}")
    checks += [text for text in (unreadable, repeats) if text]
    if identifier and not sample.whole:
        checks.append(f"{identifier!r} is unique in the first {len(sample.rows):,} records; all must be")
    if "temperature_k" in columns:
        checks.append(f"{columns['temperature_k']!r} must be in kelvin")
    return columns, checks


def _lacking(values: Sequence[ValueGuess]) -> str:
    if values:
        return f"write property and unit of {values[0].column!r}; schemas/properties.yaml lists what there is"
    return "no column of numbers with a known meaning was found"


def _replicates(sample: Sample, columns: Mapping[str, str], kind: str) -> tuple[str, list[str]]:
    """Whether identical records are copies or independent measurements; an identifier settles it."""
    if "record_id" in columns:
        return "reject", []
    rows = [tuple(row) for row in sample.rows]
    twice = len(rows) - len(set(rows))
    if not twice:
        return "reject", []
    if kind == Kind.EXPERIMENT:
        return "keep", [f"{twice} of {len(rows):,} records repeat another: taken for independent measurements"]
    return "reject", [f"{twice} of {len(rows):,} records repeat another: taken for copies, which are refused"]


def _source(path: Path) -> str:
    stem = stem_of(path)
    general = not set(names.words(stem).split()) - _GENERAL_NAMES
    name = re.sub(r"[^a-z0-9]+", "_", f"{path.parent.name}_{stem}".lower() if general else stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"source_{name}".rstrip("_")


def _title(path: Path) -> str:
    return stem_of(path).replace("_", " ")


def _comment(text: str, indent: str = "") -> str:
    return f"{indent}# check: {' '.join(text.split())}"


def _scalar(value: str) -> str:
    return _flow([value])[1:-1]


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return text.strip()
