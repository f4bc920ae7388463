"""What a feature set declares covers what its values depend on."""

from __future__ import annotations

import ast
import sys

import pytest

from matstrata.pipelines.descriptors.registry import FEATURE_SETS


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_the_libraries_that_compute_are_part_of_the_signature(name):
    imported = set()
    for file in FEATURE_SETS[name].code:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    # pyarrow only carries the numbers
    others = imported - sys.stdlib_module_names - {"pipelines", "schemas", "store", "pyarrow"}
    assert set(FEATURE_SETS[name].libraries) == others


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_element_tables_say_where_they_come_from(name):
    assert bool(FEATURE_SETS[name].data_files) <= bool(FEATURE_SETS[name].constants)
