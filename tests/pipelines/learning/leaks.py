"""The leakage detector: two questions that any chain of models can be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from matstrata.pipelines.learning.evaluation.evaluation import HeldOut
from matstrata.pipelines.learning.samples import Samples

COPY = 0.9999  # rank correlation beyond which a descriptor is the target in another dress


def suspicious_columns(samples: Samples) -> list[int]:
    """Descriptor columns that order the materials exactly as the target does."""
    ranks = np.argsort(np.argsort(samples.values[:, 0]))
    found = []
    for column, values in enumerate(samples.features.T):
        known = np.isfinite(values)
        if known.sum() > 10 and np.ptp(values[known]) > 0:
            order = np.argsort(np.argsort(values[known]))
            if abs(np.corrcoef(order, ranks[known])[0, 1]) > COPY:
                found.append(column)
    return found


def depends_on_test_values(run: Callable[[Samples], HeldOut], samples: Samples) -> bool:
    """Whether predictions of the first test fold move when the values measured in it do: they must not."""
    before = run(samples)
    fold = before.fold == 0
    changed = replace(samples, values=samples.values.copy())
    changed.values[fold] += 20.0
    after = run(changed)
    return not np.array_equal(before.values[fold], after.values[fold])
