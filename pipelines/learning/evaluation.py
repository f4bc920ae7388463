"""How good the ensemble is on materials that nothing in it has seen.

One call evaluates one protocol: outer folds over its units; inside each outer training part everything is fitted
anew, from scaling to calibration. Not here: figures and tables (`reports`), and the fit that serves (`ensemble`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.learning.ensemble import VALUE_RANGE, Stack, StackPredictions, fit_stack, fit_training, hear_helpers
from pipelines.learning.errors import LeakageError
from pipelines.learning.intervals import FURTHER
from pipelines.learning.level1 import Setting, Testimony
from pipelines.learning.samples import Samples, target_values
from pipelines.learning.splits import Protocol, assign_folds, check_folds, split_units
from pipelines.learning.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.learning.source_models import SourceModel

log = logging.getLogger("matstrata.learning")

OUTER_FOLDS = 5
MEAN, SINGLE = "mean", "single"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Errors over one subset of the held-out materials; NaN where undefined.

    Attributes:
        protocol: How test materials were chosen.
        model: A setting, or the baseline ``mean`` (training mean) or ``single`` (one random forest on descriptors).
        subset: ``all``, ``in_domain``, ``out_of_domain``, or a name given by the caller.
        n: Number of materials.
        mae: Mean absolute error.
        rmse: Root mean square error.
        r2: Share of the variance explained; NaN when the values are all equal.
        coverage_90: Share of measured values inside the interval; NaN for baselines, which make none.
        width_90: Mean width of the interval; NaN for baselines.
        further: Coverage at each of the levels `intervals.FURTHER`; NaN for baselines.
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
    further: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of one model, each for a material of an outer test fold: (n,) arrays in the target's row order.

    `further` is (levels, 2, n): lower and upper ends at the levels `intervals.FURTHER`.
    """

    protocol: str
    model: str
    material_ids: NDArray[np.str_]
    measured: NDArray[np.float64]
    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    further: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    fold: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """One outer fold while it is open: what was fitted on `seen` (with its inner `units`), and what was held out."""

    number: int
    seen: Samples
    units: NDArray[np.intp]
    told: Sequence[Testimony]
    unseen: Samples
    asked: Sequence[Testimony]
    stacks: Mapping[Setting, Stack]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one protocol showed: metrics for each model and subset, and the predictions behind them."""

    protocol: str
    metrics: tuple[Metrics, ...]
    held_out: dict[str, HeldOut]


def evaluate(
    target: Samples,
    helper_models: Sequence[SourceModel],
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    bounds: tuple[float, float] = VALUE_RANGE,
    subsets: Mapping[str, NDArray[np.bool_]] | None = None,
    seed: int = 0,
    look: Callable[[Fold], None] | None = None,
) -> Evaluation:
    """Evaluate the three settings and the baselines under one protocol.

    Args:
        target: The experiments, one property.
        helper_models: Models of the helper sources, blind to all of the target's groups.
        helper_samples: The helper sources' own values, for the known-DFT setting.
        protocol: How test materials are chosen; inner folds are chosen alike.
        bounds: Smallest and largest possible value of the property.
        subsets: Named (n,) masks over the target's rows to report apart.
        seed: Fixes what chance decides.
        look: Called with every fold while its models are there; they are not kept.

    Raises:
        LeakageError: when a helper model was trained on a group of the target.
        LearningError: when there are too few materials or units to hold any out.
    """
    settings = tuple(Setting) if helper_models else (Setting.WITHOUT_DFT,)
    measured = target_values(target)
    with one_thread():
        testimonies = hear_helpers(target, helper_models, helper_samples)
    units = split_units(target, protocol)
    folds = assign_folds(units, OUTER_FOLDS, seed)
    check_folds(target.group_ids, folds)
    held_out = {name: _blank(protocol, name, target, folds) for name in (*map(str, settings), MEAN, SINGLE)}
    with one_thread():
        for fold in range(folds.max() + 1):
            log.info("%s: %s, fold %s of %s", target.properties[0], protocol.value, fold + 1, folds.max() + 1)
            test = folds == fold
            seen, unseen = target.take(~test), target.take(test)
            told = [testimony.take(~test) for testimony in testimonies]
            asked = [testimony.take(test) for testimony in testimonies]
            stacks = fit_stacks(seen, units[~test], told, settings, bounds, seed)
            for setting, stack in stacks.items():
                said = stack.predict(unseen.features, unseen.material_ids, asked)
                for name in ("values", "lower", "upper", "in_domain", "further"):
                    getattr(held_out[setting], name)[..., test] = getattr(said, name)
            if look is not None:
                look(Fold(fold, seen, units[~test], told, unseen, asked, stacks))
            held_out[MEAN].values[test] = measured[~test].mean()
            held_out[SINGLE].values[test] = _single(seen, unseen.features, seed)
    metrics = [m for result in held_out.values() for m in _measure(result, subsets or {})]
    return Evaluation(protocol.value, tuple(metrics), held_out)


def judge(
    seen: Samples,
    units: NDArray[np.intp],
    told: Sequence[Testimony],
    unseen: Samples,
    asked: Sequence[Testimony],
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, StackPredictions]:
    """Fit everything on some materials and predict others; what these measure is not looked at.

    Args:
        seen: The training materials, with their (n,) `units`, which inner folds keep whole.
        units: What inner folds keep together.
        told: What the helpers say about them.
        unseen: The test materials.
        asked: What the helpers say about these.
        settings: Which settings to fit.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.

    Raises:
        LeakageError: when a test material is among the training materials.
    """
    common = np.intersect1d(seen.material_ids, unseen.material_ids)
    if common.size:
        raise LeakageError(f"{common.size} test materials are trained on too, such as {common[0]}; leave them out")
    return {
        setting: stack.predict(unseen.features, unseen.material_ids, asked)
        for setting, stack in fit_stacks(seen, units, told, settings, bounds, seed).items()
    }


def fit_stacks(
    seen: Samples,
    units: NDArray[np.intp],
    told: Sequence[Testimony],
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, Stack]:
    """Fit the stacks of several settings on the same materials; arguments as of `judge`."""
    training = fit_training(seen, units, told, settings, seed)
    return {setting: fit_stack(training, setting, bounds) for setting in settings}


def _blank(protocol: Protocol, model: str, target: Samples, folds: NDArray[np.intp]) -> HeldOut:
    values, lower, upper = np.full((3, len(target)), np.nan)
    outside = np.zeros(len(target), dtype=bool)
    further = np.full((len(FURTHER), 2, len(target)), np.nan)
    measured = target_values(target)
    return HeldOut(protocol.value, model, target.material_ids, measured, values, lower, upper, further, outside, folds)


def _single(training: Samples, features: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Predict by the plain model that a newcomer would try first."""
    from sklearn.ensemble import RandomForestRegressor  # deferred: 1.5 s
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestRegressor(100, max_features=1 / 3, random_state=seed)
    model = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest)
    predicted: NDArray[np.float64] = model.fit(training.features, target_values(training)).predict(features)
    return predicted


