"""What carries a prediction: how much it changes when one source's word, or one group of descriptors, is another's.

A *block* is what is exchanged together: all that one source says of a material, or the descriptors made from one
property of the elements, which say nearly the same and would stand in for each other. The block of every material is
replaced by that of others (permutation importance, Breiman 2001, doi:10.1023/A:1010933404324, by groups); all copies
are predicted at once, which is some ten times faster than one call for each. What a source says is kept when
descriptors are exchanged, and the other way round.
Not here: figures of it (`pipelines.reports`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.stack.level1 import Testimony, testify
from matstrata.pipelines.learning.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.ensemble import Ensemble, Stack

LOOKED_AT = 40  # materials of a fold, at most
ROWS = 10_000  # copies of them to predict for one look: a few seconds
DONORS = 20  # measured materials whose blocks take the place of one formula's
_CHUNK = 4000
_FIELDS = ("predicted", "chances", "known", "layers")


@dataclass(frozen=True, slots=True)
class Block:
    """What is exchanged together.

    Attributes:
        kind: ``source`` or ``descriptors``.
        name: The source, or what the descriptors are made from.
        columns: Of a source, its place among the helpers; of descriptors, their places among the columns.
    """

    kind: str
    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Importance:
    """How much larger the mean absolute error is with one block exchanged, on m held-out materials."""

    block: Block
    increase: float
    materials: int


def blocks_of(descriptors: Sequence[str], sources: Sequence[str]) -> tuple[Block, ...]:
    """The sources, then groups of descriptors whose names are alike but for the last word.

    ``electronegativity_min`` and ``electronegativity_avg_dev`` go together; a name that is like no other stands alone.
    """
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(descriptors):
        stem = name.replace("_avg_dev", "_deviation").rpartition("_")[0] or name
        groups.setdefault(stem, []).append(place)
    found = [Block("source", source, (place,)) for place, source in enumerate(sources)]
    for stem, places in groups.items():
        found.append(Block("descriptors", stem if len(places) > 1 else descriptors[places[0]], tuple(places)))
    return tuple(found)


def importances(
    stack: Stack,
    features: NDArray[np.float64],
    testimonies: Sequence[Testimony],
    measured: NDArray[np.float64],
    blocks: Sequence[Block],
    seed: int,
) -> tuple[list[Importance], NDArray[np.intp], NDArray[np.float64]]:
    """Judge every block on held-out materials.

    Args:
        stack: Fitted without these materials.
        features: (m, d) their descriptors.
        testimonies: What the helpers say about them.
        measured: (m,) their values.
        blocks: What to exchange.
        seed: Fixes who gives to whom.

    Returns:
        The importance of each block; the (k,) materials looked at, all of them unless they are many; and (k, blocks)
        how far each block moved their predictions: the prediction minus its mean with others' blocks.
    """
    rng = np.random.default_rng(seed)
    m = len(measured)
    looked_at = np.sort(rng.permutation(m)[:LOOKED_AT])
    repeats = int(np.clip(ROWS // (len(blocks) * len(looked_at)), 1, DONORS))
    features, measured = features[looked_at], measured[looked_at]
    testimonies = [testimony.take(looked_at) for testimony in testimonies]
    donors = np.array([rng.permutation(len(looked_at)) for _ in range(repeats)])
    base = stack.values(features, testimonies)
    exchanged = exchange(stack, features, testimonies, features, testimonies, blocks, donors)
    larger = np.abs(exchanged - measured).mean(axis=(1, 2)) - np.abs(base - measured).mean()
    found = [Importance(block, float(more), len(looked_at)) for block, more in zip(blocks, larger, strict=True)]
    return found, looked_at, (base - exchanged.mean(axis=1)).T


def donors_of(ensemble: Ensemble, seed: int) -> NDArray[np.intp]:
    """Positions of the measured materials whose blocks take the place of a formula's: the same each time."""
    return np.sort(np.random.default_rng(seed).permutation(len(ensemble.measured))[:DONORS])


def effects(
    ensemble: Ensemble,
    features: NDArray[np.float64],
    known: Mapping[str, NDArray[np.float64]],
    known_of_donors: Mapping[str, NDArray[np.float64]],
    blocks: Sequence[Block],
    seed: int,
) -> NDArray[np.float64]:
    """Tell how far each block moves the predictions of m materials from what measured materials' blocks would give.

    Args:
        ensemble: What predicts.
        features: (m, d) descriptors of the materials.
        known: For each helper, (m, p) computed values of the materials, NaN where it has none.
        known_of_donors: The same of the materials that `donors_of` names.
        blocks: What to exchange.
        seed: As given to `donors_of`.

    Returns:
        (m, blocks), in the property's unit. They need not sum to the prediction: blocks act together.
    """
    place = ensemble.stack.neighbourhood
    others = place.points[donors_of(ensemble, seed)] * place.width + place.centre
    with one_thread():
        said = [testify(helper, features, known.get(helper.source)) for helper in ensemble.helpers]
        said_of_others = [testify(helper, others, known_of_donors.get(helper.source)) for helper in ensemble.helpers]
        base = ensemble.stack.values(features, said)
        donors = np.tile(np.arange(len(others))[:, None], len(features))
        exchanged = exchange(ensemble.stack, features, said, others, said_of_others, blocks, donors)
    return (base - exchanged.mean(axis=1)).T


def exchange(
    stack: Stack,
    features: NDArray[np.float64],
    testimonies: Sequence[Testimony],
    others: NDArray[np.float64],
    said_of_others: Sequence[Testimony],
    blocks: Sequence[Block],
    donors: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Predict materials with one block at a time from others: (blocks, repeats, m).

    Args:
        stack: What predicts.
        features: (m, d) descriptors.
        testimonies: What the helpers say of the materials.
        others: (n, d) descriptors of those who give.
        said_of_others: What the helpers say of these.
        blocks: What to exchange.
        donors: (repeats, m) which of the others gives to each material.
    """
    repeats, m = donors.shape
    copies = np.tile(np.arange(m), repeats)
    givers = donors.ravel()
    predicted = np.empty((len(blocks), repeats * m))
    at_once = max(_CHUNK // len(copies), 1)  # blocks
    for start in range(0, len(blocks), at_once):
        parts = [
            _exchanged(block, features, testimonies, others, said_of_others, copies, givers)
            for block in blocks[start : start + at_once]
        ]
        said = [
            Testimony(*(np.concatenate([getattr(part[1][i], name) for part in parts]) for name in _FIELDS))
            for i in range(len(testimonies))
        ]
        values = stack.values(np.concatenate([part[0] for part in parts]), said)
        predicted[start : start + at_once] = values.reshape(len(parts), -1)
    return predicted.reshape(len(blocks), repeats, m)


def _exchanged(
    block: Block,
    features: NDArray[np.float64],
    testimonies: Sequence[Testimony],
    others: NDArray[np.float64],
    said_of_others: Sequence[Testimony],
    copies: NDArray[np.intp],
    givers: NDArray[np.intp],
) -> tuple[NDArray[np.float64], list[Testimony]]:
    mine, said = features[copies], [testimony.take(copies) for testimony in testimonies]
    if block.kind == "source":
        (place,) = block.columns
        said[place] = said_of_others[place].take(givers)
    else:
        columns = list(block.columns)
        mine[:, columns] = others[givers][:, columns]
    return mine, said
