"""The formula of a cell's contents, where occupancies are decimals that someone rounded.

Not here: reading formulas (`schemas.composition`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

_LARGEST = 1000
"""`parse_formula` takes larger amounts for slips, so larger ones are written with decimals."""

_ROUNDING = 4e-5
"""0.3333 stands for 1/3: thirds and the like are taken for exact where they were rounded to four digits or more."""

_UNENDING = (3, 6, 7, 9, 11, 12)

_SLACK = Fraction(1, 200_000)


def reduced_formula(amounts: Mapping[str, Fraction]) -> str:
    """Write amounts as the simplest formula: Si1000B39C961 becomes `B39C961Si1000`, Na4Cl4 becomes `ClNa`.

    Args:
        amounts: Exact positive amounts of the elements in a cell.

    Returns:
        A formula that `schemas.composition.parse_formula` reads, in alphabetical order.
    """
    whole = _whole(amounts)
    if max(whole.values()) <= _LARGEST or all(amount.denominator == 1 for amount in amounts.values()):
        return "".join([symbol if amount == 1 else f"{symbol}{amount}" for symbol, amount in sorted(whole.items())])
    simple = _simplified(amounts)
    if simple is not None:
        return reduced_formula(simple)
    tens = 10 ** (len(str(max(whole.values()))) - 3)
    written = [f"{symbol}{_decimal(Fraction(amount, tens))}" for symbol, amount in sorted(whole.items())]
    return "".join(written)


def total_amounts(occupancies: Iterable[tuple[str, float]]) -> dict[str, Fraction]:
    """Sum occupancies exactly, so that no rounding error of binary numbers enters a formula."""
    counts: dict[tuple[str, float], int] = {}
    for item in occupancies:
        counts[item] = counts.get(item, 0) + 1
    total: dict[str, Fraction] = {}
    for (symbol, occupancy), count in counts.items():
        total[symbol] = total.get(symbol, Fraction(0)) + count * exact_occupancy(occupancy)
    return total


@lru_cache(maxsize=4096)
def exact_occupancy(value: float) -> Fraction:
    """The number that an occupancy stands for: its first six decimals, or a third and the like."""
    if value == 1:
        return Fraction(1)
    for denominator in _UNENDING:
        simple = Fraction(round(value * denominator), denominator)
        if simple.denominator in _UNENDING and abs(value - simple) <= _ROUNDING:
            return simple
    return Fraction(f"{value:.6f}")


def _whole(amounts: Mapping[str, Fraction]) -> dict[str, int]:
    denominator = lcm(*[amount.denominator for amount in amounts.values()])
    whole = {symbol: int(amount * denominator) for symbol, amount in amounts.items()}
    divisor = gcd(*whole.values())
    return {symbol: amount // divisor for symbol, amount in whole.items()}


def _simplified(amounts: Mapping[str, Fraction]) -> dict[str, Fraction] | None:
    """Undo a normalization: In4Te3.636364 was In1.1Te, divided so that no occupancy exceeds 1."""
    for number in range(1, 13):
        for reference in sorted(amounts):
            scaled = {symbol: amount * number / amounts[reference] for symbol, amount in amounts.items()}
            rounded = {symbol: Fraction(round(amount * 1000), 1000) for symbol, amount in scaled.items()}
            near = all(abs(scaled[symbol] - rounded[symbol]) <= _SLACK for symbol in scaled)
            if near and all(rounded.values()) and max(_whole(rounded).values()) < max(_whole(amounts).values()):
                return rounded
    return None


def _decimal(amount: Fraction) -> str:
    text = f"{float(amount):.9f}".rstrip("0").rstrip(".")
    return "" if text == "1" else text
