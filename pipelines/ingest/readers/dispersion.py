"""Dispersion relations: the refractive index n at a wavelength, from coefficients or from a table.

The nine formulas are those of the refractiveindex.info database (M. N. Polyanskiy, "Dispersion formulas", in the
database's documentation; described in Sci. Data 11, 94 (2024), doi:10.1038/s41597-023-02898-2). Wavelengths are in
micrometres throughout. Pure physics: no files, no YAML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

_HERZBERGER_UM2 = 0.028  # the constant of Herzberger's formula (M. Herzberger, J. Opt. Soc. Am. 32, 70 (1942))


class DispersionError(ValueError):
    """The coefficients or the table can't be evaluated."""


def _root(n_squared: float) -> float:
    return math.sqrt(n_squared) if n_squared >= 0 else math.nan


def _power(base: float, exponent: float) -> float:
    return math.nan if base < 0 and not float(exponent).is_integer() else base**exponent


def _terms(c: Sequence[float]) -> list[tuple[float, float]]:
    if len(c) % 2 == 0:
        raise DispersionError(f"a constant and pairs of coefficients are needed, but there are {len(c)} coefficients")
    return list(zip(c[1::2], c[2::2], strict=True))


def _padded(c: Sequence[float], length: int) -> Sequence[float]:
    if len(c) > length:
        raise DispersionError(f"at most {length} coefficients are known, but there are {len(c)}")
    return (*c, *(0.0,) * (length - len(c)))


def sellmeier(c: Sequence[float], wl: float) -> float:
    """Formula 1: n² - 1 = C1 + Σ B λ²/(λ² - C²), pairs (B, C)."""
    return _root(1 + c[0] + sum(b * wl**2 / (wl**2 - p**2) for b, p in _terms(c)))


def sellmeier_2(c: Sequence[float], wl: float) -> float:
    """Formula 2: n² - 1 = C1 + Σ B λ²/(λ² - C), pairs (B, C)."""
    return _root(1 + c[0] + sum(b * wl**2 / (wl**2 - p) for b, p in _terms(c)))


def polynomial(c: Sequence[float], wl: float) -> float:
    """Formula 3: n² = C1 + Σ A λ^B, pairs (A, B)."""
    return _root(c[0] + sum(a * wl**b for a, b in _terms(c)))


def refractiveindex_info(c: Sequence[float], wl: float) -> float:
    """Formula 4: n² = C1 + C2 λ^C3/(λ² - C4^C5) + C6 λ^C7/(λ² - C8^C9) + Σ A λ^B, pairs (A, B) from C10 on."""
    first = _padded(c[:9], 9)
    resonances = sum(
        first[i] * wl ** first[i + 1] / (wl**2 - _power(first[i + 2], first[i + 3])) for i in (1, 5) if first[i]
    )
    return _root(c[0] + resonances + sum(a * wl**b for a, b in _terms((0.0, *c[9:]))))


def cauchy(c: Sequence[float], wl: float) -> float:
    """Formula 5: n = C1 + Σ A λ^B, pairs (A, B)."""
    return c[0] + sum(a * wl**b for a, b in _terms(c))


def gases(c: Sequence[float], wl: float) -> float:
    """Formula 6: n - 1 = C1 + Σ B/(C - λ⁻²), pairs (B, C)."""
    return 1 + c[0] + sum(b / (p - wl**-2) for b, p in _terms(c))


def herzberger(c: Sequence[float], wl: float) -> float:
    """Formula 7: n = C1 + C2 L + C3 L² + C4 λ² + C5 λ⁴ + C6 λ⁶ with L = 1/(λ² - 0.028)."""
    a, b1, b2, *even = _padded(c, 6)
    pole = 1 / (wl**2 - _HERZBERGER_UM2)
    return a + b1 * pole + b2 * pole**2 + sum(value * wl ** (2 * i) for i, value in enumerate(even, start=1))


def retro(c: Sequence[float], wl: float) -> float:
    """Formula 8: (n² - 1)/(n² + 2) = C1 + C2 λ²/(λ² - C3) + C4 λ²."""
    c1, c2, c3, c4 = _padded(c, 4)
    ratio = c1 + c2 * wl**2 / (wl**2 - c3) + c4 * wl**2
    return _root((1 + 2 * ratio) / (1 - ratio))


def exotic(c: Sequence[float], wl: float) -> float:
    """Formula 9: n² = C1 + C2/(λ² - C3) + C4 (λ - C5)/((λ - C5)² + C6)."""
    c1, c2, c3, c4, c5, c6 = _padded(c, 6)
    shifted = wl - c5
    return _root(c1 + c2 / (wl**2 - c3) + (c4 * shifted / (shifted**2 + c6) if c4 else 0.0))


FORMULAS: Mapping[int, Callable[[Sequence[float], float], float]] = MappingProxyType(
    dict(
        enumerate(
            (sellmeier, sellmeier_2, polynomial, refractiveindex_info, cauchy, gases, herzberger, retro, exotic),
            start=1,
        )
    )
)


def evaluate(formula: int, coefficients: Sequence[float], wavelength_um: float) -> float:
    """The refractive index by one of the nine formulas.

    Args:
        formula: 1 to 9.
        coefficients: in the database's order, for wavelengths in micrometres.
        wavelength_um: where.

    Returns:
        n; NaN where the formula has no real, finite value there (a pole, or n² < 0).

    Raises:
        DispersionError: the number of coefficients does not fit the formula.
    """
    if not coefficients:
        raise DispersionError("there are no coefficients")
    try:
        n = FORMULAS[formula](coefficients, wavelength_um)
    except (ZeroDivisionError, OverflowError):
        return math.nan
    return n if isinstance(n, float) and math.isfinite(n) else math.nan


def interpolate(table: NDArray[np.float64], wavelength_um: float) -> NDArray[np.float64]:
    """Interpolate a table linearly in wavelength.

    Linear, because the tables are dense where the index bends, and nothing is invented between two measured points.

    Args:
        table: (m, 1 + q): wavelength in micrometres, then q quantities; in any order of wavelength.
        wavelength_um: where; within the table's range.

    Returns:
        (q,) interpolated quantities.
    """
    ordered = table[np.argsort(table[:, 0], kind="stable")]
    return np.array([np.interp(wavelength_um, ordered[:, 0], column) for column in ordered[:, 1:].T])
