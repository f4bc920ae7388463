"""Permutation importance of sources and descriptors, computed in the folds of an evaluation while their models exist.

Only some folds are used, and no model of a fold is kept. Not here: the permutations themselves (`explanation`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.learning.explanation import blocks_of, importances
from matstrata.pipelines.learning.samples import target_values
from matstrata.schemas.terms import Setting

if TYPE_CHECKING:
    from matstrata.pipelines.learning.evaluation.evaluation import Fold

log = logging.getLogger("matstrata.learning")

IMPORTANCE_FOLDS = 3
IMPORTANCE_FOLDS_OF_MANY = 2  # where a fold has hundreds of materials
MANY_MATERIALS = 1000


class ImportanceCollector:
    """Collects importances and effects fold by fold, as `rows` of the store's tables without the model's id."""

    def __init__(self, helpers: Sequence[str], descriptors: Sequence[str], n: int, seed: int) -> None:
        self._blocks = blocks_of(descriptors, helpers)
        self._setting = Setting.KNOWN_DFT if helpers else Setting.WITHOUT_DFT
        self._folds = IMPORTANCE_FOLDS if n < MANY_MATERIALS else IMPORTANCE_FOLDS_OF_MANY
        self._seed = seed
        self.rows: dict[str, list[dict[str, Any]]] = {"importances": [], "effects": []}

    def collect(self, fold: Fold) -> None:
        """Add the rows of one fold, for the setting that serves; later folds than those used are ignored."""
        if fold.number >= self._folds:
            return
        log.info("%s: feature importance, fold %s", fold.test.properties[0], fold.number + 1)
        of_blocks, positions, effects = importances(
            fold.stacks[self._setting],
            fold.test.features,
            fold.helper_predictions,
            target_values(fold.test),
            self._blocks,
            self._seed,
        )
        names = [{"kind": block.kind, "block": block.name} for block in self._blocks]
        self.rows["importances"] += [
            {"fold": fold.number, **name, "increase": each.increase, "materials": each.materials}
            for name, each in zip(names, of_blocks, strict=True)
        ]
        self.rows["effects"] += [
            {"material_id": material_id, **name, "effect": float(effect)}
            for material_id, row in zip(fold.test.material_ids[positions].tolist(), effects, strict=True)
            for name, effect in zip(names, row, strict=True)
        ]
