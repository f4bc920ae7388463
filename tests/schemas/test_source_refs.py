"""`source` and `source:method`: read and written in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.schemas.source_refs import SourceRef


@pytest.mark.parametrize(
    ("text", "source", "method"),
    [("lab", "lab", ""), ("lab:HSE06", "lab", "HSE06"), ("lab:a: b", "lab", "a: b"), ("lab:", "lab", "")],
)
def test_a_reference_is_read(text, source, method):
    assert SourceRef.parse(text) == SourceRef(source, method)


@given(st.text(st.characters(exclude_characters=":"), min_size=1), st.text())
def test_a_reference_is_read_as_it_was_written(source, method):
    assert SourceRef.parse(str(SourceRef(source, method))) == SourceRef(source, method)


def test_a_source_without_method_is_written_as_its_name():
    assert str(SourceRef("lab")) == "lab"