def _measure(result: HeldOut, subsets: Mapping[str, NDArray[np.bool_]]) -> list[Metrics]:
    everything = np.ones(len(result.values), dtype=bool)
    masks = {"all": everything, **subsets}
    if result.model not in (MEAN, SINGLE):
        masks |= {"in_domain": result.in_domain, "out_of_domain": ~result.in_domain}
    return [_errors(result, name, mask) for name, mask in masks.items() if mask.any()]


def _errors(result: HeldOut, subset: str, rows: NDArray[np.bool_]) -> Metrics:
    measured, errors = result.measured[rows], (result.values - result.measured)[rows]
    lower, upper = result.lower[rows], result.upper[rows]
    scatter = ((measured - measured.mean()) ** 2).sum()
    has_intervals = not np.isnan(lower).any()

    def coverage(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        return float(((low <= measured) & (measured <= high)).mean()) if has_intervals else float("nan")

    return Metrics(
        protocol=result.protocol,
        model=result.model,
        subset=subset,
        n=int(rows.sum()),
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        r2=float(1 - (errors**2).sum() / scatter) if scatter > 0 else float("nan"),
        coverage_90=coverage(lower, upper),
        width_90=float((upper - lower).mean()) if has_intervals else float("nan"),
        further=tuple(coverage(low[rows], high[rows]) for low, high in result.further),
    )
