"""What the numbers mean: the headline, what DFT added, and whether intervals keep their promise, in sentences.

Pure functions of the tables that `queries` returns. Every sentence says better or worse as it is.
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
from matstrata.pipelines.reports.wording import CHOICE, PROTOCOLS, SETTINGS, count, in_order, percent, with_unit
from matstrata.schemas.properties import Property

HEADLINE_PROTOCOL = "grouped_kfold"
_BASELINES = (("single", "one plain model of the measured source alone"), ("mean", "always guessing the mean"))
Figures = Mapping[tuple[str, str, str, str], float]


def index_metrics(metrics: pa.Table) -> Figures:
    """`model_metrics` rows by (protocol, setting, subset, metric)."""
    key = ("protocol", "setting", "subset", "metric")
    return dict(
        zip(zip(*(metrics[name].to_pylist() for name in key), strict=True), metrics["value"].to_pylist(), strict=True)
    )


def protocols(figures: Figures) -> list[str]:
    """The protocols under which errors were measured, in the order of the vocabulary."""
    return in_order({protocol for protocol, _, _, metric in figures if metric == "mae"}, PROTOCOLS)


def settings(figures: Figures) -> list[str]:
    """The settings whose errors were measured, in the order of the vocabulary."""
    return in_order({setting for _, setting, _, metric in figures if metric == "mae"}, SETTINGS)


def replicate_noise(figures: Figures) -> float | None:
    """Pooled standard deviation of repeated measurements of a material, in the property's unit; None if unknown."""
    return figures.get(("replicates", "measurement", "all", "pooled_sd"))


def headline_place(figures: Figures) -> tuple[str, str] | None:
    """The (protocol, setting) that the headline is about, or None when nothing was evaluated.

    The headline protocol is `grouped_kfold` where it was run, the setting the best informed one.
    """
    evaluated = {(protocol, setting) for protocol, setting, _, metric in figures if metric == "mae"}
    ordered = sorted({protocol for protocol, _ in evaluated}, key=lambda name: (name != HEADLINE_PROTOCOL, name))
    for protocol in ordered:
        for setting in CHOICE:
            if (protocol, setting) in evaluated:
                return protocol, setting
    return None


def headline(figures: Figures, prop: Property) -> list[str]:
    """The report's first sentences; empty when nothing was evaluated."""
    place = headline_place(figures)
    if place is None:
        return []
    protocol, setting = place
    mae = figures[(*place, "all", "mae")]

    def figure(metric: str, of: str = setting) -> float | None:
        return figures.get((protocol, of, "all", metric))

    first = f"On held-out materials predictions miss the measured value by {with_unit(mae, prop.unit)} on average (MAE)"
    others = [
        f"{with_unit(other, prop.unit)} for {words} ({_against(mae, other)})"
        for of, words in _BASELINES
        if of != setting and (other := figure("mae", of)) is not None
    ]
    sentences = [first + (", against " + " and ".join(others) if others else "") + "."]
    coverage, held_out = figure("coverage_90"), figure("n")
    if coverage is not None and isfinite(coverage):
        materials = f" of {count(held_out)} held-out materials" if held_out else " of the held-out materials"
        width = figure("width_90")
        breadth = f"; they are {with_unit(width, prop.unit)} wide on average" if width is not None else ""
        sentences.append(f"The 90\u00a0% intervals covered {percent(coverage)}{materials}{breadth}.")
    return sentences


def _against(mae: float, other: float) -> str:
    if other == 0:
        return "which makes no error"
    change = mae / other - 1
    if abs(change) < 0.005:
        return "no difference"
    return f"{abs(change) * 100:.0f}\u00a0% {'lower' if change < 0 else 'higher: worse'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One setting with computed data against the ensemble without, on the same held-out materials."""

    protocol: str
    setting: str
    subset: str  # "all", or a class of materials
    mae: float
    mae_without: float
    margin: float | None  # half width of the 95 % interval of the paired difference; None when it can't be told
    verdict: str  # "better", "worse" or "no clear difference"

    @property
    def difference(self) -> float:
        """MAE with computed data minus MAE without: negative is better."""
        return self.mae - self.mae_without

    def sentence(self, unit: str) -> str:
        """The comparison in words."""
        made = {"better": "made it better", "worse": "made it worse"}.get(self.verdict, "made no clear difference")
        figures = f"MAE {with_unit(self.mae, unit)} with, {with_unit(self.mae_without, unit)} without"
        return f"Computed data {made}: {figures}."


def what_dft_added(figures: Figures, out_of_fold: pa.Table, zero_class: str | None = None) -> list[Comparison]:
    """With and without computed sources, per protocol, setting and class of materials.

    Where both settings predicted the same materials, the verdict is "better" or "worse" only when the 95 % interval
    (1.96 standard errors) of the mean paired difference of absolute errors excludes 0. Compounds of the same elements
    are not taken as independent: the error is that of the mean over chemical systems (Liang & Zeger 1986,
    doi:10.1093/biomet/73.1.13).
    """
    comparisons = []
    subsets = ("all",) if zero_class is None else ("all", zero_class, f"non-{zero_class}")
    for protocol in protocols(figures):
        for setting in ("known_dft", "strict"):
            for subset in subsets:
                mae = figures.get((protocol, setting, subset, "mae"))
                without = figures.get((protocol, "without_dft", subset, "mae"))
                if mae is None or without is None:
                    continue
                rows = out_of_fold
                if subset != "all":
                    zero = pc.field("measured") == 0
                    rows = out_of_fold.filter(zero if subset == zero_class else ~zero)
                margin = _paired_margin(rows, protocol, setting)
                clear = abs(mae - without) > (margin or 0.0)
                verdict = ("better" if mae < without else "worse") if clear else "no clear difference"
                comparisons.append(Comparison(protocol, setting, subset, mae, without, margin, verdict))
    return comparisons


