"""Evaluations as rows of the store's tables: `model_metrics`, `out_of_fold`, `learning_curves`.

Not here: writing them (`pipelines.learning.jobs`, `store.models`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.stack.intervals import OTHER_LEVELS
from matstrata.schemas.terms import MEASUREMENT, POOLED_SD, REPLICATES, Metric, Subset

if TYPE_CHECKING:
    from matstrata.pipelines.learning.evaluation.evaluation import CurvePoint, Evaluation


def metric_rows(model_id: str, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Make rows of `model_metrics`, one for each defined figure."""
    rows = []
    for metrics in evaluation.metrics:
        values = {metric.value: float(getattr(metrics, metric)) for metric in Metric}
        values |= {
            f"coverage_{100 * level:.0f}": share
            for level, share in zip(OTHER_LEVELS, metrics.other_coverages, strict=True)
        }
        keys = {"model_id": model_id, "protocol": metrics.protocol, "setting": metrics.model, "subset": metrics.subset}
        rows += [{**keys, "metric": name, "value": value} for name, value in values.items() if not np.isnan(value)]
    return rows


def noise_row(model_id: str, noise: float) -> dict[str, Any]:
    """Make the row of `model_metrics` for the standard deviation of repeated measurements, which errors approach."""
    return {
        "model_id": model_id,
        "protocol": REPLICATES,
        "setting": MEASUREMENT,
        "subset": Subset.ALL.value,
        "metric": POOLED_SD,
        "value": noise,
    }


def out_of_fold_rows(model_id: str, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Make rows of `out_of_fold`, one for each model and tested row."""
    return [
        {
            "model_id": model_id,
            "protocol": held_out.protocol,
            "setting": held_out.model,
            "material_id": material_id,
            "measured": measured,
            "value": value,
            "lower_90": None if np.isnan(lower) else lower,
            "upper_90": None if np.isnan(upper) else upper,
            "in_domain": in_domain,
        }
        for held_out in evaluation.held_out.values()
        for material_id, measured, value, lower, upper, in_domain in zip(
            held_out.material_ids.tolist(),
            held_out.measured.tolist(),
            held_out.values.tolist(),
            held_out.lower.tolist(),
            held_out.upper.tolist(),
            held_out.in_domain.tolist(),
            strict=True,
        )
    ]


def curve_row(point: CurvePoint) -> dict[str, Any]:
    """Make a row of `learning_curves`, without the model's id."""
    values = asdict(point)
    return {"setting": values.pop("model"), **values}
