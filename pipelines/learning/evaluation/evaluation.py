"""How large the ensemble's errors are on materials that nothing in it was trained on.

One call evaluates one `Protocol`, of training and of a benchmark in the same way: inside each outer training part
everything is fitted again, from scaling to calibration. Not here: scores (`scores`), figures and tables (`reports`),
and the fit that serves (`stack.ensemble`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.evaluation.protocols import Part, Protocol, zero_classes
from matstrata.pipelines.learning.evaluation.scores import HeldOut, Metrics, measure
from matstrata.pipelines.learning.leakage import LeakageError
from matstrata.pipelines.learning.samples import Samples, target_values
from matstrata.pipelines.learning.settings import HelperPredictions
from matstrata.pipelines.learning.stack.inputs import predict_helpers
from matstrata.pipelines.learning.stack.intervals import OTHER_LEVELS
from matstrata.pipelines.learning.stack.stack import UNBOUNDED, Stack, fit_stack, fit_training
from matstrata.pipelines.learning.threads import CORES, one_thread
from matstrata.schemas.terms import Baseline, Setting, Subset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.inputs import Helper


log = logging.getLogger("matstrata.learning")

CURVE_SHARES = (0.25, 0.5)  # of the training units, at which the error is measured too
MIN_CURVE_ROWS = 600  # tested rows of a learning curve


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold while its models exist.

    Attributes:
        number: Its number.
        stacks: The stack of each setting.
        test: The held-out materials.
        helper_predictions: Of each helper, for these materials.
    """

    number: int
    stacks: Mapping[Setting, Stack]
    test: Samples
    helper_predictions: Sequence[HelperPredictions]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results under one protocol: metrics of each model and subset, and the predictions behind them, by model."""

    protocol: str
    metrics: tuple[Metrics, ...]
    held_out: dict[str, HeldOut]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The error of one setting after training on `n_trained` materials; each curve has the same tested rows."""

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
    bounds: tuple[float, float] = UNBOUNDED,
    seed: int = 0,
    on_fold: Callable[[Fold], None] | None = None,
) -> Evaluation:
    """Evaluate the three settings and the baselines under one protocol.

    Args:
        target: The experiments, one property; their values are those of the protocol's rows.
        helper_models: Models of the helper sources, blind to all of the target's groups.
        helper_samples: The helper sources' own values, for the known-DFT setting.
        protocol: How rows are tested; inner folds are chosen in the same way.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes random choices.
        on_fold: Called with every fold while its models exist; they are not kept.

    Raises:
        LeakageError: A helper model was trained on a group of the target.
        LearningError: There are too few materials or units to hold any out.
    """
    settings = tuple(Setting) if helper_models else (Setting.WITHOUT_DFT,)
    with one_thread():
        helper_predictions = predict_helpers(target, helper_models, helper_samples)
    tested = protocol.tested
    names = (*map(str, settings), *map(str, Baseline))
    held_out = {name: _blank(protocol, name, target, tested) for name in names}
    row = np.full(len(protocol.measured), -1)
    row[tested] = np.arange(len(tested))
    with one_thread():
        for part in protocol.parts():
            log.info(
                "%s: %s, fold %s of %s", target.properties[0], protocol.name, part.fold + 1, protocol.folds.max() + 1
            )
            test_rows = row[part.rows]
            train, test = _training_part(target, part), target.take(part.test)
            of_test = [each.take(part.test) for each in helper_predictions]
            stacks = _fit_part(target, helper_predictions, protocol, part, settings, bounds, seed)
            for setting, stack in stacks.items():
                predictions = stack.predict(test.features, test.material_ids, of_test)
                for name in ("values", "lower", "upper", "in_domain", "other_intervals"):
                    of_materials = getattr(predictions, name)
                    getattr(held_out[setting], name)[..., test_rows] = of_materials[..., part.test_position]
            if on_fold is not None:
                on_fold(Fold(part.fold, stacks, test, of_test))
            held_out[Baseline.MEAN].values[test_rows] = part.values.mean()
            held_out[Baseline.SINGLE].values[test_rows] = _single(train, test.features, seed)[part.test_position]
    metrics = [m for result in held_out.values() for m in measure(result, protocol.zero_class)]
    return Evaluation(protocol.name, tuple(metrics), held_out)


