"""The product's ensemble on a benchmark's rows, under the product's own protocols: the figures that come of it.

The models are those of `pipelines.learning`, with nothing set for the benchmark. Source models are trained once, blind
to every group of every row.
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

from matstrata.pipelines.benchmarks.rivals import judge_method
from matstrata.pipelines.benchmarks.scores import paired_gain
from matstrata.pipelines.benchmarks.tasks import Task
from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.learning.evaluation.evaluation import SINGLE, Evaluation, evaluate
from matstrata.pipelines.learning.evaluation.protocols import Protocol, medians, published_protocol, split_protocol
from matstrata.pipelines.learning.methods.interface import Lessons
from matstrata.pipelines.learning.models.network import teach_networks
from matstrata.pipelines.learning.models.source_models import SourceModel, train_source_model
from matstrata.pipelines.learning.samples import Samples, known_values
from matstrata.pipelines.learning.splits import Split
from matstrata.pipelines.learning.stack.level1 import Setting
from matstrata.schemas.composition import parse_formula

if TYPE_CHECKING:
    from matstrata.pipelines.learning.stack.level1 import Helper

log = logging.getLogger("matstrata.benchmarks")

MAX_AMOUNT = 10_000  # alloys are written with integers


def describe(task: Task, property_name: str, features: Sequence[str]) -> tuple[Samples, NDArray[np.intp]]:
    """The distinct compositions of a task as samples, and (n,) which one each row is.

    The values are the medians over all rows; a protocol puts those of a fold's training rows in their place.
    """
    compositions = [parse_formula(formula, max_amount=MAX_AMOUNT) for formula in task.formulas]
    names, first, which = np.unique(
        np.array([composition.material_id for composition in compositions]), return_index=True, return_inverse=True
    )
    distinct = [compositions[row] for row in first]
    elements = pa.array([list(each.elements) for each in distinct], pa.list_(pa.string()))
    fractions = pa.array([list(each.fractions) for each in distinct], pa.list_(pa.float64()))
    return Samples(
        source="benchmark",
        kind="experiment",
        properties=(property_name,),
        material_ids=names,
        group_ids=np.array([each.group_id for each in distinct]),
        chemical_systems=np.array([each.chemical_system for each in distinct]),
        features=np.hstack([get_feature_set(name).compute(elements, fractions)[0] for name in features]),
        values=medians(task.values, which)[:, None],
        widths=tuple(len(get_feature_set(name).columns) for name in features),
    ), which


def protocol_of(
    task: Task, target: Samples, which: NDArray[np.intp], split: Split | None, zero_class: str | None, seed: int = 0
) -> Protocol:
    """The protocol by which a task is judged: its published folds, or others over its distinct compositions.

    Args:
        task: The rows.
        target: Their distinct compositions, from `describe`.
        which: (n,) the composition of each row.
        split: How to split; None for the published folds, or groups where there are none.
        zero_class: Name of the class whose value is 0, if there is one.
        seed: Fixes what chance decides.
    """
    if split is None and task.folds is not None:
        return published_protocol(task.values, which, task.folds, zero_class)
    return split_protocol(target, split or Split.GROUPED_KFOLD, zero_class, seed)


def judge_task(
    target: Samples,
    helper_samples: Sequence[Samples],
    protocol: Protocol,
    bounds: tuple[float, float],
    seed: int = 0,
    methods: Sequence[str] = (),
    feature_sets: Sequence[str] = (),
) -> dict[str, Any]:
    """Judge the ensemble on the compositions of a task, and other methods beside it.

    Args:
        target: The distinct compositions, from `describe`.
        helper_samples: The computed sources, with descriptors.
        protocol: From `protocol_of`.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.
        methods: Names of `pipelines.learning.methods` to compare with the ensemble.
        feature_sets: Names of the target's feature sets, which methods may ask for.

    Returns:
        Plain values for JSON: `protocols`, `gain_from_dft`, `plain_random_forest`, `source_models`, `seconds` of the
        ensemble, `methods`.
    """
    started = time.monotonic()
    models: list[SourceModel] = []
    for samples in helper_samples:
        log.info("training the model of %s on %s materials", samples.source, f"{len(samples):,}")
        models.append(train_source_model(samples, target.group_ids, seed))
    helpers: list[Helper] = [*models, *teach_networks(helper_samples, target.group_ids, seed)]
    evaluation = evaluate(target, helpers, helper_samples, protocol, bounds, seed)
    errors = {name: np.abs(held.values - held.measured) for name, held in evaluation.held_out.items()}
    folds = protocol.folds[protocol.tested]
    seconds = round(time.monotonic() - started, 1)
    lessons = Lessons(
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
        "plain_random_forest": _figures(evaluation, SINGLE),
        "gain_from_dft": {
            setting.value: paired_gain(errors[Setting.WITHOUT_DFT], errors[setting], folds, seed)
            for setting in (Setting.STRICT, Setting.KNOWN_DFT)
        },
        "source_models": {
            model.source: {
                "materials": model.n_rows,
                "known_values": int(np.isfinite(known_values(samples, target.material_ids)).any(axis=1).sum()),
            }
            for model, samples in zip(models, helper_samples, strict=True)
        },
        "seconds": seconds,
        "methods": {name: judge_method(name, lessons, target, protocol, bounds) for name in methods},
    }


def _figures(evaluation: Evaluation, model: str) -> dict[str, Any]:
    """The figures of one model: of all rows by their names, of subsets with the subset's name behind."""
    held = evaluation.held_out[model]
    errors = np.abs(held.values - held.measured)
    found: dict[str, Any] = dict.fromkeys(("mae_metal", "mae_nonmetal"))
    for each in (each for each in evaluation.metrics if each.model == model):
        end = "" if each.subset == "all" else f"_{each.subset.replace('-', '')}"
        for name in ("n", "mae", "rmse", "r2", "coverage_90", "width_90"):
            found[f"{name}{end}"] = getattr(each, name)
    found["mae_by_fold"] = [float(errors[held.fold == fold].mean()) for fold in np.unique(held.fold)]
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()}
