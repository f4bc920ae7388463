"""From files and store to a judged benchmark: the task's rows, the helpers' samples, the figures beside the published.

Not here: refreshing the sources (`pipelines.definitions`), nor how the figures come about (`judging`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.benchmarks import judging
from pipelines.benchmarks.scores import score
from pipelines.benchmarks.tasks import Task, read_task
from pipelines.descriptors.catalogue import get_feature_set
from pipelines.ingest.files import locate_all
from pipelines.learning.samples import Samples, known_values, target_values
from pipelines.learning.splits import Protocol, assign_folds, split_units
from pipelines.learning.training import samples_of, select_source
from schemas.benchmarks import BenchmarkSpec, ensemble_of
from schemas.properties import get_property
from store.features import materialise
from store.lake import Lake
from store.noise import pooled_noise
from store.settings import Settings

log = logging.getLogger("matstrata.benchmarks")

FOLDS, SEED = 5, 0


def sources_of(spec: BenchmarkSpec) -> tuple[str, ...]:
    """The sources that must be up to date in the store."""
    return tuple(name for name in ensemble_of(spec).source_names if name)


def run_benchmark(lake: Lake, spec: BenchmarkSpec, methods: Sequence[str] = ()) -> dict[str, Any]:
    """Judge the ensemble, and other methods beside it, on a benchmark whose sources are in the store: values for JSON.

    Raises:
        InputError: a file can't be had, or a source has no labels.
    """
    task, published = _task(lake, spec)
    for name in spec.features:
        log.info("describing materials: %s", name)
        materialise(lake, get_feature_set(name))
    ensemble = ensemble_of(spec)
    with lake.reader() as con:
        helpers = [samples_of(select_source(con, ensemble, each, spec.features), ensemble) for each in spec.helpers]
    predicts = get_property(spec.property)
    target, which = judging.describe(task, spec.property, spec.features)
    columns = [(column.name, column.unit or "") for name in spec.features for column in get_feature_set(name).columns]
    bounds = (predicts.lower, predicts.upper)
    judged = judging.judge_task(task, target, which, helpers, bounds, SEED, methods, columns)
    if predicts.zero_class is None:  # then there are no metals and non-metals to tell apart
        for figures in judged["protocols"].values():
            figures.update({name: None for name in figures if name.endswith("metal")})
    return {
        "benchmark": spec.name,
        "title": spec.title,
        "property": spec.property,
        "unit": predicts.unit,
        "n": int((task.folds >= 0).sum()),
        "split": task.split,
        "seed": SEED,
        "features": list(spec.features),
        **judged,
        "published": {
            **published,
            **_computed(task, which, target, helpers),
            **{name: {**figures, "recomputed": False} for name, figures in spec.printed.items()},
        },
        "replicate_noise": pooled_noise(lake, spec.property),
    }


def _task(lake: Lake, spec: BenchmarkSpec) -> tuple[Task, Mapping[str, Mapping[str, Any]]]:
    if spec.files:
        settings = Settings()
        found = locate_all(
            {key: (place,) for key, place in spec.files.items()}, cache=settings.cache, mirrors=settings.mirror
        )
        task = read_task(spec.name, {key: file.path for key, (file,) in found.items()})
        return task, task.published
    with lake.reader() as con:
        labels = samples_of(select_source(con, ensemble_of(spec), spec.target, ()), ensemble_of(spec))
    folds = assign_folds(split_units(labels, Protocol.GROUPED_KFOLD), FOLDS, SEED)
    split = f"{FOLDS} folds that keep near-identical compositions together"
    return Task(tuple(labels.material_ids.tolist()), target_values(labels), folds, split, grouped=True), {}


def _computed(task: Task, which: NDArray[np.intp], target: Samples, helpers: Sequence[Samples]) -> dict[str, Any]:
    """What the computed values themselves err by, on the tested rows that have one: what learning must beat."""
    rows, found = np.flatnonzero(task.folds >= 0), {}
    for helper in helpers:
        if target.properties[0] not in helper.properties:
            continue
        known = known_values(helper, target.material_ids)[which[rows], helper.properties.index(target.properties[0])]
        there = np.isfinite(known)
        if there.any():
            note = "the computed value taken for the measured one, where there is one"
            found[helper.source] = {**score(known[there], task.values[rows][there]), "recomputed": True, "note": note}
    return found