def learning_curve(
    target: Samples,
    helper_models: Sequence[Helper],
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    evaluation: Evaluation,
    bounds: tuple[float, float] = UNBOUNDED,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Measure the error after training on shares of the units, on the rows of the first folds.

    The error after training on all of them is taken from the evaluation.

    Args:
        target: As for `evaluate`, and likewise the others.
        helper_models: Models of the helper sources.
        helper_samples: Their own values.
        protocol: How rows are tested.
        evaluation: The result of `evaluate` under it.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes which units are trained on.
    """
    settings = (Setting.WITHOUT_DFT, Setting.KNOWN_DFT) if helper_models else (Setting.WITHOUT_DFT,)
    with one_thread():
        helper_predictions = predict_helpers(target, helper_models, helper_samples)
    parts = list(protocol.shortened(MIN_CURVE_ROWS).parts())
    order = np.random.default_rng(seed).permutation(protocol.units.max() + 1)
    predicted = {(setting, share): np.empty(len(protocol.measured)) for setting in settings for share in CURVE_SHARES}
    sizes = {1.0: float(np.mean([len(part.train) for part in parts]))}
    for share in CURVE_SHARES:
        log.info("%s: learning curve, %.0f %% of the training part", target.properties[0], 100 * share)
        smaller = [_with_training(part, order[protocol.units[part.train]] < share * len(order)) for part in parts]
        sizes[share] = float(np.mean([len(part.train) for part in smaller]))
        for part in smaller:
            with one_thread():
                stacks = _fit_part(target, helper_predictions, protocol, part, settings, bounds, seed)
                of_test = [each.take(part.test) for each in helper_predictions]
                for setting, stack in stacks.items():
                    values = stack.values(target.features[part.test], of_test)
                    predicted[setting, share][part.rows] = values[part.test_position]
    rows = np.concatenate([part.rows for part in parts])
    position = np.searchsorted(protocol.tested, rows)
    points = []
    for setting in settings:
        by_share = {share: predicted[setting, share][rows] for share in CURVE_SHARES}
        by_share[1.0] = evaluation.held_out[setting].values[position]
        for share, values in by_share.items():
            points += _curve_points(protocol, setting, round(sizes[share]), values, protocol.measured[rows])
    return tuple(points)


def _curve_points(
    protocol: Protocol,
    setting: Setting,
    n_trained: int,
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
) -> list[CurvePoint]:
    errors = np.abs(predicted - measured)
    all_rows = np.ones(len(errors), dtype=bool)
    subsets = {Subset.ALL.value: all_rows, **zero_classes(measured, protocol.zero_class)}
    return [
        CurvePoint(protocol.name, setting, name, n_trained, int(mask.sum()), float(errors[mask].mean()))
        for name, mask in subsets.items()
        if mask.any()
    ]


def _with_training(part: Part, rows: NDArray[np.bool_]) -> Part:
    return replace(part, train=part.train[rows], values=part.values[rows])


def _training_part(target: Samples, part: Part) -> Samples:
    return replace(target.take(part.train), values=part.values[:, None])


def _fit_part(
    target: Samples,
    helper_predictions: Sequence[HelperPredictions],
    protocol: Protocol,
    part: Part,
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, Stack]:
    of_train = [each.take(part.train) for each in helper_predictions]
    train, test = _training_part(target, part), target.take(part.test)
    return fit_stacks(train, protocol.units[part.train], of_train, test, settings, bounds, seed)


def fit_stacks(
    train: Samples,
    units: NDArray[np.intp],
    helper_predictions: Sequence[HelperPredictions],
    test: Samples,
    settings: Sequence[Setting],
    bounds: tuple[float, float],
    seed: int,
) -> dict[Setting, Stack]:
    """Fit everything on the training materials, after checking that no test material is among them.

    Args:
        train: The training materials.
        units: (n,) what inner folds keep whole.
        helper_predictions: Of each helper, for the training materials.
        test: The test materials.
        settings: Which settings to fit.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes random choices.

    Raises:
        LeakageError: A test material is among the training materials.
    """
    common = np.intersect1d(train.material_ids, test.material_ids)
    if common.size:
        raise LeakageError(f"{common.size} test materials are trained on too, such as {common[0]}; leave them out")
    training = fit_training(train, units, helper_predictions, settings, seed)
    return {setting: fit_stack(training, setting, bounds) for setting in settings}


def _blank(protocol: Protocol, model: str, target: Samples, tested: NDArray[np.intp]) -> HeldOut:
    values, lower, upper = np.full((3, len(tested)), np.nan)
    outside = np.zeros(len(tested), dtype=bool)
    names = target.material_ids[protocol.material_of[tested]]
    other_intervals = np.full((len(OTHER_LEVELS), 2, len(tested)), np.nan)
    measured, folds = protocol.measured[tested], protocol.folds[tested]
    return HeldOut(protocol.name, model, names, measured, values, lower, upper, other_intervals, outside, folds)


def _single(train: Samples, features: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Predict by a random forest on descriptors, the plain model that a newcomer would try first."""
    from sklearn.ensemble import RandomForestRegressor  # deferred: 1.5 s
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestRegressor(100, max_features=1 / 3, random_state=seed, n_jobs=CORES)
    model = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest)
    model.fit(train.features, target_values(train))
    forest.n_jobs = 1  # threads would add up the trees in any order, and so change the last digits
    predicted: NDArray[np.float64] = model.predict(features)
    return predicted
