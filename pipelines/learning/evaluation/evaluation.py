"""How good the ensemble is on materials that nothing in it has seen.

One call evaluates one `Protocol`, of training or of a benchmark alike: inside each outer training part everything is
fitted anew, from scaling to calibration. Not here: figures and tables (`reports`), and the fit that serves
(`ensemble`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.evaluation.protocols import Part, Protocol, classes
from matstrata.pipelines.learning.leakage import LeakageError
from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.stack.ensemble import VALUE_RANGE, Stack, fit_stack, fit_training, hear_helpers
from matstrata.pipelines.learning.stack.intervals import FURTHER
from matstrata.pipelines.learning.stack.level1 import Setting, Testimony
from matstrata.pipelines.learning.threads import CORES, one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.level1 import Helper


log = logging.getLogger("matstrata.learning")

MEAN, SINGLE = "mean", "single"
CURVE = (0.25, 0.5)  # shares of the training units at which the error is measured too
CURVE_ROWS = 600  # tested rows that a learning curve needs


@dataclass(frozen=True, slots=True)
class Metrics:
    """Errors over one subset of the held-out materials; NaN where undefined.

    Attributes:
        protocol: How test materials were chosen.
        model: A setting, or the baseline ``mean`` (training mean) or ``single`` (one random forest on descriptors).
        subset: ``all``, ``in_domain``, ``out_of_domain``; the thirds with the narrowest and the widest intervals,
            ``easy_third`` and ``hard_third``; the classes of what was measured, and of what was ``predicted_``.
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
    """Predictions of one model for the tested rows of a protocol, none trained on: (t,) arrays in the rows' order.

    `further` is (levels, 2, t): lower and upper ends at the levels `intervals.FURTHER`.
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
    """One fold while its models are there: the stacks, and the held-out materials with what the helpers say of them."""

    number: int
    stacks: Mapping[Setting, Stack]
    unseen: Samples
    asked: Sequence[Testimony]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one protocol showed: metrics for each model and subset, and the predictions behind them."""

    protocol: str
    metrics: tuple[Metrics, ...]
    held_out: dict[str, HeldOut]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The error of one setting after training on so many materials, each curve on the same tested rows."""

    protocol: str
    model: str
    subset: str
    n_trained: int
    n_tested: int
    mae: float


def evaluate(
    target: Samples,
    helper_models: Sequence[Helper],
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    bounds: tuple[float, float] = VALUE_RANGE,
    seed: int = 0,
    look: Callable[[Fold], None] | None = None,
) -> Evaluation:
    """Evaluate the three settings and the baselines under one protocol.

    Args:
        target: The experiments, one property; their values are those of the protocol's rows.
        helper_models: Models of the helper sources, blind to all of the target's groups.
        helper_samples: The helper sources' own values, for the known-DFT setting.
        protocol: How rows are tested; inner folds are chosen alike.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.
        look: Called with every fold while its models are there; they are not kept.

    Raises:
        LeakageError: when a helper model was trained on a group of the target.
        LearningError: when there are too few materials or units to hold any out.
    """
    settings = tuple(Setting) if helper_models else (Setting.WITHOUT_DFT,)
    with one_thread():
        testimonies = hear_helpers(target, helper_models, helper_samples)
    tested = protocol.tested
    held_out = {name: _blank(protocol, name, target, tested) for name in (*map(str, settings), MEAN, SINGLE)}
    row = np.full(len(protocol.measured), -1)
    row[tested] = np.arange(len(tested))
    with one_thread():
        for part in protocol.parts():
            log.info(
                "%s: %s, fold %s of %s", target.properties[0], protocol.name, part.fold + 1, protocol.folds.max() + 1
            )
            test = row[part.rows]
            seen, unseen = _training_part(target, part), target.take(part.asked)
            asked = [testimony.take(part.asked) for testimony in testimonies]
            stacks = _fit_part(target, testimonies, protocol, part, settings, bounds, seed)
            for setting, stack in stacks.items():
                said = stack.predict(unseen.features, unseen.material_ids, asked)
                for name in ("values", "lower", "upper", "in_domain", "further"):
                    getattr(held_out[setting], name)[..., test] = getattr(said, name)[..., part.place]
            if look is not None:
                look(Fold(part.fold, stacks, unseen, asked))
            held_out[MEAN].values[test] = part.values.mean()
            held_out[SINGLE].values[test] = _single(seen, unseen.features, seed)[part.place]
    metrics = [m for result in held_out.values() for m in _measure(result, protocol.zero_class)]
    return Evaluation(protocol.name, tuple(metrics), held_out)


def learning_curve(
    target: Samples,
    helper_models: Sequence[Helper],
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    evaluation: Evaluation,
    bounds: tuple[float, float] = VALUE_RANGE,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Measure the error after training on shares of the units, on the first folds' rows.

    The error after training on all of them is taken from what was evaluated.

    Args:
        target: As for `evaluate`, and so the others.
        helper_models: Models of the helper sources.
        helper_samples: Their own values.
        protocol: How rows are tested.
        evaluation: What `evaluate` found under it.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes which units are trained on.
    """
    settings = (Setting.WITHOUT_DFT, Setting.KNOWN_DFT) if helper_models else (Setting.WITHOUT_DFT,)
    with one_thread():
        testimonies = hear_helpers(target, helper_models, helper_samples)
    parts = list(protocol.shortened(CURVE_ROWS).parts())
    rows = np.concatenate([part.rows for part in parts])
    order = np.random.default_rng(seed).permutation(protocol.units.max() + 1)
    said = {(setting, share): np.empty(len(protocol.measured)) for setting in settings for share in CURVE}
    sizes = {1.0: float(np.mean([len(part.told) for part in parts]))}
    for share in CURVE:
        log.info("%s: learning curve, %.0f %% of the training part", target.properties[0], 100 * share)
        fewer = [_fewer(part, order[protocol.units[part.told]] < share * len(order)) for part in parts]
        sizes[share] = float(np.mean([len(part.told) for part in fewer]))
        for part in fewer:
            with one_thread():
                stacks = _fit_part(target, testimonies, protocol, part, settings, bounds, seed)
                asked = [testimony.take(part.asked) for testimony in testimonies]
                for setting, stack in stacks.items():
                    answer = stack.values(target.features[part.asked], asked)
                    said[setting, share][part.rows] = answer[part.place]
    position = np.searchsorted(protocol.tested, rows)
    subsets = {"all": np.ones(len(rows), dtype=bool), **classes(protocol.measured[rows], protocol.zero_class)}
    points = []
    for setting in settings:
        values = {share: said[setting, share][rows] for share in CURVE}
        values[1.0] = evaluation.held_out[setting].values[position]
        for share, predicted in values.items():
            errors = np.abs(predicted - protocol.measured[rows])
            points += [
                CurvePoint(
                    protocol.name, setting, name, round(sizes[share]), int(mask.sum()), float(errors[mask].mean())
                )
                for name, mask in subsets.items()
                if mask.any()
            ]
    return tuple(points)


