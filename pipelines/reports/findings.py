"""What the numbers mean: the headline, the benefit of computed data, and the calibration of intervals.

Pure functions of the tables that `queries` returns. A result that is worse than a baseline is called worse.
Not here: the queries (`queries`), and how results are drawn (`figures`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matstrata.pipelines.learning.samples import elements_of
from matstrata.pipelines.reports.wording import SETTINGS, count, in_order, percent, with_unit
from matstrata.schemas.properties import Property
from matstrata.schemas.terms import MEASUREMENT, POOLED_SD, REPLICATES, Baseline, Metric, Setting, Split, Subset

HEADLINE_PROTOCOL = Split.GROUPED_KFOLD
_BASELINES = (
    (Baseline.SINGLE, "a single model trained on the measured source alone"),
    (Baseline.MEAN, "a model that always predicts the mean"),
)
_Z95 = 1.96  # half of a 95 % interval in standard errors
Metrics = Mapping[tuple[str, str, str, str], float]


def index_metrics(metrics: pa.Table) -> Metrics:
    """`model_metrics` rows by (protocol, setting, subset, metric)."""
    key = ("protocol", "setting", "subset", "metric")
    return dict(
        zip(zip(*(metrics[name].to_pylist() for name in key), strict=True), metrics["value"].to_pylist(), strict=True)
    )


def protocols(metrics: Metrics) -> list[str]:
    """The protocols under which errors were measured, in the order of `Split`."""
    return in_order({protocol for protocol, _, _, metric in metrics if metric == Metric.MAE}, Split)


def settings(metrics: Metrics) -> list[str]:
    """The settings whose errors were measured, from the simplest to the best informed."""
    return in_order({setting for _, setting, _, metric in metrics if metric == Metric.MAE}, SETTINGS)


def replicate_noise(metrics: Metrics) -> float | None:
    """Pooled standard deviation of repeated measurements of a material, in the property's unit; None if unknown."""
    return metrics.get((REPLICATES, MEASUREMENT, Subset.ALL, POOLED_SD))


def headline_place(metrics: Metrics) -> tuple[str, str] | None:
    """The (protocol, setting) that the headline is about, or None when nothing was evaluated.

    The headline protocol is `grouped_kfold` where it was run, the setting the best informed one.
    """
    evaluated = {(protocol, setting) for protocol, setting, _, metric in metrics if metric == Metric.MAE}
    ordered = sorted({protocol for protocol, _ in evaluated}, key=lambda name: (name != HEADLINE_PROTOCOL, name))
    for protocol in ordered:
        for setting in reversed(SETTINGS):
            if (protocol, setting) in evaluated:
                return protocol, str(setting)
    return None


def headline(metrics: Metrics, prop: Property) -> list[str]:
    """The report's first sentences; empty when nothing was evaluated."""
    place = headline_place(metrics)
    if place is None:
        return []
    protocol, setting = place

    def figure(metric: Metric, setting: str = setting) -> float | None:
        return metrics.get((protocol, setting, Subset.ALL, metric))

    mae = metrics[(*place, Subset.ALL, Metric.MAE)]
    first = f"The mean absolute error (MAE) on held-out materials is {with_unit(mae, prop.unit)}"
    baselines = [
        f"{_relative(mae, error)} for {words} ({with_unit(error, prop.unit)})"
        for baseline, words in _BASELINES
        if baseline != setting and (error := figure(Metric.MAE, baseline)) is not None
    ]
    sentences = [first + (", " + " and ".join(baselines) if baselines else "") + "."]
    coverage, held_out, width = figure(Metric.COVERAGE_90), figure(Metric.N), figure(Metric.WIDTH_90)
    if coverage is not None and isfinite(coverage):
        materials = f"the {count(held_out)}" if held_out else "the"
        mean_width = f"; their mean width is {with_unit(width, prop.unit)}" if width is not None else ""
        sentences.append(
            f"The 90\u00a0% prediction intervals contain the measured value of {percent(coverage)} of {materials} "
            f"held-out materials{mean_width}."
        )
    return sentences


