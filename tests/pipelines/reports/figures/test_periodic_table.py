"""Every element in its place."""

from __future__ import annotations

import pytest

from matstrata.pipelines.reports.figures.periodic_table import PLACES
from matstrata.schemas.elements import ELEMENTS


def test_every_element_has_a_place_of_its_own() -> None:
    assert tuple(PLACES) == ELEMENTS
    assert len(set(PLACES.values())) == 118


@pytest.mark.parametrize(
    ("symbol", "place"),
    [("H", (0, 0)), ("He", (0, 17)), ("B", (1, 12)), ("Mg", (2, 1)), ("Sc", (3, 2)), ("Zn", (3, 11)), ("Ba", (5, 1)),
     ("La", (7, 2)), ("Yb", (7, 15)), ("Lu", (5, 2)), ("Hf", (5, 3)), ("No", (8, 15)), ("Lr", (6, 2)), ("Og", (6, 17))],
)  # fmt: skip
def test_known_places(symbol: str, place: tuple[int, int]) -> None:
    assert PLACES[symbol] == place
