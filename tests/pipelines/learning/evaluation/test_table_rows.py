"""Rows of the store's tables: every defined figure once, and NULL where a baseline has no interval."""

from __future__ import annotations

import pyarrow as pa

from matstrata.pipelines.learning.evaluation.evaluation import Evaluation
from matstrata.pipelines.learning.evaluation.table_rows import metric_rows, noise_row, out_of_fold_rows
from matstrata.schemas.tables import TABLES


def test_each_figure_of_a_model_and_subset_is_one_row(evaluation: Evaluation) -> None:
    rows = [*metric_rows("m1", evaluation), noise_row("m1", 0.25)]
    table = pa.Table.from_pylist(rows, schema=TABLES["model_metrics"].arrow_schema)
    keys = {tuple(row[name] for name in ("setting", "subset", "metric")) for row in table.to_pylist()}
    assert len(keys) == len(rows)
    of_whole = {metric for setting, subset, metric in keys if (setting, subset) == ("known_dft", "all")}
    assert of_whole == {
        *("n", "mae", "rmse", "r2", "width_90"),
        *(f"coverage_{level}" for level in (50, 60, 70, 80, 90, 95)),
    }
    assert {metric for setting, _, metric in keys if setting == "mean"} == {"n", "mae", "rmse", "r2"}
    assert ("measurement", "all", "pooled_sd") in keys


def test_each_tested_material_is_one_row_for_each_model(evaluation: Evaluation) -> None:
    rows = out_of_fold_rows("m1", evaluation)
    table = pa.Table.from_pylist(rows, schema=TABLES["out_of_fold"].arrow_schema)
    assert table.num_rows == 5 * 120
    of_mean = [row for row in table.to_pylist() if row["setting"] == "mean"]
    assert len(of_mean) == 120
    assert all(row["lower_90"] is None and row["upper_90"] is None for row in of_mean)
    assert all(row["lower_90"] <= row["value"] <= row["upper_90"] for row in rows if row["setting"] == "strict")