def _relative(mae: float, baseline: float) -> str:
    """How an error compares with a baseline's, to be followed by 'for …'."""
    change = mae / baseline - 1 if baseline else float("inf")
    if not isfinite(change):
        return "higher than"
    if abs(change) < 0.005:
        return "the same as"
    return f"{abs(change) * 100:.0f}\u00a0% {'lower than' if change < 0 else 'higher (worse) than'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One setting with computed data against the ensemble without, on the same held-out materials."""

    protocol: str
    setting: str
    subset: str  # "all", or a class of materials
    mae: float
    mae_without: float
    margin: float | None  # half width of the 95 % interval of the paired difference; None if it can't be computed
    verdict: str  # "better", "worse" or "no clear difference"

    @property
    def difference(self) -> float:
        """MAE with computed data minus MAE without: negative is better."""
        return self.mae - self.mae_without

    def sentence(self, unit: str) -> str:
        """The comparison in words."""
        effect = {"better": "lower the error", "worse": "raise the error"}.get(self.verdict, "make no clear difference")
        errors = f"MAE {with_unit(self.mae, unit)} with, {with_unit(self.mae_without, unit)} without"
        return f"Computed data {effect}: {errors}."


def computed_data_benefit(metrics: Metrics, out_of_fold: pa.Table, zero_class: str | None = None) -> list[Comparison]:
    """Compare errors with and without computed sources, per protocol, setting and class of materials.

    Where both settings predicted the same materials, the verdict is "better" or "worse" only when the 95 % interval
    of the mean paired difference of absolute errors excludes 0. Compounds of the same elements are not independent, so
    that the standard error is clustered by chemical system (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13):

        SE = sqrt(S / (S - 1) * sum_s (sum_{i in s} (d_i - mean d))^2) / n

    for the differences d_i of n materials in S systems.
    """
    comparisons = []
    subsets = (str(Subset.ALL), *_classes(zero_class))
    for protocol in protocols(metrics):
        for setting in (str(Setting.KNOWN_DFT), str(Setting.STRICT)):
            for subset in subsets:
                mae = metrics.get((protocol, setting, subset, Metric.MAE))
                without = metrics.get((protocol, Setting.WITHOUT_DFT, subset, Metric.MAE))
                if mae is None or without is None:
                    continue
                rows = out_of_fold
                if subset != Subset.ALL:
                    zero = pc.field("measured") == 0
                    rows = out_of_fold.filter(zero if subset == zero_class else ~zero)
                margin = _paired_margin(rows, protocol, setting)
                clear = abs(mae - without) > (margin or 0.0)
                verdict = ("better" if mae < without else "worse") if clear else "no clear difference"
                comparisons.append(Comparison(protocol, setting, subset, mae, without, margin, verdict))
    return comparisons


def _classes(zero_class: str | None) -> tuple[str, ...]:
    return () if zero_class is None else (zero_class, f"non-{zero_class}")


def _paired_margin(out_of_fold: pa.Table, protocol: str, setting: str) -> float | None:
    errors = {
        name: dict(zip(part["material_id"].to_pylist(), _absolute_errors(part), strict=True))
        for name in (setting, str(Setting.WITHOUT_DFT))
        if (part := select(out_of_fold, protocol, name)).num_rows
    }
    if len(errors) < 2:
        return None
    with_computed, without = errors.values()
    if with_computed.keys() != without.keys():
        return None
    materials = list(with_computed)
    difference = np.array([with_computed[material] - without[material] for material in materials])
    systems, system_of = np.unique(
        ["-".join(sorted(elements)) for elements in elements_of(materials)], return_inverse=True
    )
    if len(systems) < 2:
        return None
    of_system = np.bincount(system_of, weights=difference - difference.mean())
    scatter = float((of_system**2).sum()) * len(systems) / (len(systems) - 1)
    return _Z95 * sqrt(scatter) / len(difference)


def _absolute_errors(part: pa.Table) -> list[float]:
    errors: list[float] = pc.abs(pc.subtract(part["value"], part["measured"])).to_pylist()
    return errors


