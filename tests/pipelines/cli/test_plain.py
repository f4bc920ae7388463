"""Tables are laid out by what matters: columns left out, names cut, prose broken between words, points aligned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.pipelines.cli.plain import Column, Shape, aligned, lay_out, significant

SOURCES = [
    Column("source", ["refractiveindex_info", "lab"], rank=0),
    Column("records in", ["804", "47,737"], Shape.NUMBER, rank=1),
    Column("kind", ["experiment", "computation"], rank=3),
    Column("title", ["Refractive indices of many materials, by hand", "Gaps"], Shape.PROSE, rank=2),
]


def test_everything_fits_a_wide_terminal() -> None:
    layout = lay_out(SOURCES, 120)
    assert layout == lay_out(SOURCES, None)
    assert layout.head[0].split() == ["source", "records", "in", "kind", "title"]
    assert layout.rows[0].endswith("of many materials, by hand")
    assert (layout.hidden, layout.shortened) == ((), False)


def test_prose_is_broken_between_words() -> None:
    layout = lay_out(SOURCES, 70)
    assert layout.hidden == ()
    assert layout.rows[0].endswith("   Refractive indices of")
    assert [line.strip() for line in layout.rows[1:]] == ["many materials, by hand", layout.rows[-1]]
    assert not layout.shortened


def test_the_least_important_column_goes_first() -> None:
    assert lay_out(SOURCES, 55).hidden == ("kind",)
    assert lay_out(SOURCES, 40).hidden == ("kind", "title")
    assert lay_out(SOURCES, 5).hidden == ("records in", "kind", "title")


def test_a_title_breaks_between_its_words_only() -> None:
    layout = lay_out([Column("records in", ["1"], Shape.NUMBER), Column("x" * 20, ["y"])], 30)
    assert layout.head[0].strip() == "records"
    assert layout.head[1].split() == ["in", "x" * 20]


def test_a_name_is_cut_only_where_nothing_else_can_give_way() -> None:
    layout = lay_out([Column("id", ["abcdefghij"])], 6)
    assert (layout.rows, layout.shortened) == (("abcde…",), True)


def test_numbers_are_never_cut() -> None:
    columns = [Column("a", ["x" * 40]), Column("n", ["123,456,789"], Shape.NUMBER, rank=1)]
    assert "123,456,789" in lay_out(columns, 40).rows[0]


TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")), min_size=1), max_size=4).map(
    " ".join
)


@given(
    st.lists(
        st.tuples(TEXTS, st.lists(TEXTS, min_size=2, max_size=2), st.sampled_from(Shape), st.integers(0, 9)), min_size=1
    ),
    st.integers(20, 120),
)
def test_no_line_is_wider_than_the_terminal(drawn, width: int) -> None:
    from rich.cells import cell_len

    columns = [Column(title or "x", cells, shape, rank) for title, cells, shape, rank in drawn]
    layout = lay_out(columns, width)
    narrowest = min(columns, key=lambda column: column.rank)
    if narrowest.shape is not Shape.NUMBER and max(map(cell_len, narrowest.title.split())) <= width:
        assert max(map(cell_len, (*layout.head, *layout.rows))) <= width
    assert len(layout.hidden) < len(columns)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"), (2.31234567, "2.312"), (1234.5678, "1235"), (47737.0, "47737"), (1652858482.3, "1.653e+09"),
        (0.00012345, "0.0001234"), (6.62607e-34, "6.626e-34"), (-3.0, "-3"), (0.0, "0"), (float("nan"), "nan"),
        (float("-inf"), "-inf"), (9.9999, "10"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_data_keep_what_is_before_the_point() -> None:
    assert significant(123456789.125, 6, 1e15) == "123456789"
    assert significant(2.31234567, 6, 1e15) == "2.31235"


def test_points_stand_in_one_column() -> None:
    texts = aligned(["3.4", "", "12", "-0.125", "1.5e-07"])
    assert texts == ["3.4    ", "", "12      ", "-0.125  ", "1.5e-07"]
    width = max(map(len, texts))
    places = {text.rjust(width).index(".") for text in texts if "." in text}
    assert len(places) == 1
