"""The declared tables: each column of a key exists, and the label of a feature set's version is its table's name."""

from __future__ import annotations

import pytest

from matstrata.schemas.tables import TABLES, feature_label


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.key], ids=lambda table: table.name)
def test_a_key_is_made_of_columns(table):
    assert set(table.key) <= set(table.column_names)
    assert len(set(table.key)) == len(table.key)


def test_the_tables_that_are_looked_up_by_their_key_have_one():
    with_key = {name for name, table in TABLES.items() if table.key}
    assert with_key >= {"sources", "materials", "structures", "observations", "feature_sets", "models", "releases"}


def test_a_version_of_a_feature_set_has_a_label():
    assert feature_label("magpie", 2) == "magpie_v2"