def _fewer(part: Part, kept: NDArray[np.bool_]) -> Part:
    return replace(part, told=part.told[kept], values=part.values[kept])


def _training_part(target: Samples, part: Part) -> Samples:
    return replace(target.take(part.told), values=part.values[:, None])


def _fit_part(
    target: Samples,
    testimonies: Sequence[Testimony],
    protocol: Protocol,
    part: Part,
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, Stack]:
    told = [testimony.take(part.told) for testimony in testimonies]
    seen, unseen = _training_part(target, part), target.take(part.asked)
    return fit_stacks(seen, protocol.units[part.told], told, unseen, settings, bounds, seed)


def fit_stacks(
    seen: Samples,
    units: NDArray[np.intp],
    told: Sequence[Testimony],
    unseen: Samples,
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, Stack]:
    """Fit everything on some materials, to predict others; these are looked at to make sure that they are others.

    Args:
        seen: The training materials, with their (n,) `units`, which inner folds keep whole.
        units: What inner folds keep together.
        told: What the helpers say about them.
        unseen: The test materials.
        settings: Which settings to fit.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.

    Raises:
        LeakageError: when a test material is among the training materials.
    """
    common = np.intersect1d(seen.material_ids, unseen.material_ids)
    if common.size:
        raise LeakageError(f"{common.size} test materials are trained on too, such as {common[0]}; leave them out")
    training = fit_training(seen, units, told, settings, seed)
    return {setting: fit_stack(training, setting, bounds) for setting in settings}


def _blank(protocol: Protocol, model: str, target: Samples, tested: NDArray[np.intp]) -> HeldOut:
    values, lower, upper = np.full((3, len(tested)), np.nan)
    outside = np.zeros(len(tested), dtype=bool)
    names = target.material_ids[protocol.which[tested]]
    further = np.full((len(FURTHER), 2, len(tested)), np.nan)
    measured, folds = protocol.measured[tested], protocol.folds[tested]
    return HeldOut(protocol.name, model, names, measured, values, lower, upper, further, outside, folds)


def _single(training: Samples, features: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Predict by the plain model that a newcomer would try first."""
    from sklearn.ensemble import RandomForestRegressor  # deferred: 1.5 s
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestRegressor(100, max_features=1 / 3, random_state=seed, n_jobs=CORES)
    model = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest)
    model.fit(training.features, target_values(training))
    forest.n_jobs = 1  # threads would add up the trees in any order, and so change the last digits
    predicted: NDArray[np.float64] = model.predict(features)
    return predicted


def _measure(result: HeldOut, zero_class: str | None) -> list[Metrics]:
    masks = {"all": np.ones(len(result.values), dtype=bool), **classes(result.measured, zero_class)}
    if result.model not in (MEAN, SINGLE):
        said = classes(result.values, zero_class)
        widths = result.upper - result.lower
        low, high = np.quantile(widths, [1 / 3, 2 / 3])
        masks |= {f"predicted_{name}": rows for name, rows in said.items()}
        masks |= {"in_domain": result.in_domain, "out_of_domain": ~result.in_domain}
        masks |= {"easy_third": widths <= low, "hard_third": widths > high}
    return [_errors(result, name, mask) for name, mask in masks.items() if mask.any()]


def error_figures(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, Any]:
    """Count, MAE, RMSE and R² of (n,) predictions; R² is NaN when all is measured equal."""
    errors = predicted - measured
    scatter = ((measured - measured.mean()) ** 2).sum()
    return {
        "n": len(measured),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / scatter) if scatter > 0 else float("nan"),
    }


def _errors(result: HeldOut, subset: str, rows: NDArray[np.bool_]) -> Metrics:
    measured, lower, upper = result.measured[rows], result.lower[rows], result.upper[rows]
    has_intervals = not np.isnan(lower).any()

    def coverage(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        return float(((low <= measured) & (measured <= high)).mean()) if has_intervals else float("nan")

    return Metrics(
        protocol=result.protocol,
        model=result.model,
        subset=subset,
        **error_figures(result.values[rows], measured),
        coverage_90=coverage(lower, upper),
        width_90=float((upper - lower).mean()) if has_intervals else float("nan"),
        further=tuple(coverage(low[rows], high[rows]) for low, high in result.further),
    )
