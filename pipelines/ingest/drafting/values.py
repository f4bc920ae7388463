"""The columns of values in an unknown table: what each reports, in which unit, by which method, and what to look at.

Not here: which properties names speak of (`pipelines.ingest.drafting.property_guesses`), and the contract as a whole
(`pipelines.ingest.drafting.draft`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from matstrata.pipelines.ingest.drafting import names
from matstrata.pipelines.ingest.drafting.column_roles import is_missing
from matstrata.pipelines.ingest.drafting.numbers import FLAGS, begins_with_numbers, is_numeric, is_varied, numbers
from matstrata.pipelines.ingest.drafting.property_guesses import guess_kind, guess_property
from matstrata.pipelines.ingest.drafting.units import guess_unit
from matstrata.pipelines.ingest.readers import Sample

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


def value_columns(sample: Sample, role_columns: set[str], context: Sequence[str]) -> tuple[list[ValueGuess], list[str]]:
    """Guess what each column of numbers reports.

    Args:
        sample: what was seen of the file.
        role_columns: columns that are something else: formulas, identifiers, temperatures.
        context: names of the file and of the folders around it, the nearest first.

    Returns:
        The columns of values, those that say what they report first; and a sentence on each that is left out.
    """
    guesses: list[tuple[bool, ValueGuess]] = []  # with whether the file's name had to be asked
    checks: list[str] = []
    nameless: list[str] = []
    amounts = names.element_columns(sample.names)
    if amounts:
        checks.append(f"columns of amounts of elements are left out: {listed(sorted(amounts))}")
    for name in sample.names:
        texts = sample.column(name)
        if name in role_columns or name in amounts or names.is_count(name):
            continue
        if names.identifier_rank(name) is not None or names.is_temperature(name):
            continue
        guess = guess_property(name, context)
        if not is_numeric(texts) and (guess.generic or guess.property is None or not begins_with_numbers(texts)):
            continue
        doubt = f"column {name!r}: {guess.doubt}"
        if guess.property is not None:
            unit, doubts = guess_unit(name, guess.property, texts)
            doubts = [doubt, *doubts] if guess.doubt else doubts
            guesses.append((guess.generic, ValueGuess(name, guess.property, unit, guess.method, None, tuple(doubts))))
        elif guess.generic:
            guesses.append((True, ValueGuess(name, None, None, guess.method, None, (doubt,))))
        elif guess.doubt:
            checks.append(f"column {name!r} is left out: {guess.doubt}")
        elif not set(texts) <= {*FLAGS, ""}:
            nameless.append(name)
    if any(value.property and not generic for generic, value in guesses):
        # where one column says what it is, those that need the file's name for it say less
        checks += [f"column {v.column!r} is left out: its name does not say what it is" for g, v in guesses if g]
        guesses = [pair for pair in guesses if not pair[0]]
    elif not guesses:
        varied = [name for name in nameless if is_varied(sample.column(name))]
        only = ("a mere guess: a column of numbers whose name says nothing",)
        guesses = [(True, ValueGuess(name, None, None, None, None, only)) for name in varied[:1]]
    left_out = [name for name in nameless if name not in {value.column for _, value in guesses}]
    if left_out:
        checks.append(f"columns of numbers that are left out, as their names are not known: {listed(left_out)}")
    return sorted((value for _, value in guesses), key=lambda value: value.property is None), checks


def distinguish(values: Sequence[ValueGuess], kind: str) -> tuple[list[ValueGuess], list[str]]:
    """Columns that report the same property get a method each; of direct and indirect gaps the latter stay."""
    checks: list[str] = []
    distinct: list[ValueGuess] = []
    by_property: dict[str | None, list[ValueGuess]] = {}
    for value in values:
        by_property.setdefault(value.property, []).append(value)
    for name, rivals in by_property.items():
        direct = [value for value in rivals if name and _DIRECT.search(names.words(value.column))]
        if 0 < len(direct) < len(rivals):  # "PBE direct gap" is not another report of the quantity of "PBE gap"
            checks += [
                f"column {v.column!r} is left out: {name} is the smallest gap, not the direct one" for v in direct
            ]
            rivals = [value for value in rivals if value not in direct]  # noqa: PLW2901
        if name is None or len(rivals) == 1:
            distinct += [replace(value, method=None, kind=None) for value in rivals]
            continue
        checks.append(f"{len(rivals)} columns report {name}: give each its method, or keep one")
        methods = [value.method for value in rivals]
        for value in rivals:
            own = guess_kind([value.column])
            method = value.method if value.method and methods.count(value.method) == 1 else value.column
            distinct.append(replace(value, method=method, kind=own if own != kind else None))
    return distinct, checks


def missing_spellings(sample: Sample, columns: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The spellings of "no value" in the value columns, and what else in them is not a number."""
    spellings = {"": None}
    checks = []
    for column in columns:
        odd: dict[str, None] = {}
        for text in sample.column(column):
            if is_missing(text):
                spellings[text.strip()] = None
            elif text in FLAGS or not numbers([text]):
                odd[text] = None
        if odd.keys() & FLAGS:
            checks.append(f"column {column!r} holds true and false where numbers are expected: 1 and 0")
        if odd := {text: None for text in odd if text not in FLAGS}:
            checks.append(f"column {column!r} also holds {listed(list(odd), 5)}, which are refused: not numbers")
    if {text.lower() for text in spellings} & {"inf", "-inf"}:
        checks.append("infinite values are taken for missing ones")
    return tuple(spellings), checks


def listed(texts: Sequence[str], most: int = 12) -> str:
    """Some texts in quotes, and how many more there are."""
    quoted = ", ".join(repr(text[:60]) for text in texts[:most])
    return f"{quoted} and {len(texts) - most} more" if len(texts) > most else quoted
