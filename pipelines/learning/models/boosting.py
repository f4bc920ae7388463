"""Boosted trees, by XGBoost, as a record that a model file can hold.

Each tree is given a part of the rows, and each of its splits a part of the columns (stochastic gradient boosting,
Friedman 2002, doi:10.1016/S0167-9473(01)00065-2): where descriptors are nearly redundant, that both lowers the error
and halves the time. XGBoost: doi:10.1145/2939672.2939785. Not here: the sizes (`candidates`, `stack.level1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_SHARE, COLUMN_SHARE = 0.7, 0.3  # that a tree, and a split, are given
MIN_BASE_CHANCE = 0.01  # distance from 0 and 1 of the probability with which boosting begins


@dataclass(frozen=True, slots=True)
class Size:
    """The size of an ensemble of boosted trees.

    Attributes:
        trees: Number of trees.
        depth: Largest depth of a tree.
        learning_rate: Share of its fitted correction by which each tree changes the prediction.
    """

    trees: int
    depth: int
    learning_rate: float


@dataclass(frozen=True)  # no slots: the trees are decoded once, when first needed
class Boosted:
    """Fitted boosted trees.

    Attributes:
        content: The trees as XGBoost serializes them (UBJSON).
    """

    content: NDArray[np.uint8]

    @cached_property
    def _booster(self) -> Any:
        import xgboost  # deferred: 0.5 s

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(self.content.tobytes()))
        return booster

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict (m,) values, or probabilities, from (m, d) inputs, NaN where unknown."""
        predicted: NDArray[np.float64] = self._booster.inplace_predict(inputs).astype(np.float64)
        return predicted


def fit_boosted(inputs: NDArray[np.float64], values: NDArray[Any], size: Size, seed: int) -> Boosted:
    """Fit on (n, d) inputs, NaN where unknown.

    Args:
        inputs: Input columns.
        values: (n,) numbers, of which the mean is learned; or booleans, of which the probability of being true.
        size: Number, depth and learning rate of the trees.
        seed: Fixes which rows and columns a tree is given.
    """
    import xgboost  # deferred: 0.5 s

    is_chance = values.dtype == np.bool_
    mean = float(values.mean())
    settings = {
        "objective": "binary:logistic" if is_chance else "reg:squarederror",
        "base_score": min(max(mean, MIN_BASE_CHANCE), 1 - MIN_BASE_CHANCE) if is_chance else mean,
        "max_depth": size.depth,
        "learning_rate": size.learning_rate,
        "subsample": ROW_SHARE,
        "colsample_bynode": COLUMN_SHARE,
        "seed": seed,
        "nthread": 1,
        "verbosity": 1,
    }
    train = xgboost.QuantileDMatrix(inputs, values.astype(np.float64), nthread=1)
    booster = xgboost.train(settings, train, size.trees)
    return Boosted(np.frombuffer(bytes(booster.save_raw("ubj")), dtype=np.uint8))
