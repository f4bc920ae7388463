"""Boosted trees, by XGBoost, as a record that a model file can hold.

Each tree sees a part of the rows, and each of its splits a part of the columns: where descriptors say nearly the same,
that both errs less and takes half the time. Not here: which sizes there are to choose from (`candidates`, `level1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS, COLUMNS = 0.7, 0.3  # shares that a tree, and a split, are given
SURE = 0.01  # how near to 0 or 1 the chance lies with which boosting begins


@dataclass(frozen=True, slots=True)
class Size:
    """How many trees there are, how deep they go, and by which share of what is left each moves the prediction."""

    trees: int
    depth: int
    rate: float


@dataclass(frozen=True)  # no slots: the trees are read out of the content once, and only where somebody asks
class Boosted:
    """Fitted boosted trees.

    Attributes:
        content: They, as XGBoost writes them (UBJSON).
    """

    content: NDArray[np.uint8]

    @cached_property
    def _booster(self) -> Any:
        import xgboost  # deferred: 0.5 s

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(self.content.tobytes()))
        return booster

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m,) values, or chances, from (m, d) inputs, NaN where unknown."""
        predicted: NDArray[np.float64] = self._booster.inplace_predict(inputs).astype(np.float64)
        return predicted


def fit_boosted(inputs: NDArray[np.float64], values: NDArray[Any], size: Size, seed: int) -> Boosted:
    """Fit on (n, d) inputs, NaN where unknown.

    Args:
        inputs: What is known.
        values: (n,) numbers, of which the mean is learned; or booleans, of which the chance of being true.
        size: Of the trees.
        seed: Fixes which rows and columns a tree is given.
    """
    import xgboost  # deferred: 0.5 s

    chance = values.dtype == np.bool_
    start = float(values.mean())
    settings = {
        "objective": "binary:logistic" if chance else "reg:squarederror",
        "base_score": min(max(start, SURE), 1 - SURE) if chance else start,
        "max_depth": size.depth,
        "learning_rate": size.rate,
        "subsample": ROWS,
        "colsample_bynode": COLUMNS,
        "seed": seed,
        "nthread": 1,
        "verbosity": 1,
    }
    told = xgboost.QuantileDMatrix(inputs, values.astype(np.float64), nthread=1)
    booster = xgboost.train(settings, told, size.trees)
    return Boosted(np.frombuffer(bytes(booster.save_raw("ubj")), dtype=np.uint8))
