"""The product's ensemble on a benchmark's rows: what it may see, fold by fold, and the figures that come of it.

The models are those of `pipelines.learning`, with nothing set for the benchmark. Source models are trained once, blind
to every group of every row. A test composition is trained on in no fold, also where the official split has it twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.benchmarks.rivals import Rival
from pipelines.benchmarks.scores import mean, paired_gain, score
from pipelines.benchmarks.tasks import Task
from pipelines.descriptors.catalogue import get_feature_set
from pipelines.learning.ensemble import hear_helpers
from pipelines.learning.evaluation import judge
from pipelines.learning.level1 import Setting
from pipelines.learning.methods.interface import Lessons
from pipelines.learning.samples import Samples
from pipelines.learning.source_models import SourceModel, train_source_model
from pipelines.learning.splits import Protocol, split_units
from pipelines.learning.threads import one_thread
from schemas.composition import parse_formula

log = logging.getLogger("matstrata.benchmarks")

MAX_AMOUNT = 10_000  # alloys are written with integers


@dataclass(frozen=True, slots=True)
class Said:
    """What one setting predicted: (n,) arrays over the tested rows."""

    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]


def describe(task: Task, property_name: str, features: Sequence[str]) -> tuple[Samples, NDArray[np.intp]]:
    """The distinct compositions of a task as samples, and (n,) which one each row is.

    The values are the medians over all rows: `fold_samples` puts those of a fold's training rows in their place.
    """
    compositions = [parse_formula(formula, max_amount=MAX_AMOUNT) for formula in task.formulas]
    names, first, which = np.unique(
        np.array([composition.material_id for composition in compositions]), return_index=True, return_inverse=True
    )
    distinct = [compositions[row] for row in first]
    elements = pa.array([list(each.elements) for each in distinct], pa.list_(pa.string()))
    fractions = pa.array([list(each.fractions) for each in distinct], pa.list_(pa.float64()))
    described = [get_feature_set(name).compute(elements, fractions)[0] for name in features]
    return Samples(
        source="benchmark",
        kind="experiment",
        properties=(property_name,),
        material_ids=names,
        group_ids=np.array([each.group_id for each in distinct]),
        chemical_systems=np.array([each.chemical_system for each in distinct]),
        features=np.hstack(described),
        values=_medians(task.values, which, len(names))[:, None],
        feature_sets=tuple(matrix.shape[1] for matrix in described),
    ), which


def judge_task(
    task: Task,
    target: Samples,
    which: NDArray[np.intp],
    helper_samples: Sequence[Samples],
    bounds: tuple[float, float],
    seed: int = 0,
    methods: Sequence[str] = (),
    columns: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Judge the ensemble on a task, and other methods beside it.

    Args:
        task: The rows.
        target: Their distinct compositions, from `describe`.
        which: (n,) the composition of each row.
        helper_samples: The computed sources, with descriptors.
        bounds: Smallest and largest possible value of the property.
        seed: Fixes what chance decides.
        methods: Names of `pipelines.learning.methods` to compare with the ensemble.
        columns: Name and unit of each descriptor, which methods may need.

    Returns:
        Plain values for JSON: `protocols`, `gain_from_dft`, `source_models`, `seconds`; `methods` if any are named.
    """
    started = time.monotonic()
    models: list[SourceModel] = []
    for samples in helper_samples:
        log.info("training the model of %s on %s materials", samples.source, f"{len(samples):,}")
        models.append(train_source_model(samples, target.group_ids, seed))
    with one_thread():
        testimonies = hear_helpers(target, models, helper_samples)
    forbidden = target.group_ids
    if not task.grouped:  # test rows were drawn one by one, so what is calibrated inside must be too
        target = replace(target, group_ids=target.material_ids)
    lessons = Lessons(
        target.properties[0],
        tuple(name for name, _ in columns),
        tuple(unit for _, unit in columns),
        tuple(helper_samples),
        tuple(models),
        forbidden,
        seed,
    )
    rivals = {name: Rival(name, lessons, len(task.values)) for name in methods}
    units = split_units(target, Protocol.GROUPED_KFOLD)
    tested = np.flatnonzero(task.folds >= 0)
    blank = {setting: _blank(len(task.values)) for setting in Setting}
    for fold in np.unique(task.folds[tested]):
        log.info("fold %s of %s", fold + 1, task.folds.max() + 1)
        rows = np.flatnonzero(task.folds == fold)
        asked = np.unique(which[rows])
        known = np.flatnonzero((task.folds != fold) & ~np.isin(which, asked))
        told = np.unique(which[known])
        seen = _with_values(target, told, _medians(task.values[known], which[known], len(target)))
        unseen = target.take(asked)
        heard, hearing = ([testimony.take(part) for testimony in testimonies] for part in (told, asked))
        with one_thread():
            answers = judge(seen, units[told], heard, unseen, hearing, tuple(Setting), bounds, seed)
        place = np.searchsorted(asked, which[rows])
        for rival in rivals.values():
            rival.meet(seen, heard, unseen.features, hearing, rows, place, bounds)
        for setting, answer in answers.items():
            for name in ("values", "lower", "upper", "in_domain"):
                getattr(blank[setting], name)[rows] = getattr(answer, name)[place]
    measured, folds = task.values[tested], task.folds[tested]
    said = {
        setting.value: Said(*(getattr(each, name)[tested] for name in ("values", "lower", "upper", "in_domain")))
        for setting, each in blank.items()
    }
    errors = {name: np.abs(each.values - measured) for name, each in said.items()}
    return {
        "protocols": {name: _protocol(each, measured, folds) for name, each in said.items()},
        "gain_from_dft": {
            name: paired_gain(errors[Setting.WITHOUT_DFT], errors[name], folds, seed)
            for name in (Setting.STRICT.value, Setting.KNOWN_DFT.value)
        },
        "source_models": {model.source: {"materials": model.n_rows} for model in models},
        "known_values": {
            testimony_of.source: int(np.isfinite(testimony.known).any(axis=1).sum())
            for testimony_of, testimony in zip(models, testimonies, strict=True)
        },
        "seconds": round(time.monotonic() - started, 1),
        **({"methods": {name: rival.figures(measured, tested) for name, rival in rivals.items()}} if rivals else {}),
    }


