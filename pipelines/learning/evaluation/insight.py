"""What carries the ensemble, looked at in the folds of an evaluation while their models are there.

Only some folds are looked at, and no model of a fold is kept. Not here: how it is found (`explanation`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.learning.explanation import blocks_of, importances
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.stack.level1 import Setting

if TYPE_CHECKING:
    from matstrata.pipelines.learning.evaluation.evaluation import Fold

log = logging.getLogger("matstrata.learning")

FOLDS = 3  # looked at
FOLDS_OF_MANY = 2  # where a fold holds hundreds of materials
MANY = 1000


class Insight:
    """Collects what the folds of one evaluation show: `found` holds rows of the store's tables, without the model."""

    def __init__(self, helpers: Sequence[str], descriptors: Sequence[str], n: int, seed: int) -> None:
        self._blocks = blocks_of(descriptors, helpers)
        self._setting = Setting.KNOWN_DFT if helpers else Setting.WITHOUT_DFT
        self._folds = FOLDS if n < MANY else FOLDS_OF_MANY
        self._seed = seed
        self.found: dict[str, list[dict[str, Any]]] = {"importances": [], "effects": []}

    def look(self, fold: Fold) -> None:
        """Look at one fold, with the setting that serves; the folds beyond those wanted are passed over."""
        if fold.number >= self._folds:
            return
        log.info("%s: what carries the ensemble, fold %s", fold.unseen.properties[0], fold.number + 1)
        found, looked_at, effects = importances(
            fold.stacks[self._setting],
            fold.unseen.features,
            fold.asked,
            target_values(fold.unseen),
            self._blocks,
            self._seed,
        )
        names = [{"kind": block.kind, "block": block.name} for block in self._blocks]
        self.found["importances"] += [
            {"fold": fold.number, **name, "increase": each.increase, "materials": each.materials}
            for name, each in zip(names, found, strict=True)
        ]
        self.found["effects"] += [
            {"material_id": material_id, **name, "effect": float(effect)}
            for material_id, row in zip(fold.unseen.material_ids[looked_at].tolist(), effects, strict=True)
            for name, effect in zip(names, row, strict=True)
        ]
