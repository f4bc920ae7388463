"""Predictions in a terminal: formulas as people write them, and no line that does not fit."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from matstrata.pipelines.cli.answers import print_predictions
from matstrata.pipelines.serving.predictor import (
    Effect,
    Neighbor,
    Prediction,
    PropertyContribution,
    SourceContribution,
)

PREDICTION = Prediction(
    formula="PbI2",
    property="band_gap",
    unit="eV",
    model_id="0e" * 8,
    material_id="I2Pb",
    value=2.3123456789,
    lower_90=1.9123456789,
    upper_90=2.7123456789,
    chance_nonzero=0.991234,
    uncertainty_model=0.2123456789,
    uncertainty_noise=0.1123456789,
    in_domain=False,
    in_training=True,
    contributions=(
        SourceContribution(
            "snumat_gaps:HSE06", "computation", (), 0.25, (PropertyContribution("band_gap", "eV", 2.5123, 2.4123),)
        ),
    ),
    neighbors=(Neighbor("Br2Pb", "PbBr2", 3.6123456, 0.5, "https://doi.org/10.1000/182; A. Author, a Journal"),),
    citations=("@misc{lab}",),
    effects=(Effect("source", "snumat_gaps:HSE06", 0.1234567), Effect("descriptors", "root_fraction", -0.0512345)),
)
UNREADABLE = Prediction("Xx9", "band_gap", "eV", "0e" * 8, reason="Xx9: there is no element Xx")


def text(width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_predictions(console, [PREDICTION, UNREADABLE])
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_prediction_fits_the_terminal_and_breaks_no_word(width: int) -> None:
    assert max(map(len, text(width).splitlines())) <= width
    words = set(text(200).split())
    frame = {word for word in text(width).split() if set(word) <= set("╭╮╰╯─│")}
    assert set(text(width).split()) - frame <= words


def test_formulas_are_in_the_conventional_order_with_the_key_beside_them() -> None:
    lines = text(120).splitlines()
    assert "PbI2 (I2Pb)" in lines[0]
    assert any("measured" in line and "PbBr2" in line and "3.612 eV" in line for line in lines)


def test_numbers_have_sensible_digits() -> None:
    printed = " ".join(text(160).split())
    assert "2.31 eV 90 %: 1.91 to 2.71 eV" in printed
    assert "± 0.21 eV" in printed
    assert "+0.12 eV" in printed
    assert "2.312345" not in printed


def test_a_formula_that_cannot_be_read_gets_its_reason() -> None:
    assert "there is no element Xx" in text(80)


def test_each_citation_is_printed_once() -> None:
    assert text(80).count("@misc{lab}") == 1
