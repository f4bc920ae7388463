"""The leakage detector: two checks for any chain of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from matstrata.pipelines.learning.evaluation.scores import HeldOut
from matstrata.pipelines.learning.samples import Samples

MIN_COPY_CORRELATION = 0.9999  # of ranks, beyond which a descriptor is a monotone function of the target


def suspicious_columns(samples: Samples) -> list[int]:
    """Descriptor columns that order the materials exactly as the target does."""
    ranks = np.argsort(np.argsort(samples.values[:, 0]))
    copies = []
    for column, values in enumerate(samples.features.T):
        finite = np.isfinite(values)
        if finite.sum() > 10 and np.ptp(values[finite]) > 0:
            order = np.argsort(np.argsort(values[finite]))
            if abs(np.corrcoef(order, ranks[finite])[0, 1]) > MIN_COPY_CORRELATION:
                copies.append(column)
    return copies


def depends_on_test_values(run: Callable[[Samples], HeldOut], samples: Samples) -> bool:
    """Whether predictions for the first test fold change when the values measured in it do: they must not."""
    before = run(samples)
    fold = before.fold == 0
    changed = replace(samples, values=samples.values.copy())
    changed.values[np.isin(samples.material_ids, before.material_ids[fold])] += 20.0
    after = run(changed)
    return not np.array_equal(before.values[fold], after.values[fold])
