"""Sentences must follow from the numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.reports.findings import (
    computed_data_benefit,
    headline,
    headline_place,
    index_metrics,
    interval_coverage,
)
from matstrata.schemas.elements import ELEMENTS
from matstrata.schemas.properties import get_property

NAN = float("nan")


def _metrics(**mae: float) -> dict[tuple[str, str, str, str], float]:
    rows = [
        {"protocol": "grouped_kfold", "setting": s, "subset": "all", "metric": "mae", "value": v}
        for s, v in mae.items()
    ]
    return dict(index_metrics(pa.Table.from_pylist(rows)))


def _held_out(**errors: np.ndarray) -> pa.Table:
    parts = []
    for setting, error in errors.items():
        n = len(error)
        parts.append(
            pa.table(
                {
                    "protocol": ["grouped_kfold"] * n,
                    "setting": [setting] * n,
                    "material_id": [f"{ELEMENTS[i % 90]}{ELEMENTS[100 - i // 90]}" for i in range(n)],
                    "measured": np.zeros(n),
                    "value": error,
                    "lower_90": error - 1.0,
                    "upper_90": error + 1.0,
                    "in_domain": np.arange(n) % 2 == 0,
                }
            )
        )
    return pa.concat_tables(parts)


@pytest.mark.parametrize(("with_dft", "verdict"), [(0.2, "better"), (0.6, "worse"), (0.4, "no clear difference")])
def test_dft_verdict_follows_the_paired_difference(with_dft: float, verdict: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 200)
    held_out = _held_out(known_dft=with_dft + noise, without_dft=0.4 + noise[::-1])
    (row,) = computed_data_benefit(_metrics(known_dft=with_dft + 0.0001, without_dft=0.4), held_out)
    assert row.verdict == verdict
    assert row.margin == pytest.approx(1.96 * np.std(noise - noise[::-1], ddof=1) / np.sqrt(200), rel=1e-6)


def test_without_paired_predictions_no_margin_is_invented() -> None:
    (row,) = computed_data_benefit(_metrics(strict=0.5, without_dft=0.4), _held_out(strict=np.ones(3)))
    assert (row.margin, row.verdict) == (None, "worse")
    assert row.sentence("eV") == "Computed data raise the error: MAE 0.500\u00a0eV with, 0.400\u00a0eV without."


def test_headline_takes_the_best_informed_setting_and_names_units() -> None:
    figures = _metrics(mean=1.0, strict=0.5)
    assert headline_place(figures) == ("grouped_kfold", "strict")
    (sentence,) = headline(figures, get_property("band_gap"))
    assert sentence == (
        "The mean absolute error (MAE) on held-out materials is 0.500\u00a0eV, "
        "50\u00a0% lower than for a model that always predicts the mean (1.00\u00a0eV)."
    )
    assert headline({}, get_property("band_gap")) == []


def test_coverage_counts_intervals_only_and_matches_wilson() -> None:
    held_out = _held_out(known_dft=np.array([0.0] * 9 + [5.0]), mean=np.full(4, NAN))
    covered = {(row.setting, row.subset): row for row in interval_coverage(held_out)}
    assert {setting for setting, _ in covered} == {"known_dft"}
    whole = covered["known_dft", "all"]
    assert (whole.share, whole.materials) == (0.9, 10)
    assert (whole.lower, whole.upper) == pytest.approx((0.5958, 0.9821), abs=5e-4)  # Wilson interval of 9 in 10
    assert (covered["known_dft", "in_domain"].materials, covered["known_dft", "out_of_domain"].materials) == (5, 5)
