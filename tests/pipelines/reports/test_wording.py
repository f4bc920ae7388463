"""Numbers as people write them."""

from __future__ import annotations

import pytest

from matstrata.pipelines.reports.html import doi_link, formula
from matstrata.pipelines.reports.wording import (
    SETTINGS,
    count,
    in_order,
    number,
    percent,
    plural,
    readable,
    signed,
    with_unit,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.31, "0.310"), (1234.5, "1,234"), (123.4, "123"), (12.34, "12.3"), (0.0, "0.00"), (-0.5, "\u22120.500"),
     (3e-5, "3.00e-05"), (None, "–"), (float("nan"), "–"), (float("inf"), "–")],
)  # fmt: skip
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


def test_words_around_numbers() -> None:
    assert percent(0.9044) == "90.4\u00a0%"
    assert with_unit(0.31, "eV") == "0.310\u00a0eV"
    assert with_unit(0.31, "1") == "0.310"
    assert (plural(1, "material"), plural(1233, "material")) == ("1 material", "1,233 materials")
    assert (signed(0.5), signed(-0.5), signed(0.0), signed(None)) == ("+0.500", "\u22120.500", "0.00", "–")
    assert (count(None), count(47737)) == ("–", "47,737")


@pytest.mark.parametrize(
    ("name", "text"),
    [("out_of_domain", "out of domain"), ("covalent_radius_mean", "mean covalent radius"), ("charge_transfer", "charge transfer"),
     ("electronegativity_avg_dev", "mean deviation of electronegativity"), ("gs_band_gap_max", "maximum elemental band gap"),
     ("fraction_norm_10", "10-norm of the fractions"), ("root_fraction_Li", "root of the Li fraction")],
)  # fmt: skip
def test_names_of_tables_become_words(name: str, text: str) -> None:
    assert readable(name) == text


def test_known_names_come_in_their_order_and_others_after_them() -> None:
    assert in_order({"b", "strict", "mean", "a"}, SETTINGS) == ["mean", "strict", "a", "b"]


def test_formula_is_conventional_has_subscripts_and_stays_text() -> None:
    assert formula("I2Pb") == "PbI<sub>2</sub>"
    assert formula("Ag2Ge4Pb7Se16") == "Ag<sub>2</sub>Pb<sub>7</sub>Ge<sub>4</sub>Se<sub>16</sub>"
    assert formula("<b>2") == "&lt;b&gt;<sub>2</sub>"


def test_only_a_doi_becomes_a_link() -> None:
    assert 'href="https://doi.org/10.1038/sdata.2017.85"' in doi_link("10.1038/sdata.2017.85")
    for text in ("javascript:alert(1)", "https://evil.example/", '10.1/"onclick="x'):
        assert "<a" not in doi_link(text)
    assert doi_link(None) == ""
