"""From files and store to the results of a benchmark: the task's rows, the helpers' samples, published figures.

Not here: refreshing the sources (`pipelines.cli.runs`), nor how models are evaluated (`evaluation`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from matstrata.pipelines.benchmarks.evaluation import describe, evaluate_task, protocol_of
from matstrata.pipelines.benchmarks.scores import score
from matstrata.pipelines.benchmarks.tasks import Task, read_task
from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.ingest.fetching.files import locate_all
from matstrata.pipelines.learning.evaluation.protocols import Protocol
from matstrata.pipelines.learning.jobs import samples_of, select_source
from matstrata.pipelines.learning.samples import Samples, computed_values, target_values
from matstrata.schemas.benchmarks import BenchmarkSpec, ensemble_of
from matstrata.schemas.properties import get_property
from matstrata.schemas.terms import PUBLISHED, Kind, Split
from matstrata.store.features.sets import materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.records.noise import pooled_noise
from matstrata.store.settings import Settings

log = logging.getLogger("matstrata.benchmarks")

BENCHMARK_SEED = 0
SPLIT_WORDS = {
    Split.GROUPED_KFOLD: "five folds that keep near-identical compositions together",
    Split.CHEMICAL_SYSTEM: "five folds that keep chemical systems together",
    Split.CLUSTER: "each of ten clusters of similar compositions left out in turn",
}


def sources_of(spec: BenchmarkSpec) -> tuple[str, ...]:
    """List the sources that must be up to date in the store."""
    return tuple(name for name in ensemble_of(spec).source_names if name)


def run_benchmark(
    lake: Lake, spec: BenchmarkSpec, split: Split | None = None, methods: Sequence[str] = ()
) -> dict[str, Any]:
    """Evaluate the ensemble on a benchmark whose sources are in the store.

    Args:
        lake: The store.
        spec: The benchmark.
        split: How to split its compositions; None for the published folds, or groups where none are published.
        methods: Names of other methods to compare with the ensemble.

    Returns:
        Plain values for JSON.

    Raises:
        InputError: A file is not available, or a source has no labels.
    """
    task = _task(lake, spec)
    for name in spec.features:
        log.info("describing materials: %s", name)
        materialize(lake, get_feature_set(name))
    ensemble, predicts = ensemble_of(spec), get_property(spec.property)
    with lake.reader() as con:
        helpers = [
            samples_of(select_source(con, ensemble, each, spec.features), Kind.COMPUTATION) for each in spec.helpers
        ]
    target, material_of = describe(task, spec.property, spec.features)
    protocol = protocol_of(task, target, material_of, split, predicts.zero_class, BENCHMARK_SEED)
    bounds = (predicts.lower, predicts.upper)
    results = evaluate_task(target, helpers, protocol, bounds, BENCHMARK_SEED, methods, spec.features)
    return {
        "benchmark": spec.name,
        "title": spec.title,
        "property": spec.property,
        "unit": predicts.unit,
        "n": len(protocol.tested),
        "split": protocol.name,
        "split_words": task.split if protocol.name == PUBLISHED else SPLIT_WORDS[Split(protocol.name)],
        "seed": BENCHMARK_SEED,
        "features": list(spec.features),
        **results,
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
        located = locate_all(
            {key: (place,) for key, place in spec.files.items()}, cache=settings.cache, mirrors=settings.mirror
        )
        return read_task(spec.name, {key: file.path for key, (file,) in located.items()})
    ensemble = ensemble_of(spec)
    with lake.reader() as con:
        labels = samples_of(select_source(con, ensemble, spec.target, ()), Kind.EXPERIMENT)
    return Task(tuple(labels.material_ids.tolist()), target_values(labels))


def _computed(protocol: Protocol, target: Samples, helpers: Sequence[Samples]) -> dict[str, Any]:
    """Score the computed values themselves on the tested rows that have one: learning must improve on these."""
    measured, scores = protocol.measured[protocol.tested], {}
    for helper in helpers:
        if target.properties[0] not in helper.properties:
            continue
        values = computed_values(helper, target.material_ids)[:, helper.properties.index(target.properties[0])]
        computed = values[protocol.material_of[protocol.tested]]
        rows = np.isfinite(computed)
        if rows.any():
            note = "the computed value in place of the measured one, where there is one"
            scores[helper.source] = {**score(computed[rows], measured[rows]), "recomputed": True, "note": note}
    return scores