def _paired_margin(out_of_fold: pa.Table, protocol: str, setting: str) -> float | None:
    errors = {
        of: dict(zip(part["material_id"].to_pylist(), _absolute_errors(part), strict=True))
        for of in (setting, "without_dft")
        if (part := select(out_of_fold, protocol, of)).num_rows
    }
    if len(errors) < 2 or errors[setting].keys() != errors["without_dft"].keys():
        return None
    materials = list(errors[setting])
    difference = np.array([errors[setting][material] - errors["without_dft"][material] for material in materials])
    systems, system_of = np.unique(
        ["-".join(sorted(elements)) for elements in elements_of(materials)], return_inverse=True
    )
    if len(systems) < 2:
        return None
    of_system = np.bincount(system_of, weights=difference - difference.mean())
    scatter = float((of_system**2).sum()) * len(systems) / (len(systems) - 1)
    return 1.96 * sqrt(scatter) / len(difference)


def _absolute_errors(part: pa.Table) -> list[float]:
    errors: list[float] = pc.abs(pc.subtract(part["value"], part["measured"])).to_pylist()
    return errors


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often intervals held the measured value, level by level, over one subset of the held-out materials.

    `levels` and `shares` are fractions, `lower` and `upper` the 95 % Wilson intervals of the shares.
    """

    subset: str
    materials: int
    levels: tuple[float, ...]
    shares: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def calibration(figures: Figures, place: tuple[str, str], zero_class: str | None = None) -> list[Calibration]:
    """Nominal against empirical coverage of one (protocol, setting), for those subsets that were evaluated."""
    found = []
    classes = () if zero_class is None else (zero_class, f"non-{zero_class}")
    for subset in ("all", "in_domain", "out_of_domain", *classes):
        n = int(figures.get((*place, subset, "n"), 0))
        shares = {
            int(metric.removeprefix("coverage_")) / 100: value
            for (*at, of, metric), value in figures.items()
            if (*at,) == place and of == subset and metric.startswith("coverage_")
        }
        if n and shares:
            levels = tuple(sorted(shares))
            ends = [_wilson(shares[level], n) for level in levels]
            found.append(
                Calibration(
                    subset,
                    n,
                    levels,
                    tuple(shares[level] for level in levels),
                    tuple(low for low, _ in ends),
                    tuple(high for _, high in ends),
                )
            )
    return found


def select(out_of_fold: pa.Table, protocol: str, setting: str) -> pa.Table:
    """The out-of-fold predictions of one protocol and setting."""
    return out_of_fold.filter((pc.field("protocol") == protocol) & (pc.field("setting") == setting))


def telling_materials(part: pa.Table, known: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """A few predictions worth explaining, among the `known` materials: (why it was chosen, its row), each once."""
    rows = [row for row in part.to_pylist() if row["material_id"] in known]
    by_value = sorted(rows, key=lambda row: (row["value"], row["material_id"]))
    by_error = sorted(rows, key=lambda row: (abs(row["value"] - row["measured"]), row["material_id"]))
    wanted = (
        ("the highest prediction", by_value[::-1]),
        ("the lowest prediction", by_value),
        ("the largest error", by_error[::-1]),
        ("a usual error", by_error[len(by_error) // 2 :]),
    )
    chosen: dict[str, tuple[str, dict[str, Any]]] = {}
    for why, candidates in wanted:
        fresh = next((row for row in candidates if row["material_id"] not in chosen), None)
        if fresh is not None:
            chosen[fresh["material_id"]] = (why, fresh)
    return list(chosen.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals held the measured value.

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
    found = []
    places = {(row["protocol"], row["setting"]) for row in out_of_fold.select(["protocol", "setting"]).to_pylist()}
    for protocol in in_order({protocol for protocol, _ in places}, PROTOCOLS):
        for setting in in_order({of for at, of in places if at == protocol}, SETTINGS):
            part = select(out_of_fold, protocol, setting).filter(
                pc.field("lower_90").is_valid() & ~pc.field("lower_90").is_nan()
            )
            inside = pc.field("in_domain")
            for subset, rows in (
                ("all", part),
                ("in domain", part.filter(inside)),
                ("out of domain", part.filter(~inside)),
            ):
                if rows.num_rows:
                    found.append(_coverage(protocol, setting, subset, rows))
    return found


def _coverage(protocol: str, setting: str, subset: str, rows: pa.Table) -> Coverage:
    held = pc.and_(pc.less_equal(rows["lower_90"], rows["measured"]), pc.less_equal(rows["measured"], rows["upper_90"]))
    share = float(pc.mean(held).as_py())
    return Coverage(protocol, setting, subset, share, *_wilson(share, rows.num_rows), rows.num_rows)


def _wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half
