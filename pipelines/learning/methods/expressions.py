"""Mathematical expressions of a few quantities, by operators that respect units, each up to two operators deep.

An expression is a tuple, such as ``("/", "a", ("sqrt", "b"))``, with names of quantities as leaves. Only quantities of
the same unit are added, and only pure numbers are exponentiated. Not here: which expressions are good (`sisso`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Expression: TypeAlias = "str | tuple[Expression, ...]"
Unit: TypeAlias = frozenset[tuple[str, Fraction]]  # powers of base units; empty for a pure number
Values: TypeAlias = NDArray[np.float64]
Quantities: TypeAlias = Mapping[Expression, Values]  # by name, or by expression where evaluated already

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
    """Make the unit of a quantity; that of pure numbers if the name is empty."""
    return frozenset({(name, Fraction(1))}) if name else PURE


def evaluate(expression: Expression, quantities: Quantities) -> Values:
    """Evaluate an expression, of which parts may be evaluated already, to (n,) values; not finite where it has none."""
    if expression in quantities:
        return quantities[expression]
    if isinstance(expression, str):
        raise KeyError(expression)
    operator, *parts = expression
    with np.errstate(all="ignore"):
        operands = [evaluate(part, quantities) for part in parts]
        if len(operands) == 1:
            return UNARY[str(operator)](operands[0])
        return BINARY[str(operator)](operands[0], operands[1])


def text(expression: Expression) -> str:
    """Write an expression as people do."""
    if isinstance(expression, str):
        return expression
    operator, *parts = expression
    return _TEXTS[str(operator)].format(*map(text, parts))


def grow(expressions: Mapping[Expression, Unit]) -> Iterator[tuple[Expression, Unit]]:
    """Generate all expressions with one operator more, from some with their units."""
    for expression, unit in expressions.items():
        for operator in UNARY:
            if operator in _POWERS:
                yield (operator, expression), _power(unit, _POWERS[operator])
            elif unit == PURE:
                yield (operator, expression), PURE
    for (a, a_unit), (b, b_unit) in itertools.combinations(expressions.items(), 2):
        if a_unit == b_unit:
            yield from (((operator, a, b), a_unit) for operator in ("+", "-", "distance"))
        yield ("*", a, b), _product(a_unit, b_unit)
        yield ("/", a, b), _product(a_unit, _power(b_unit, Fraction(-1)))
        yield ("/", b, a), _product(b_unit, _power(a_unit, Fraction(-1)))


def distinct(
    candidates: Sequence[tuple[Expression, Unit]], quantities: Quantities, *, digits: int = 7
) -> dict[Expression, Unit]:
    """Leave out expressions without a value, nearly constant ones, and multiples of earlier ones."""
    selected, keys = {}, set()
    for expression, unit in candidates:
        values = evaluate(expression, quantities)
        scaled = standardized(values)
        if scaled is not None:
            key = np.round(scaled * np.sign(scaled[np.abs(scaled).argmax()]), digits).tobytes()
            if key not in keys:
                keys.add(key)
                selected[expression] = unit
    return selected


def standardized(values: Values) -> Values | None:
    """Scale values to mean 0 and standard deviation 1; None where they are too large or nearly constant."""
    largest = np.abs(values).max()
    if not (largest < 1e8):  # also where one is not a number
        return None
    spread = values.std()
    return None if spread <= 1e-6 * largest else (values - values.mean()) / spread


def _power(unit: Unit, exponent: Fraction) -> Unit:
    return frozenset((name, power * exponent) for name, power in unit)


def _product(a: Unit, b: Unit) -> Unit:
    powers = dict(a)
    for name, power in b:
        powers[name] = powers.get(name, Fraction(0)) + power
    return frozenset((name, power) for name, power in powers.items() if power)
