"""Our own ensemble on a benchmark's rows, under our own protocols.

The models are those of `pipelines.learning`, with no setting for the benchmark. Source models are trained once, blind
to every group of every row. Not here: other methods (`comparison`), and where the rows come from (`running`, `tasks`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.pipelines.benchmarks.comparison import evaluate_method
from matstrata.pipelines.benchmarks.scores import paired_gain
from matstrata.pipelines.benchmarks.tasks import Task
from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.learning.evaluation.evaluation import Evaluation, evaluate
from matstrata.pipelines.learning.evaluation.protocols import Protocol, medians, published_protocol, split_protocol
from matstrata.pipelines.learning.methods.interface import HelperData
from matstrata.pipelines.learning.models.network import train_networks
from matstrata.pipelines.learning.models.source_models import SourceModel, train_source_model
from matstrata.pipelines.learning.samples import Samples, computed_values
from matstrata.schemas.composition import parse_formula
from matstrata.schemas.terms import Baseline, Kind, Metric, Setting, Split, Subset

if TYPE_CHECKING:
    from matstrata.pipelines.learning.stack.inputs import Helper

log = logging.getLogger("matstrata.benchmarks")

MAX_AMOUNT = 10_000  # alloys are written with integers


def describe(task: Task, property_name: str, features: Sequence[str]) -> tuple[Samples, NDArray[np.intp]]:
    """Describe the distinct compositions of a task.

    Args:
        task: n rows.
        property_name: The measured property.
        features: Names of the feature sets.

    Returns:
        The compositions as samples, whose values are the medians over all rows (a protocol replaces them by those over
        a fold's training rows); and (n,) the composition of each row, as a position.
    """
    compositions = [parse_formula(formula, max_amount=MAX_AMOUNT) for formula in task.formulas]
    names, first, material_of = np.unique(
        np.array([composition.material_id for composition in compositions]), return_index=True, return_inverse=True
    )
    distinct = [compositions[row] for row in first]
    elements = pa.array([list(each.elements) for each in distinct], pa.list_(pa.string()))
    fractions = pa.array([list(each.fractions) for each in distinct], pa.list_(pa.float64()))
    return Samples(
        source="benchmark",
        kind=Kind.EXPERIMENT,
        properties=(property_name,),
        material_ids=names,
        group_ids=np.array([each.group_id for each in distinct]),
        chemical_systems=np.array([each.chemical_system for each in distinct]),
        features=np.hstack([get_feature_set(name).compute(elements, fractions)[0] for name in features]),
        values=medians(task.values, material_of)[:, None],
        widths=tuple(len(get_feature_set(name).columns) for name in features),
    ), material_of


def protocol_of(
    task: Task,
    target: Samples,
    material_of: NDArray[np.intp],
    split: Split | None,
    zero_class: str | None,
    seed: int = 0,
) -> Protocol:
    """Choose the protocol of a task: its published folds, or others over its distinct compositions.

    Args:
        task: The rows.
        target: Their distinct compositions, from `describe`.
        material_of: (n,) the composition of each row, as a position.
        split: How to split; None for the published folds, or groups where there are none.
        zero_class: Name of the class whose value is 0, if there is one.
        seed: Fixes random choices.
    """
    if split is None and task.folds is not None:
        return published_protocol(task.values, material_of, task.folds, zero_class)
    return split_protocol(target, split or Split.GROUPED_KFOLD, zero_class, seed)


def evaluate_task(
    target: Samples,
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    bounds: tuple[float, float],
    seed: int = 0,
    methods: Sequence[str] = (),
    feature_sets: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate the ensemble on the compositions of a task, and other methods for comparison.

    Args:
        target: The distinct compositions, from `describe`.
        helper_samples: The computed sources, with descriptors.
        protocol: From `protocol_of`.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes random choices.
        methods: Names of `pipelines.learning.methods` to compare with the ensemble.
        feature_sets: Names of the target's feature sets, for methods that use their names and units.

    Returns:
        Plain values for JSON: `protocols`, `gain_from_dft`, `plain_random_forest`, `source_models`, `seconds` of the
        ensemble, `methods`.
    """
    started = time.monotonic()
    models: list[SourceModel] = []
    for samples in helper_samples:
        log.info("training the model of %s on %s materials", samples.source, f"{len(samples):,}")
        models.append(train_source_model(samples, target.group_ids, seed))
    helpers: list[Helper] = [*models, *train_networks(helper_samples, target.group_ids, seed)]
    evaluation = evaluate(target, helpers, helper_samples, protocol, bounds, seed)
    errors = {name: np.abs(held.values - held.measured) for name, held in evaluation.held_out.items()}
    folds = protocol.folds[protocol.tested]
    seconds = round(time.monotonic() - started, 1)
    data = HelperData(
        property_name=target.properties[0],
        feature_sets=tuple(
            tuple((column.name, column.unit or "") for column in get_feature_set(name).columns) for name in feature_sets
        ),
        helpers=tuple(helper_samples),
        models=tuple(models),
        group_ids=target.group_ids,
        seed=seed,
    )
    return {
        "protocols": {setting.value: _figures(evaluation, setting) for setting in Setting},
        "plain_random_forest": _figures(evaluation, Baseline.SINGLE),
        "gain_from_dft": {
            setting.value: paired_gain(errors[Setting.WITHOUT_DFT], errors[setting], folds, seed)
            for setting in (Setting.STRICT, Setting.KNOWN_DFT)
        },
        "source_models": {
            model.source: {
                "materials": model.n_rows,
                "known_values": int(np.isfinite(computed_values(samples, target.material_ids)).any(axis=1).sum()),
            }
            for model, samples in zip(models, helper_samples, strict=True)
        },
        "seconds": seconds,
        "methods": {name: evaluate_method(name, data, target, protocol, bounds) for name in methods},
    }


def _figures(evaluation: Evaluation, model: str) -> dict[str, Any]:
    """Gather the figures of one model, by name; those of subsets have the name of the subset added."""
    held_out = evaluation.held_out[model]
    errors = np.abs(held_out.values - held_out.measured)
    figures: dict[str, Any] = dict.fromkeys(("mae_metal", "mae_nonmetal"))
    for metrics in (metrics for metrics in evaluation.metrics if metrics.model == model):
        suffix = "" if metrics.subset == Subset.ALL else f"_{metrics.subset.replace('-', '')}"
        for name in Metric:
            figures[f"{name}{suffix}"] = getattr(metrics, name)
    figures["mae_by_fold"] = [float(errors[held_out.fold == fold].mean()) for fold in np.unique(held_out.fold)]
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in figures.items()}