@dataclass(frozen=True, slots=True)
class Calibration:
    """Empirical coverage of prediction intervals, level by level, over one subset of the held-out materials.

    `levels` and `shares` are fractions, `lower` and `upper` the 95 % Wilson intervals of the shares.
    """

    subset: str
    materials: int
    levels: tuple[float, ...]
    shares: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def calibration(metrics: Metrics, place: tuple[str, str], zero_class: str | None = None) -> list[Calibration]:
    """Nominal against empirical coverage of one (protocol, setting), for those subsets that were evaluated."""
    curves = []
    for subset in (*map(str, (Subset.ALL, Subset.IN_DOMAIN, Subset.OUT_OF_DOMAIN)), *_classes(zero_class)):
        n = int(metrics.get((*place, subset, Metric.N), 0))
        shares = {
            int(metric.removeprefix("coverage_")) / 100: value
            for (*at, of, metric), value in metrics.items()
            if (*at,) == place and of == subset and metric.startswith("coverage_")
        }
        if n and shares:
            levels = tuple(sorted(shares))
            ends = [_wilson(shares[level], n) for level in levels]
            curves.append(
                Calibration(
                    subset,
                    n,
                    levels,
                    tuple(shares[level] for level in levels),
                    tuple(low for low, _ in ends),
                    tuple(high for _, high in ends),
                )
            )
    return curves


def select(out_of_fold: pa.Table, protocol: str, setting: str) -> pa.Table:
    """The out-of-fold predictions of one protocol and setting."""
    return out_of_fold.filter((pc.field("protocol") == protocol) & (pc.field("setting") == setting))


def example_materials(part: pa.Table, explained: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """Choose a few predictions worth explaining among the `explained` materials.

    Returns:
        Why each was chosen, and its row; no material twice.
    """
    rows = [row for row in part.to_pylist() if row["material_id"] in explained]
    by_value = sorted(rows, key=lambda row: (row["value"], row["material_id"]))
    by_error = sorted(rows, key=lambda row: (abs(row["value"] - row["measured"]), row["material_id"]))
    candidates = (
        ("highest prediction", by_value[::-1]),
        ("lowest prediction", by_value),
        ("largest error", by_error[::-1]),
        ("typical error", by_error[len(by_error) // 2 :]),
    )
    chosen: dict[str, tuple[str, dict[str, Any]]] = {}
    for why, ordered in candidates:
        fresh = next((row for row in ordered if row["material_id"] not in chosen), None)
        if fresh is not None:
            chosen[fresh["material_id"]] = (why, fresh)
    return list(chosen.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of held-out materials whose measured value lies inside its 90 % interval.

    `lower` and `upper` are the 95 % Wilson interval of `share` (doi:10.1080/01621459.1927.10502953).
    """

    protocol: str
    setting: str
    subset: str
    share: float
    lower: float
    upper: float
    materials: int


def interval_coverage(out_of_fold: pa.Table) -> list[Coverage]:
    """Coverage of the 90 % intervals per protocol and setting, over all materials and by domain."""
    coverages = []
    places = {(row["protocol"], row["setting"]) for row in out_of_fold.select(["protocol", "setting"]).to_pylist()}
    for protocol in in_order({protocol for protocol, _ in places}, Split):
        for setting in in_order({setting for where, setting in places if where == protocol}, SETTINGS):
            part = select(out_of_fold, protocol, setting).filter(
                pc.field("lower_90").is_valid() & ~pc.field("lower_90").is_nan()
            )
            inside = pc.field("in_domain")
            for subset, rows in (
                (Subset.ALL, part),
                (Subset.IN_DOMAIN, part.filter(inside)),
                (Subset.OUT_OF_DOMAIN, part.filter(~inside)),
            ):
                if rows.num_rows:
                    coverages.append(_coverage(protocol, setting, subset, rows))
    return coverages


def _coverage(protocol: str, setting: str, subset: str, rows: pa.Table) -> Coverage:
    held = pc.and_(pc.less_equal(rows["lower_90"], rows["measured"]), pc.less_equal(rows["measured"], rows["upper_90"]))
    share = float(pc.mean(held).as_py())
    return Coverage(protocol, setting, subset, share, *_wilson(share, rows.num_rows), rows.num_rows)


def _wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n."""
    z = _Z95
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return center - half, center + half
