"""Dispersion forms against the literature and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matstrata.pipelines.ingest.readers.dispersion import FORMULAS, DispersionError, evaluate, interpolate

D = 0.5893  # sodium D line, micrometres


@pytest.mark.parametrize(
    ("formula", "coefficients", "wavelength", "n"),
    [
        # Malitson 1965 (doi:10.1364/JOSA.55.001205), fused silica; his table: 1.45846 at 587.6 nm, 1.44402 at 1.55 um
        (1, [0, 0.6961663, 0.0684043, 0.4079426, 0.1162414, 0.8974794, 9.896161], 0.587561, 1.45846),
        (1, [0, 0.6961663, 0.0684043, 0.4079426, 0.1162414, 0.8974794, 9.896161], 1.55, 1.44402),
        # Schott N-BK7 datasheet: n_d = 1.51680, squared resonances
        (2, [0, 1.03961212, 0.00600069867, 0.231792344, 0.0200179144, 1.01046945, 103.560653], 0.5875618, 1.51680),
        # by hand at 0.5 um: 2 + 0.01/0.25 - 0.04 * 0.25 = 2.03
        (3, [2, 0.01, -2, -0.04, 2], 0.5, math.sqrt(2.03)),
        # by hand at 0.5 um: 2 + 0.1/(0.25 - 0.2^2) + 0.3 * 0.25/(0.25 - 1) - 0.04 * 0.25
        (4, [2, 0.1, 0, 0.2, 2, 0.3, 2, 1, 1, -0.04, 2], 0.5, math.sqrt(2 + 0.1 / 0.21 - 0.1 - 0.01)),
        # by hand at 0.5 um: 1.5 + 0.01/0.25 + 0.001/0.0625
        (5, [1.5, 0.01, -2, 0.001, -4], 0.5, 1.556),
        # Peck and Fisher 1964 (doi:10.1364/JOSA.54.001362), argon at 0 C: (n - 1) = 281.8e-6 at the D line
        (6, [6.7867e-5, 0.030182943, 144], D, 1.0002817),
        # by hand at 1 um, L = 1/(1 - 0.028)
        (7, [3, 0.1, 0.01, -0.02, 0.003, -0.0004], 1.0, 3 + 0.1 / 0.972 + 0.01 / 0.972**2 - 0.0174),
        # by hand at 1 um: r = 0.1 + 0.2/(1 - 0.04) + 0.01, n^2 = (1 + 2 r)/(1 - r)
        (8, [0.1, 0.2, 0.04, 0.01], 1.0, math.sqrt((1 + 2 * (0.11 + 0.2 / 0.96)) / (1 - (0.11 + 0.2 / 0.96)))),
        # by hand at 1 um: 2 + 0.1/0.9 + 0.05 * 0.5/(0.25 + 0.1)
        (9, [2, 0.1, 0.1, 0.05, 0.5, 0.1], 1.0, math.sqrt(2 + 0.1 / 0.9 + 0.025 / 0.35)),
    ],
)
def test_each_formula_gives_its_known_value(
    formula: int, coefficients: list[float], wavelength: float, n: float
) -> None:
    assert evaluate(formula, coefficients, wavelength) == pytest.approx(n, abs=5e-6)


def test_silver_bromide_by_the_retro_formula_is_near_its_handbook_value() -> None:
    # AgBr, Schroter 1931: handbook n_D = 2.253
    assert evaluate(8, [0.452505, 0.09939, 0.070537, -0.00015], D) == pytest.approx(2.253, rel=0.005)


@pytest.mark.parametrize(
    ("formula", "coefficients"),
    [
        (1, [0, -5.0, 0.1]),  # n squared below zero
        (2, [0, 1.0, D**2]),  # on the pole
        (3, [1, 1e308, -9, 1e308, -9]),  # beyond what a float holds
        (4, [1, 1, 0, -0.5, 0.5]),  # a complex power
        (8, [1.0]),  # ratio 1: n is infinite
    ],
)
def test_no_real_finite_value_is_nan(formula: int, coefficients: list[float]) -> None:
    assert math.isnan(evaluate(formula, coefficients, D))


@pytest.mark.parametrize("formula", [1, 2, 3, 5, 6])
def test_half_a_pair_of_coefficients_is_an_error(formula: int) -> None:
    with pytest.raises(DispersionError, match="pairs"):
        evaluate(formula, [0, 1.0], D)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_coefficients_is_an_error(formula: int) -> None:
    with pytest.raises(DispersionError, match="no coefficients"):
        evaluate(formula, [], D)


@pytest.mark.parametrize(("formula", "most"), [(7, 6), (8, 4), (9, 6)])
def test_too_many_coefficients_are_an_error(formula: int, most: int) -> None:
    with pytest.raises(DispersionError, match=f"at most {most}"):
        evaluate(formula, [0.1] * (most + 1), D)


@given(
    formula=st.sampled_from(sorted(FORMULAS)),
    coefficients=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=17),
    wavelength=st.floats(0.01, 100),
)
def test_any_coefficients_give_a_float_or_say_what_is_wrong(
    formula: int, coefficients: list[float], wavelength: float
) -> None:
    try:
        value = evaluate(formula, coefficients, wavelength)
    except DispersionError:
        return
    assert isinstance(value, float)
    assert math.isnan(value) or math.isfinite(value)


def test_a_table_is_interpolated_linearly_in_any_order() -> None:
    table = np.array([[0.6, 1.6, 0.2], [0.5, 1.5, 0.1], [0.7, 1.9, 0.3]])
    assert interpolate(table, 0.55) == pytest.approx([1.55, 0.15])
    assert interpolate(table, 0.65) == pytest.approx([1.75, 0.25])
    assert interpolate(table, 0.7) == pytest.approx([1.9, 0.3])


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(-10, 10)), min_size=1, max_size=20), st.data())
def test_an_interpolated_value_lies_within_the_table(points: list[tuple[float, float]], data: st.DataObject) -> None:
    table = np.array(points)
    wavelength = data.draw(st.floats(table[:, 0].min(), table[:, 0].max()))
    (n,) = interpolate(table, wavelength)
    assert table[:, 1].min() - 1e-9 <= n <= table[:, 1].max() + 1e-9
