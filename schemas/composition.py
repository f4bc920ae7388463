"""Compositions: exact amounts of elements, and the two keys that are made of them, `material_id` and `group_id`.

Not here: how formulas are written and misspelt (`schemas.formula`), or anything that is known about an element.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, lcm

from matstrata.schemas.elements import HYDROGEN_ISOTOPES, SYMBOLS
from matstrata.schemas.formula import FormulaError, quoted, read_amounts

__all__ = ["GROUP_TOLERANCE", "Composition", "FormulaError", "parse_formula", "read_key"]

GROUP_TOLERANCE = 0.01
"""How far an atomic fraction may lie from the group's simplest formula; recorded because splits depend on it."""

_PER_TOLERANCE = round(1 / GROUP_TOLERANCE)

# Symbols with whole amounts only; the digits are bounded so that int() is always quick.
_PLAIN_ITEM = re.compile(r"([A-Z][a-z]?)([1-9][0-9]{0,8})?")


@dataclass(frozen=True, slots=True)
class Composition:
    """The composition of a material, as the smallest whole amounts; make one with `parse_formula`."""

    amounts: tuple[tuple[str, int], ...]
    """(symbol, amount) in alphabetical order of the symbols; the amounts have no common divisor."""
    space_group: int | None = None
    """Number of the space group (1 to 230) where the formula carried one, as in `AgCNO,65`."""

    @property
    def material_id(self) -> str:
        """The exact key: OPTIMADE's `chemical_formula_reduced`, such as `Ag2Ge4Pb7Se16`."""
        return _written(self.amounts)

    @property
    def group_id(self) -> str:
        """The coarse key: the simplest formula within `GROUP_TOLERANCE` of every atomic fraction, D and T being H."""
        return _group_id(self.amounts)

    @property
    def elements(self) -> tuple[str, ...]:
        """The symbols, alphabetical."""
        return tuple([symbol for symbol, _ in self.amounts])

    @property
    def fractions(self) -> tuple[float, ...]:
        """The atomic fractions, in the order of `elements`; they sum to 1."""
        total = sum([amount for _, amount in self.amounts])
        return tuple([amount / total for _, amount in self.amounts])

    @property
    def chemical_system(self) -> str:
        """The symbols joined, such as `Ga-N`."""
        return "-".join(self.elements)

    @property
    def n_elements(self) -> int:
        """How many elements there are."""
        return len(self.amounts)


@lru_cache(maxsize=2**15)
def parse_formula(text: str, *, max_amount: float = 1000) -> Composition:
    """Read a formula exactly: `Cu1.8S` is `Cu9S5`, and `Pb0.999Sn0.001Te` never becomes `PbTe`.

    Brackets, decimals, subscripts, hydrates (`CuSO4·5H2O`, also with `*` or `.`) and a trailing space group number
    (`AgCNO,65`) are understood; D and T are elements of their own; an element named twice is summed.

    Args:
        text: The formula as written.
        max_amount: The largest amount of one element, as written; more is taken for a slip (`Ga1128`).

    Returns:
        The composition, with amounts reduced to the smallest whole numbers.

    Raises:
        FormulaError: `formula.empty`, `.syntax`, `.unknown_element`, `.amount_out_of_range`, `.charged`,
            `.variable_amount` or `.dopant_notation`.
    """
    return Composition(*_read(text, max_amount))


def read_key(text: str, max_amount: float) -> tuple[str, int | None]:
    """The `material_id` and the space group of `parse_formula`, for formulas by the hundred thousand: nothing is kept.

    Raises:
        FormulaError: as `parse_formula`.
    """
    amounts, space_group = _read(text, max_amount)
    return _written(amounts), space_group


def _read(text: str, max_amount: float) -> tuple[tuple[tuple[str, int], ...], int | None]:
    words = _PLAIN_ITEM.split(text)  # between, symbol, digits, between, symbol, digits, ..., between
    if len(words) == 1 or any(words[::3]):
        return _read_with_care(text, max_amount)
    amounts: dict[str, int] = {}
    for symbol, digits in zip(words[1::3], words[2::3], strict=True):
        amounts[symbol] = amounts.get(symbol, 0) + (int(digits) if digits else 1)
    if not amounts.keys() <= SYMBOLS or max(amounts.values()) > max_amount:
        return _read_with_care(text, max_amount)
    return _reduced(amounts), None


def _read_with_care(text: str, max_amount: float) -> tuple[tuple[tuple[str, int], ...], int | None]:
    amounts, space_group = read_amounts(text)
    for symbol, amount in amounts.items():
        if amount > max_amount:
            reason = (
                f"Formula {quoted(text)}: the amount of {symbol} exceeds {max_amount:g}; "
                "correct it, or raise max_amount if the material is really like this."
            )
            raise FormulaError("formula.amount_out_of_range", reason)
    denominator = lcm(*[amount.denominator for amount in amounts.values()])
    return _reduced({symbol: int(amount * denominator) for symbol, amount in amounts.items()}), space_group


def _reduced(amounts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    divisor = gcd(*amounts.values())
    if divisor == 1:
        return tuple(sorted(amounts.items()))
    return tuple([(symbol, amount // divisor) for symbol, amount in sorted(amounts.items())])


def _written(amounts: tuple[tuple[str, int], ...]) -> str:
    return "".join([symbol if amount == 1 else f"{symbol}{amount}" for symbol, amount in amounts])


def _group_id(amounts: tuple[tuple[str, int], ...]) -> str:
    merged: dict[str, int] = {}
    for symbol, amount in amounts:
        key = "H" if symbol in HYDROGEN_ISOTOPES else symbol
        merged[key] = merged.get(key, 0) + amount
    simplest = {key: amount for key, amount in zip(merged, _simplest(tuple(merged.values())), strict=True) if amount}
    return _written(_reduced(simplest))


@lru_cache(maxsize=2**15)
def _simplest(amounts: tuple[int, ...]) -> tuple[int, ...]:
    """Whole numbers out of the smallest possible N that match every fraction within the tolerance.

    Worked in integers, so that the answer depends on no rounding error: |a/A - r/N| <= 1/p is p |aN - rA| <= AN.
    """
    total = sum(amounts)
    for size in range(1, total + 1):  # at `total` the match is exact; in practice 1 / (2 GROUP_TOLERANCE) suffices
        rounded = []
        for amount in amounts:
            nearest, rest = divmod(amount * size, total)
            if 2 * rest > total or (2 * rest == total and nearest % 2):  # a tie goes to the even number
                nearest += 1
            if _PER_TOLERANCE * abs(amount * size - nearest * total) > total * size:
                break
            rounded.append(nearest)
        else:
            if any(rounded):
                return tuple(rounded)
    return amounts
