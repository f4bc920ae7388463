"""What a feature set declares covers what its values depend on; packages add sets, and cost no other."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.descriptors import registry
from matstrata.pipelines.descriptors.registry import FEATURE_SETS, get_feature_set
from matstrata.store.lake.code import reachable_code
from matstrata.store.lake.signatures import PACKAGES

OWN = ["magpie", "stoichiometry", "hellinger", "valence"]
MODULE = """
import numpy as np
from matstrata.schemas.tables import REAL, Column
from matstrata.store.features.sets import FeatureSet

def compute(elements, fractions):
    return np.array([[len(each)] for each in elements.to_pylist()], dtype=float), [None] * len(elements)

def declare(name="sizes", **fields):
    columns = (Column("size", REAL, "Number of elements"),)
    return FeatureSet(name=name, description="sizes", columns=columns, compute=compute, **fields)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package whose entry point is the last line of its module."""

    def install(module: str, expression: str) -> None:
        folder = tmp_path / module
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(f"{MODULE}\nFEATURE_SETS = {expression}\n")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{module} = {module}:FEATURE_SETS\n")
        monkeypatch.syspath_prepend(folder)
        installed.append(module)

    installed: list[str] = []
    registry._contributed.cache_clear()
    yield install
    registry._contributed.cache_clear()
    for module in installed:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", OWN)
def test_the_libraries_that_compute_are_part_of_the_signature(name):
    code = reachable_code([FEATURE_SETS[name].compute], PACKAGES)
    imported = {line.split()[1].partition(".")[0] for line in code if line.startswith("import ")}
    # pyarrow only carries the numbers
    assert set(FEATURE_SETS[name].libraries) == imported - sys.stdlib_module_names - {"pyarrow"}


@pytest.mark.parametrize("expression", ['declare("theirs")', '[declare("theirs"), declare("more")]'])
def test_an_installed_package_brings_one_set_or_several(install, expression):
    install("contributor", expression)
    matrix, reasons = get_feature_set("theirs").compute(pa.array([["Ga", "N"]]), pa.array([[0.5, 0.5]]))
    np.testing.assert_array_equal(matrix, [[2]])
    assert reasons == [None]
    assert list(FEATURE_SETS) == [*OWN, "theirs", *(["more"] if "more" in expression else [])]
    assert len(FEATURE_SETS) == len(list(FEATURE_SETS))


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        (
            'declare("magpie")',
            "set magpie is left out: the name is taken; the package contributor 1.0 must give",
        ),
        (
            "1 / 0",
            "of the package contributor 1.0 are left out: they can't be imported (ZeroDivisionError: division by zero); update",
        ),
        ("compute", "contributor:FEATURE_SETS of the package contributor 1.0 is a function, not a FeatureSet"),
        ('declare("Robert; DROP")', "a name of lower-case letters, digits and underscores"),
        ('declare("sizes_v2")', "that does not end like a version"),
        ('declare(entity="galaxy")', "for the unknown entity 'galaxy'; available: material, structure"),
    ],
)
def test_a_package_that_is_wrong_costs_a_sentence_and_no_other_set(install, caplog, expression, sentence):
    install("contributor", expression)
    install("sound", 'declare("sound")')
    with caplog.at_level(logging.WARNING, "matstrata.descriptors"):
        assert list(FEATURE_SETS) == [*OWN, "sound"]
    assert len(caplog.messages) == 1
    assert sentence in caplog.messages[0]


def test_of_two_packages_with_one_name_the_first_by_alphabet_keeps_it(install, caplog):
    install("b_late", "declare()")
    install("a_early", "declare()")
    with caplog.at_level(logging.WARNING, "matstrata.descriptors"):
        feature_set = get_feature_set("sizes")
    assert feature_set.compute.__module__ == "a_early"
    assert "the package b_late 1.0 must give it another" in caplog.messages[0]


def test_a_package_is_loaded_only_when_its_sets_are_asked_for(install):
    install("costly", "declare()")
    get_feature_set("magpie")
    assert "costly" not in sys.modules
    get_feature_set("sizes")
    assert "costly" in sys.modules
