"""The stoichiometric norms: equal to matminer's, and what they must be for simple ratios."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.pipelines.descriptors.composition import stoichiometry
from matstrata.schemas.composition import parse_formula

FORMULAS = (
    "Fe",
    "GaN",
    "Fe2O3",
    "BaTiO3",
    "Ca10(PO4)6(OH)2",
    "Cu1.8S",
    "Hg0.7Cd0.3Te",
    "CoCrFeMnNi",
    "C60",
    "Pb0.999Sn0.001Te",
)


def lists(*formulas: str) -> tuple[pa.ListArray, pa.ListArray]:
    compositions = [parse_formula(formula) for formula in formulas]
    return (
        pa.array([c.elements for c in compositions], pa.list_(pa.string())),
        pa.array([c.fractions for c in compositions], pa.list_(pa.float64())),
    )


def test_equals_matminer() -> None:
    from matminer.featurizers.composition import Stoichiometry  # deferred: 4 s
    from pymatgen.core.composition import Composition

    featurizer = Stoichiometry()
    theirs = np.array([featurizer.featurize(Composition(formula)) for formula in FORMULAS], dtype=float)
    ours, reasons = stoichiometry.compute(*lists(*FORMULAS))
    assert [column.matminer for column in stoichiometry.COLUMNS] == featurizer.feature_labels()
    assert reasons == [None] * len(FORMULAS)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0)


def test_norms_of_simple_ratios() -> None:
    matrix, _ = stoichiometry.compute(*lists("Fe", "GaN"))
    np.testing.assert_array_equal(matrix[0], 1)  # an element by itself
    assert matrix[1, 0] == 2
    assert matrix[1, 1] == pytest.approx(np.sqrt(0.5))


def test_deuterium_is_described_like_any_element() -> None:
    matrix, reasons = stoichiometry.compute(*lists("D2O", "H2O", "HDO"))
    assert reasons == [None, None, None]
    np.testing.assert_array_equal(matrix[0], matrix[1])
    assert matrix[2, 0] == 3


def test_an_empty_composition_says_so() -> None:
    matrix, reasons = stoichiometry.compute(
        pa.array([[], ["Fe"]], pa.list_(pa.string())), pa.array([[], [1.0]], pa.list_(pa.float64()))
    )
    assert reasons == ["the composition has no elements", None]
    assert np.isnan(matrix[0]).all()
    assert not np.isnan(matrix[1]).any()


def test_nothing_in_nothing_out() -> None:
    matrix, reasons = stoichiometry.compute(*lists())
    assert matrix.shape == (0, 6)
    assert reasons == []


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=10, unique=True), st.floats(0.01, 100))
def test_norms_fall_with_the_power_and_ignore_order_and_scale(amounts: list[float], factor: float) -> None:
    symbols = ["H", "Li", "Na", "K", "Rb", "Cs", "Fr", "F", "Cl", "Br"][: len(amounts)]
    matrix, _ = stoichiometry.compute(
        pa.array([symbols, symbols]), pa.array([amounts, [amount * factor for amount in reversed(amounts)]])
    )
    np.testing.assert_allclose(matrix[0], matrix[1], rtol=1e-9)
    assert (np.diff(matrix[0, 1:]) <= 1e-12).all()
    assert matrix[0, -1] <= 1 + 1e-12
