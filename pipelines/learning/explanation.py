"""Feature importance by permutation: how much predictions change when a block of inputs is that of other materials.

A *block* is what is exchanged together: all inputs that come from one source, or the descriptors made from one property
of the elements, which are nearly redundant and would substitute for each other. With y the measured values, f the
prediction and f_b that with block b of other materials,

    importance(b) = mean |f_b - y| - mean |f - y|    (over held-out materials and repeats)
    effect(b, x) = f(x) - mean f_b(x)                (over repeats)

in the property's unit (permutation importance, Breiman 2001, doi:10.1023/A:1010933404324, by blocks). A source's inputs
stay the same when descriptors are exchanged, and the other way round. All copies are predicted at once, which is some
ten times faster than one call for each. Not here: figures of it (`pipelines.reports`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.settings import HelperPredictions
from matstrata.pipelines.learning.stack.inputs import predict_helper
from matstrata.pipelines.learning.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.ensemble import Ensemble
    from matstrata.pipelines.learning.stack.stack import Stack

MAX_MATERIALS = 40  # of a fold, for which importances are computed
PREDICTED_COPIES = 10_000  # for all importances of a fold: a few seconds
MAX_DONORS = 20  # measured materials whose blocks replace those of one formula
BATCH_COPIES = 4000  # predicted at a time
_FIELDS = ("predicted", "chances", "computed", "layers")


@dataclass(frozen=True, slots=True)
class Block:
    """What is exchanged together.

    Attributes:
        kind: ``source`` or ``descriptors``.
        name: The source, or what the descriptors are made from.
        columns: Of a source, its position among the helpers; of descriptors, their positions among the columns.
    """

    kind: str
    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Importance:
    """How much larger the mean absolute error is with one block exchanged, on `materials` held-out materials."""

    block: Block
    increase: float
    materials: int


def blocks_of(descriptors: Sequence[str], sources: Sequence[str]) -> tuple[Block, ...]:
    """List the blocks: each source, then groups of descriptors whose names differ in the last word only.

    ``electronegativity_min`` and ``electronegativity_avg_dev`` belong together; a name without such relatives is a
    block of its own.
    """
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(descriptors):
        stem = name.replace("_avg_dev", "_deviation").rpartition("_")[0] or name
        groups.setdefault(stem, []).append(column)
    blocks = [Block("source", source, (position,)) for position, source in enumerate(sources)]
    for stem, columns in groups.items():
        blocks.append(Block("descriptors", stem if len(columns) > 1 else descriptors[columns[0]], tuple(columns)))
    return tuple(blocks)


def importances(
    stack: Stack,
    features: NDArray[np.float64],
    helper_predictions: Sequence[HelperPredictions],
    measured: NDArray[np.float64],
    blocks: Sequence[Block],
    seed: int,
) -> tuple[list[Importance], NDArray[np.intp], NDArray[np.float64]]:
    """Compute the importance of every block on held-out materials.

    Args:
        stack: Fitted without these materials.
        features: (m, d) their descriptors.
        helper_predictions: Of each helper, for these materials.
        measured: (m,) their values.
        blocks: What to exchange.
        seed: Fixes which materials exchange blocks.

    Returns:
        The importance of each block; the positions of the k materials used, all of them unless they are many; and
        (k, blocks) the effect of each block on their predictions.
    """
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.permutation(len(measured))[:MAX_MATERIALS])
    repeats = int(np.clip(PREDICTED_COPIES // (len(blocks) * len(positions)), 1, MAX_DONORS))
    features, measured = features[positions], measured[positions]
    helper_predictions = [each.take(positions) for each in helper_predictions]
    donors = np.array([rng.permutation(len(positions)) for _ in range(repeats)])
    base = stack.values(features, helper_predictions)
    exchanged = exchange(stack, features, helper_predictions, features, helper_predictions, blocks, donors)
    increases = np.abs(exchanged - measured).mean(axis=(1, 2)) - np.abs(base - measured).mean()
    of_blocks = [
        Importance(block, float(increase), len(positions)) for block, increase in zip(blocks, increases, strict=True)
    ]
    return of_blocks, positions, (base - exchanged.mean(axis=1)).T


def donors_of(ensemble: Ensemble, seed: int) -> NDArray[np.intp]:
    """Choose the measured materials whose blocks replace those of a formula: the same positions each time."""
    return np.sort(np.random.default_rng(seed).permutation(len(ensemble.measured))[:MAX_DONORS])


def effects(
    ensemble: Ensemble,
    features: NDArray[np.float64],
    computed: Mapping[str, NDArray[np.float64]],
    donors_computed: Mapping[str, NDArray[np.float64]],
    blocks: Sequence[Block],
    seed: int,
) -> NDArray[np.float64]:
    """Compute the effect of each block on the predictions of m materials, compared with blocks of measured materials.

    Args:
        ensemble: The predictor.
        features: (m, d) descriptors of the materials.
        computed: For each helper, (m, p) computed values of the materials, NaN where it has none.
        donors_computed: The same for the materials that `donors_of` chooses.
        blocks: What to exchange.
        seed: As given to `donors_of`.

    Returns:
        (m, blocks), in the property's unit. They need not sum to the prediction: blocks act together.
    """
    neighborhood = ensemble.stack.neighborhood
    donor_features = neighborhood.points[donors_of(ensemble, seed)] * neighborhood.width + neighborhood.center
    with one_thread():
        own = [predict_helper(helper, features, computed.get(helper.source)) for helper in ensemble.helpers]
        of_donors = [
            predict_helper(helper, donor_features, donors_computed.get(helper.source)) for helper in ensemble.helpers
        ]
        base = ensemble.stack.values(features, own)
        donors = np.tile(np.arange(len(donor_features))[:, None], len(features))
        exchanged = exchange(ensemble.stack, features, own, donor_features, of_donors, blocks, donors)
    return (base - exchanged.mean(axis=1)).T


def exchange(
    stack: Stack,
    features: NDArray[np.float64],
    helper_predictions: Sequence[HelperPredictions],
    donor_features: NDArray[np.float64],
    donor_predictions: Sequence[HelperPredictions],
    blocks: Sequence[Block],
    donors: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Predict materials with one block at a time from donors: (blocks, repeats, m).

    Args:
        stack: The predictor.
        features: (m, d) descriptors of the materials.
        helper_predictions: Of each helper, for the materials.
        donor_features: (n, d) descriptors of the donors.
        donor_predictions: Of each helper, for the donors.
        blocks: What to exchange.
        donors: (repeats, m) the donor of each material.
    """
    repeats, m = donors.shape
    copies = np.tile(np.arange(m), repeats)
    givers = donors.ravel()
    predicted = np.empty((len(blocks), repeats * m))
    batch = max(BATCH_COPIES // len(copies), 1)  # blocks
    for start in range(0, len(blocks), batch):
        parts = [
            _exchanged(block, features, helper_predictions, donor_features, donor_predictions, copies, givers)
            for block in blocks[start : start + batch]
        ]
        joined = [
            HelperPredictions(*(np.concatenate([getattr(part[1][i], name) for part in parts]) for name in _FIELDS))
            for i in range(len(helper_predictions))
        ]
        values = stack.values(np.concatenate([part[0] for part in parts]), joined)
        predicted[start : start + batch] = values.reshape(len(parts), -1)
    return predicted.reshape(len(blocks), repeats, m)


def _exchanged(
    block: Block,
    features: NDArray[np.float64],
    helper_predictions: Sequence[HelperPredictions],
    donor_features: NDArray[np.float64],
    donor_predictions: Sequence[HelperPredictions],
    copies: NDArray[np.intp],
    givers: NDArray[np.intp],
) -> tuple[NDArray[np.float64], list[HelperPredictions]]:
    copied, predictions = features[copies], [each.take(copies) for each in helper_predictions]
    if block.kind == "source":
        (position,) = block.columns
        predictions[position] = donor_predictions[position].take(givers)
    else:
        columns = list(block.columns)
        copied[:, columns] = donor_features[givers][:, columns]
    return copied, predictions
