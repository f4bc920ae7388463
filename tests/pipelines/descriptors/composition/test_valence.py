"""Charges that balance, and do not; the composition as roots of fractions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.pipelines.descriptors.composition import hellinger, valence
from matstrata.schemas.composition import parse_formula

NAMES = [column.name for column in valence.COLUMNS]


def lists(*formulas: str) -> tuple[pa.ListArray, pa.ListArray]:
    compositions = [parse_formula(formula) for formula in formulas]
    return (
        pa.array([c.elements for c in compositions], pa.list_(pa.string())),
        pa.array([c.fractions for c in compositions], pa.list_(pa.float64())),
    )


def of(formula: str) -> dict[str, float]:
    matrix, reasons = valence.compute(*lists(formula))
    assert reasons == [None]
    return dict(zip(NAMES, matrix[0].tolist(), strict=True))


@pytest.mark.parametrize("formula", ["NaCl", "GaAs", "Fe2O3", "BaTiO3", "CuInSe2", "Mg2Si", "D2O", "Ag2Ge4Pb7Se16"])
def test_salts_and_semiconductors_balance(formula: str) -> None:
    assert of(formula)["charge_imbalance"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("formula", ["Fe2Zr", "CoCrFeMnNi", "Ni3Al"])
def test_intermetallics_do_not(formula: str) -> None:
    found = of(formula)
    assert found["charge_imbalance"] > 1
    assert found["anion_cation_difference"] == -1


def test_octet_compounds_have_eight_electrons_per_anion() -> None:
    for formula in ("GaAs", "NaCl", "Mg2Si", "ZnS", "CuInSe2"):
        assert of(formula)["electrons_per_anion"] == pytest.approx(8)


def test_the_electronegative_element_takes_the_electrons() -> None:
    found = of("CaF2")
    assert (found["largest_charge"], found["smallest_charge"]) == (2, -1)
    assert found["anion_electronegativity"] == pytest.approx(3.98)
    assert found["charge_transfer"] == pytest.approx(2 / 3)
    assert found["ionic_character_max"] == pytest.approx(1 - np.exp(-0.25 * (3.98 - 1.0) ** 2))


def test_noble_gases_are_described_and_neutral() -> None:
    assert of("Ar")["charge_transfer"] == 0


def test_many_elements_leave_the_balance_open() -> None:
    matrix, reasons = valence.compute(*lists("LiNaKRbCsMgCaSrBaZnCdHgO"))
    assert reasons == [None]
    assert np.isfinite(matrix[0, :6]).all()
    assert np.isnan(matrix[0, 6:]).all()


@given(st.permutations(["Li", "Fe", "P", "O"]))
def test_the_order_of_the_elements_does_not_matter(order: list[str]) -> None:
    amounts = {"Li": 1.0, "Fe": 1.0, "P": 1.0, "O": 4.0}
    matrix, _ = valence.compute(pa.array([order]), pa.array([[amounts[symbol] for symbol in order]]))
    expected, _ = valence.compute(*lists("LiFePO4"))
    np.testing.assert_allclose(matrix, expected, atol=1e-9)


def test_hellinger_distances_are_those_of_the_compositions() -> None:
    matrix, reasons = hellinger.compute(*lists("GaAs", "GaP", "HDO", "H2O"))
    assert reasons == [None] * 4
    np.testing.assert_allclose((matrix**2).sum(axis=1), 1)
    assert np.linalg.norm(matrix[0] - matrix[1]) == pytest.approx(1)  # half of the atoms shared
    np.testing.assert_allclose(matrix[2], matrix[3])
