"""Scores of held-out predictions, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matstrata.pipelines.learning.evaluation.scores import HeldOut, error_figures, measure
from matstrata.schemas.terms import Baseline, Setting


def held_out(model: str) -> HeldOut:
    """Six materials, half of them 0; the two largest are predicted 1 too small, with wide intervals."""
    measured = np.array([0.0, 0.0, 0.0, 2.0, 4.0, 6.0])
    values = np.array([0.0, 0.0, 1.0, 2.0, 3.0, 5.0])
    half = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 2.0])
    intervals = np.array([[values - half, values + half]])
    rows = np.arange(6)
    return HeldOut(
        "grouped_kfold", model, rows.astype(str), measured, values, *intervals[0], intervals, rows < 4, rows % 2
    )


def test_errors_are_those_of_their_definitions() -> None:
    figures = error_figures(np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 2.0]))
    assert figures["n"] == 3
    assert figures["mae"] == pytest.approx(4 / 3)
    assert figures["rmse"] == pytest.approx(math.sqrt(10 / 3))
    assert figures["r2"] == pytest.approx(1 - 10 / 2)


def test_equal_values_have_no_share_of_variance() -> None:
    assert math.isnan(error_figures(np.array([1.0, 2.0]), np.array([3.0, 3.0]))["r2"])


def test_subsets_are_those_of_domain_width_and_class() -> None:
    metrics = {each.subset: each for each in measure(held_out(Setting.STRICT), "metal")}
    assert {name: each.n for name, each in metrics.items()} == {
        "all": 6,
        "metal": 3,
        "non-metal": 3,
        "predicted_metal": 2,
        "predicted_non-metal": 4,
        "in_domain": 4,
        "out_of_domain": 2,
        "easy_third": 2,
        "hard_third": 2,
    }
    assert metrics["metal"].mae == pytest.approx(1 / 3)
    assert metrics["out_of_domain"].mae == 1
    assert metrics["all"].coverage_90 == pytest.approx(4 / 6)
    assert metrics["hard_third"].width_90 == pytest.approx(2.5)


def test_a_baseline_has_no_intervals() -> None:
    result = held_out(Baseline.MEAN)
    result.lower[:] = np.nan
    result.upper[:] = np.nan
    result.other_intervals[:] = np.nan
    (metrics,) = measure(result, None)
    assert metrics.subset == "all"
    assert math.isnan(metrics.coverage_90)
    assert math.isnan(metrics.width_90)
    assert all(math.isnan(coverage) for coverage in metrics.other_coverages)
