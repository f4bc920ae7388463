"""Quoting: any text comes back from SQL as it went in, and nothing in it is taken for SQL."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matstrata.store.lake.sql import identifier, literal, literals

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))  # SQL knows no zero character


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(TEXTS)
@example("it's")
@example("''; DROP TABLE x; --")
@example("two\nlines\r\n\tand a tab")
@example('"double" \\ back\\slash $1 ? {}')
@example("")
def test_a_literal_comes_back_as_it_was(con, text):
    assert con.execute(f"SELECT {literal(text)}").fetchall() == [(text,)]


@given(st.lists(TEXTS, min_size=1))
@example(["a', 'b", "c"])
def test_literals_are_a_list_of_as_many_texts(con, texts):
    assert con.execute(f"SELECT [{literals(texts)}]").fetchall() == [(texts,)]


@given(TEXTS.filter(bool))
@example('say "please"')
@example("select")
@example("a'b; --")
def test_an_identifier_names_a_column(con, name):
    (row,) = con.execute(f"SELECT {identifier(name)} FROM (SELECT 7 AS {identifier(name)})").fetchall()
    assert row == (7,)
    assert con.execute(f"SELECT 1 AS {identifier(name)}").description[0][0] == name
