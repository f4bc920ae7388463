"""Held-out predictions, and the figures over subsets of them.

With e_i = f_i - y_i over n held-out materials: MAE = mean |e_i|, RMSE = sqrt(mean e_i^2), R2 = 1 - sum e_i^2 /
sum (y_i - mean y)^2. Not here: how predictions come about (`evaluation`), and tables or figures of scores (`reports`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.evaluation.protocols import zero_classes
from matstrata.schemas.terms import Baseline, Subset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Metrics:
    """Errors over one subset of the held-out materials; NaN where undefined.

    Attributes:
        protocol: How test materials were chosen.
        model: A `schemas.terms.Setting` or `schemas.terms.Baseline`.
        subset: A `schemas.terms.Subset`, a class of the measured values, or a class of the predicted values with
            ``predicted_`` before its name.
        n: Number of materials.
        mae: Mean absolute error.
        rmse: Root mean square error.
        r2: Share of the variance explained; NaN where all values are equal.
        coverage_90: Share of measured values inside the interval; NaN for baselines, which have none.
        width_90: Mean width of the interval; NaN for baselines.
        other_coverages: Coverage at each of the levels `intervals.OTHER_LEVELS`; NaN for baselines.
    """

    protocol: str
    model: str
    subset: str
    n: int
    mae: float
    rmse: float
    r2: float
    coverage_90: float
    width_90: float
    other_coverages: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of one model for the t tested rows of a protocol, none of them trained on, in the rows' order.

    Attributes:
        protocol: How test materials were chosen.
        model: A setting or baseline.
        material_ids: (t,) material of each row.
        measured: (t,) measured values.
        values: (t,) predicted values.
        lower: (t,) lower ends of the 90 % intervals; NaN for baselines.
        upper: (t,) upper ends.
        other_intervals: (levels, 2, t) lower and upper ends at the levels `intervals.OTHER_LEVELS`.
        in_domain: (t,) whether the material is in the domain.
        fold: (t,) the fold in which the row is tested.
    """

    protocol: str
    model: str
    material_ids: NDArray[np.str_]
    measured: NDArray[np.float64]
    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    other_intervals: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    fold: NDArray[np.intp]


def measure(held_out: HeldOut, zero_class: str | None) -> list[Metrics]:
    """Compute the metrics of one model on every subset that has materials.

    Args:
        held_out: The predictions.
        zero_class: Name of the class whose value is 0; None where there is none.
    """
    all_rows = np.ones(len(held_out.values), dtype=bool)
    masks: dict[str, NDArray[np.bool_]] = {Subset.ALL: all_rows, **zero_classes(held_out.measured, zero_class)}
    if held_out.model not in tuple(Baseline):
        widths = held_out.upper - held_out.lower
        low, high = np.quantile(widths, [1 / 3, 2 / 3])
        masks |= {f"predicted_{name}": rows for name, rows in zero_classes(held_out.values, zero_class).items()}
        masks |= {Subset.IN_DOMAIN: held_out.in_domain, Subset.OUT_OF_DOMAIN: ~held_out.in_domain}
        masks |= {Subset.EASY_THIRD: widths <= low, Subset.HARD_THIRD: widths > high}
    return [_metrics(held_out, name, mask) for name, mask in masks.items() if mask.any()]


def error_figures(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, Any]:
    """Compute count, MAE, RMSE and R² of (n,) predictions; R² is NaN where all measured values are equal."""
    errors = predicted - measured
    scatter = ((measured - measured.mean()) ** 2).sum()
    return {
        "n": len(measured),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / scatter) if scatter > 0 else float("nan"),
    }


def _metrics(held_out: HeldOut, subset: str, rows: NDArray[np.bool_]) -> Metrics:
    measured, lower, upper = held_out.measured[rows], held_out.lower[rows], held_out.upper[rows]
    has_intervals = not np.isnan(lower).any()

    def coverage(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        return float(((low <= measured) & (measured <= high)).mean()) if has_intervals else float("nan")

    return Metrics(
        protocol=held_out.protocol,
        model=held_out.model,
        subset=str(subset),
        **error_figures(held_out.values[rows], measured),
        coverage_90=coverage(lower, upper),
        width_90=float((upper - lower).mean()) if has_intervals else float("nan"),
        other_coverages=tuple(coverage(low[rows], high[rows]) for low, high in held_out.other_intervals),
    )
