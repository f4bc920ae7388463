"""From files and store to a judged benchmark: the task's rows, the helpers' samples, the figures beside the published.

Not here: refreshing the sources (`pipelines.definitions`), nor how the figures come about (`judging`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from matstrata.pipelines.benchmarks import judging
from matstrata.pipelines.benchmarks.scores import score
from matstrata.pipelines.benchmarks.tasks import Task, read_task
from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.ingest.fetching.files import locate_all
from matstrata.pipelines.learning.evaluation.protocols import PUBLISHED, Protocol
from matstrata.pipelines.learning.jobs import samples_of, select_source
from matstrata.pipelines.learning.samples import Samples, known_values, target_values
from matstrata.pipelines.learning.splits import Split
from matstrata.schemas.benchmarks import BenchmarkSpec, ensemble_of
from matstrata.schemas.properties import get_property
from matstrata.store.features.sets import materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.records.noise import pooled_noise
from matstrata.store.settings import Settings

log = logging.getLogger("matstrata.benchmarks")

SEED = 0
SPLITS = {
    Split.GROUPED_KFOLD: "five folds that keep near-identical compositions together",
    Split.CHEMICAL_SYSTEM: "five folds that keep chemical systems together",
    Split.CLUSTER: "each of ten clusters of compositions alike left out in turn",
}


def sources_of(spec: BenchmarkSpec) -> tuple[str, ...]:
    """The sources that must be up to date in the store."""
    return tuple(name for name in ensemble_of(spec).source_names if name)


def run_benchmark(
    lake: Lake, spec: BenchmarkSpec, split: Split | None = None, methods: Sequence[str] = ()
) -> dict[str, Any]:
    """Judge the ensemble on a benchmark whose sources are in the store: plain values for JSON.

    Args:
        lake: the store.
        spec: which benchmark.
        split: how to split its compositions; None for the published folds, or groups where none are published.
        methods: names of other methods to judge beside the ensemble.

    Raises:
        InputError: a file can't be had, or a source has no labels.
    """
    task = _task(lake, spec)
    for name in spec.features:
        log.info("describing materials: %s", name)
        materialize(lake, get_feature_set(name))
    ensemble, predicts = ensemble_of(spec), get_property(spec.property)
    with lake.reader() as con:
        helpers = [samples_of(select_source(con, ensemble, each, spec.features), ensemble) for each in spec.helpers]
    target, which = judging.describe(task, spec.property, spec.features)
    protocol = judging.protocol_of(task, target, which, split, predicts.zero_class, SEED)
    bounds = (predicts.lower, predicts.upper)
    judged = judging.judge_task(target, helpers, protocol, bounds, SEED, methods, spec.features)
    return {
        "benchmark": spec.name,
        "title": spec.title,
        "property": spec.property,
        "unit": predicts.unit,
        "n": len(protocol.tested),
        "split": protocol.name,
        "split_words": task.split if protocol.name == PUBLISHED else SPLITS[Split(protocol.name)],
        "seed": SEED,
        "features": list(spec.features),
        **judged,
        "published": {
            **(task.published if protocol.name == PUBLISHED else {}),
            **_computed(protocol, target, helpers),
            **{name: {**figures, "recomputed": False} for name, figures in spec.printed.items()},
        },
        "replicate_noise": pooled_noise(lake, spec.property),
    }


def _task(lake: Lake, spec: BenchmarkSpec) -> Task:
    if spec.files:
        settings = Settings()
        found = locate_all(
            {key: (place,) for key, place in spec.files.items()}, cache=settings.cache, mirrors=settings.mirror
        )
        return read_task(spec.name, {key: file.path for key, (file,) in found.items()})
    ensemble = ensemble_of(spec)
    with lake.reader() as con:
        labels = samples_of(select_source(con, ensemble, spec.target, ()), ensemble)
    return Task(tuple(labels.material_ids.tolist()), target_values(labels))


def _computed(protocol: Protocol, target: Samples, helpers: Sequence[Samples]) -> dict[str, Any]:
    """What the computed values themselves err by, on the tested rows that have one: what learning must beat."""
    measured, found = protocol.measured[protocol.tested], {}
    for helper in helpers:
        if target.properties[0] not in helper.properties:
            continue
        values = known_values(helper, target.material_ids)[:, helper.properties.index(target.properties[0])]
        known = values[protocol.which[protocol.tested]]
        there = np.isfinite(known)
        if there.any():
            note = "the computed value taken for the measured one, where there is one"
            found[helper.source] = {**score(known[there], measured[there]), "recomputed": True, "note": note}
    return found
