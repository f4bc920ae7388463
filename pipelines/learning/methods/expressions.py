"""Formulas made from a few quantities by operators that respect units, each up to two operators deep.

A formula is a tuple, such as ``("/", "a", ("sqrt", "b"))`` with names of quantities at the ends. Only what is of one
unit is added, and only pure numbers are raised to powers of e. Not here: which formulas are good (`sisso`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Formula: TypeAlias = "str | tuple[Formula, ...]"
Unit: TypeAlias = frozenset[tuple[str, Fraction]]  # powers of base units; empty for a pure number
Values: TypeAlias = NDArray[np.float64]
Quantities: TypeAlias = Mapping[Formula, Values]  # by name, or by formula where worked out already

PURE: Unit = frozenset()
UNARY: Mapping[str, Callable[[Values], Values]] = {
    "sqrt": lambda a: np.sqrt(np.abs(a)),
    "square": np.square,
    "inverse": lambda a: 1 / a,
    "exp": np.exp,
    "log": lambda a: np.log(np.abs(a)),
}
BINARY: Mapping[str, Callable[[Values, Values], Values]] = {
    "+": np.add,
    "-": np.subtract,
    "distance": lambda a, b: np.abs(a - b),
    "*": np.multiply,
    "/": np.divide,
}
_POWERS = {"sqrt": Fraction(1, 2), "square": Fraction(2), "inverse": Fraction(-1)}
_TEXTS = {
    "sqrt": "√|{}|",
    "square": "({})²",
    "inverse": "1/({})",
    "exp": "exp({})",
    "log": "ln|{}|",
    "distance": "|{} − {}|",
    "+": "({} + {})",
    "-": "({} − {})",
    "*": "{}·{}",
    "/": "({})/({})",
}


def unit_of(name: str) -> Unit:
    """A quantity's own unit; none if it is empty."""
    return frozenset({(name, Fraction(1))}) if name else PURE


def evaluate(formula: Formula, quantities: Quantities) -> Values:
    """The (n,) values of a formula, of which parts may be given; not finite where it can't be worked out."""
    if formula in quantities:
        return quantities[formula]
    if isinstance(formula, str):
        raise KeyError(formula)
    operator, *parts = formula
    with np.errstate(all="ignore"):
        operands = [evaluate(part, quantities) for part in parts]
        if len(operands) == 1:
            return UNARY[str(operator)](operands[0])
        return BINARY[str(operator)](operands[0], operands[1])


def text(formula: Formula) -> str:
    """A formula as people write it."""
    if isinstance(formula, str):
        return formula
    operator, *parts = formula
    return _TEXTS[str(operator)].format(*map(text, parts))


def grow(formulas: Mapping[Formula, Unit]) -> Iterator[tuple[Formula, Unit]]:
    """All formulas with one operator more, over those given with their units."""
    for formula, unit in formulas.items():
        for operator in UNARY:
            if operator in _POWERS:
                yield (operator, formula), _power(unit, _POWERS[operator])
            elif unit == PURE:
                yield (operator, formula), PURE
    for (one, its), (other, others) in itertools.combinations(formulas.items(), 2):
        if its == others:
            yield from (((operator, one, other), its) for operator in ("+", "-", "distance"))
        yield ("*", one, other), _product(its, others)
        yield ("/", one, other), _product(its, _power(others, Fraction(-1)))
        yield ("/", other, one), _product(others, _power(its, Fraction(-1)))


def distinct(
    candidates: Sequence[tuple[Formula, Unit]], quantities: Quantities, *, digits: int = 7
) -> dict[Formula, Unit]:
    """Leave out formulas that can't be worked out, hardly vary, or say the same as an earlier one up to a factor."""
    kept, known = {}, set()
    for formula, unit in candidates:
        values = evaluate(formula, quantities)
        scaled = standardised(values)
        if scaled is not None:
            key = np.round(scaled * np.sign(scaled[np.abs(scaled).argmax()]), digits).tobytes()
            if key not in known:
                known.add(key)
                kept[formula] = unit
    return kept


def standardised(values: Values) -> Values | None:
    """Values with mean 0 and deviation 1; None if they are no use."""
    largest = np.abs(values).max()
    if not (largest < 1e8):  # also where one is not a number
        return None
    spread = values.std()
    return None if spread <= 1e-6 * largest else (values - values.mean()) / spread


def _power(unit: Unit, exponent: Fraction) -> Unit:
    return frozenset((name, power * exponent) for name, power in unit)


def _product(one: Unit, other: Unit) -> Unit:
    powers = dict(one)
    for name, power in other:
        powers[name] = powers.get(name, Fraction(0)) + power
    return frozenset((name, power) for name, power in powers.items() if power)