def _blank(n: int) -> Said:
    values, lower, upper = np.full((3, n), np.nan)
    return Said(values, lower, upper, np.zeros(n, dtype=bool))


def _protocol(said: Said, measured: NDArray[np.float64], folds: NDArray[np.intp]) -> Mapping[str, Any]:
    inside = (said.lower <= measured) & (measured <= said.upper)
    errors = np.abs(said.values - measured)
    everything, zero = np.ones(len(measured), dtype=bool), measured == 0
    subsets = {"": everything, "_nonmetal": ~zero, "_metal": zero, "_in_domain": said.in_domain}
    return {
        **score(said.values, measured),
        **{f"coverage_90{name}": mean(inside, rows) for name, rows in subsets.items()},
        **{f"width_90{name}": mean(said.upper - said.lower, rows) for name, rows in subsets.items()},
        "mae_in_domain": mean(errors, said.in_domain),
        "mae_out_of_domain": mean(errors, ~said.in_domain),
        "share_in_domain": float(said.in_domain.mean()),
        "mae_by_fold": [float(errors[folds == fold].mean()) for fold in np.unique(folds)],
    }


def _with_values(target: Samples, rows: NDArray[np.intp], values: NDArray[np.float64]) -> Samples:
    return replace(target.take(rows), values=values[rows, None])


def _medians(values: NDArray[np.float64], which: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """The median value of each of n compositions, NaN where it has none."""
    medians = np.full(n, np.nan)
    order = np.argsort(which, kind="stable")
    names, starts = np.unique(which[order], return_index=True)
    for name, part in zip(names, np.split(values[order], starts[1:]), strict=True):
        medians[name] = np.median(part)
    return medians
