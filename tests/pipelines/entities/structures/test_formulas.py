"""Formulas of cells: exact where they can be, readable where they were rounded."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.pipelines.entities.structures.formulas import exact_occupancy, reduced_formula, total_amounts
from matstrata.schemas.composition import parse_formula
from matstrata.schemas.elements import ELEMENTS


@pytest.mark.parametrize(
    ("amounts", "formula"),
    [
        ({"Na": 4, "Cl": 4}, "ClNa"),
        ({"Si": 2, "C": "1.922", "B": "0.078"}, "B39C961Si1000"),
        ({"In": 4, "Te": "3.636364"}, "In11Te10"),
        ({"C": 1201, "H": 1}, "C1201H"),
        ({"Si": 1, "P": "0.00001"}, "P0.001Si100"),
    ],
)
def test_examples(amounts: dict[str, str], formula: str) -> None:
    assert reduced_formula({symbol: Fraction(amount) for symbol, amount in amounts.items()}) == formula


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (1.0, Fraction(1)),
        (0.3333, Fraction(1, 3)),
        (0.6667, Fraction(2, 3)),
        (0.333, Fraction(333, 1000)),
        (0.1428571, Fraction(1, 7)),
        (0.999, Fraction(999, 1000)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_occupancies(written: float, meant: Fraction) -> None:
    assert exact_occupancy(written) == meant


@given(st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 1000), min_size=1, max_size=6))
def test_ordered_cells_are_exact(amounts: dict[str, int]) -> None:
    written = "".join(f"{symbol}{amount}" for symbol, amount in amounts.items())
    found = reduced_formula(total_amounts((s, 1.0) for s, n in amounts.items() for _ in range(n)))
    assert found == parse_formula(written).material_id


@given(st.dictionaries(st.sampled_from(ELEMENTS), st.floats(1e-5, 50), min_size=1, max_size=5))
def test_any_amounts_give_a_formula_near_them(amounts: dict[str, float]) -> None:
    exact = {symbol: Fraction(f"{amount:.6f}") for symbol, amount in amounts.items()}
    found = parse_formula(reduced_formula(exact))
    total = sum(exact.values())
    for symbol, fraction in zip(found.elements, found.fractions, strict=True):
        assert fraction == pytest.approx(float(exact[symbol] / total), abs=2e-4)
