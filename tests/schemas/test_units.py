"""Units convert as physics says, and what is no unit, or another quantity, is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import constants

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.units import check_unit, convert, likely_units


@pytest.mark.parametrize(
    ("unit", "to", "factor"),
    [
        ("eV", "eV", 1.0),
        ("meV", "eV", 1e-3),
        ("J", "eV", 1 / constants.eV),
        ("Ry", "eV", constants.value("Rydberg constant times hc in eV")),
        ("uV/K", "V/K", 1e-6),
        ("1/cm**3", "1/m**3", 1e6),
        ("W/(m*K*s)", "W/m/K/s", 1.0),
        ("kbar", "GPa", 0.1),
        ("m_e", "kg", constants.m_e),
        ("eV/angstrom**3", "GPa", constants.eV * 1e30 / 1e9),
        ("meV/atom", "eV/atom", 1e-3),
        ("percent", "1", 0.01),
        ("kJ/mol/atom", "eV/atom", 1000 / constants.N_A / constants.eV),  # as formation enthalpies are tabulated
        ("eV", "kcal/mol", constants.eV * constants.N_A / 4184),
        ("THz", "1/cm", 1e12 / constants.c / 100),
        ("1/cm", "eV", 100 * constants.h * constants.c / constants.eV),
        ("kgf/mm^2", "GPa", constants.g * 1e6 / 1e9),  # hardness by Vickers
    ],
)
def test_conversion_factors_are_those_of_the_constants(unit: str, to: str, factor: float) -> None:
    assert_allclose(convert(np.array([0.0, 1.0, -2.5]), unit, to), np.array([0.0, 1.0, -2.5]) * factor, rtol=1e-7)


def test_celsius_has_an_offset() -> None:
    assert_allclose(convert(np.array([25.0]), "degC", "K"), [298.15])


def test_missing_values_stay_missing() -> None:
    assert_allclose(convert(np.array([np.nan, 1000.0]), "meV", "eV"), [np.nan, 1.0])


@given(st.lists(st.floats(1e-9, 1e9), max_size=5))
def test_converting_there_and_back_changes_nothing(values: list[float]) -> None:
    there = convert(np.array(values), "meV", "J")
    assert_allclose(convert(there, "J", "meV"), values, rtol=1e-12)


@pytest.mark.parametrize(
    ("unit", "to"), [("eV", "K"), ("eV/atom", "eV"), ("nm", "eV"), ("GPa", "1"), ("kJ/mol", "eV/atom")]
)
def test_a_unit_of_another_quantity_is_refused(unit: str, to: str) -> None:
    with pytest.raises(InputError, match="can't be converted"):
        convert(np.ones(1), unit, to)


@pytest.mark.parametrize(
    "unit", ["electronvolts each", "eV(", "eV#K", "eV'K", "2*eV", "eV/", "eV/0", "K\n", "9**9**9**9", "m^99999"]
)
def test_what_is_no_unit_is_refused(unit: str) -> None:
    with pytest.raises(InputError, match="unknown unit"):
        check_unit(unit)


@pytest.mark.parametrize(
    ("name", "median", "unit"),
    [
        ("band_gap", 1300, "meV"),
        ("bulk_modulus", 98_000, "MPa"),  # of silicon
        ("density", 5_320, "kg/m^3"),  # of germanium
        ("thermal_conductivity", 148_000, "mW/m/K"),  # of silicon
        ("tensile_strength", 0.9, "GPa"),
        ("formation_energy", -120, "kJ/mol/atom"),
        ("phonon_peak", 12, "THz"),
        ("effective_mass_p", 4.9e-31, "kg"),
    ],
)
def test_a_median_betrays_its_unit_and_the_unit_can_be_declared(name: str, median: float, unit: str) -> None:
    declared = get_property(name)
    factors = dict(likely_units(median, declared.unit, declared.typical))
    assert unit in factors
    (converted,) = convert(np.array([median]), unit, declared.unit)
    assert_allclose(converted, median / factors[unit])
    assert declared.typical[0] <= converted <= declared.typical[1]


@given(st.text(max_size=8))
def test_any_text_is_a_unit_or_an_input_error(text: str) -> None:
    try:
        assert check_unit(text) == text
    except InputError as error:
        assert repr(text) in str(error)  # noqa: PT017
