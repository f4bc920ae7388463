"""Permutation importance: none for unused inputs, and the same as scikit-learn's for used ones."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance

from matstrata.pipelines.learning.evaluation.evaluation import Evaluation
from matstrata.pipelines.learning.evaluation.importance import ImportanceCollector
from matstrata.pipelines.learning.explanation import Block, blocks_of, donors_of, effects, importances
from matstrata.pipelines.learning.samples import Samples, computed_values
from matstrata.pipelines.learning.settings import HelperPredictions
from matstrata.pipelines.learning.stack.ensemble import Ensemble
from matstrata.pipelines.learning.stack.inputs import predict_helper
from matstrata.pipelines.learning.stack.intervals import OTHER_LEVELS
from tests.pipelines.learning.conftest import DESCRIPTORS


def test_redundant_descriptors_are_exchanged_together() -> None:
    names = ["radius_min", "radius_avg_dev", "charge", "root_fraction_H", "root_fraction_He", "anion_fraction"]
    blocks = {block.name: (block.kind, block.columns) for block in blocks_of(names, ["dft", "dft:HSE06"])}
    assert blocks == {
        "dft": ("source", (0,)),
        "dft:HSE06": ("source", (1,)),
        "radius": ("descriptors", (0, 1)),
        "charge": ("descriptors", (2,)),
        "root_fraction": ("descriptors", (3, 4)),
        "anion_fraction": ("descriptors", (5,)),
    }


class Linear(RegressorMixin, BaseEstimator):
    """A stand-in for a stack: 3 times the first descriptor, the second not at all, plus the first helper's prediction."""

    def values(self, features: np.ndarray, helper_predictions: list[HelperPredictions]) -> np.ndarray:
        return np.asarray(3 * features[:, 0] + helper_predictions[0].predicted[:, 0])

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(3 * features[:, 0] + features[:, 2])

    def fit(self, features: np.ndarray, values: np.ndarray) -> None:
        """Required by scikit-learn."""


def test_importance_is_that_of_scikit_learn_and_unused_blocks_have_none() -> None:
    rng = np.random.default_rng(0)
    features, predicted = rng.normal(size=(400, 2)), rng.normal(size=(400, 1))
    no_columns = np.empty((400, 0))
    measured = 3 * features[:, 0] + predicted[:, 0] + 0.1 * rng.normal(size=400)
    blocks = [Block("descriptors", "first", (0,)), Block("descriptors", "second", (1,)), Block("source", "dft", (0,))]
    of_helper = HelperPredictions(predicted, no_columns, np.full((400, 1), np.nan), no_columns)
    of_blocks, positions, moved = importances(Linear(), features, [of_helper], measured, blocks, 0)  # type: ignore[arg-type]
    peer = permutation_importance(
        Linear(), np.column_stack([features, predicted])[positions], measured[positions], random_state=1, n_repeats=200,
        scoring="neg_mean_absolute_error",
    ).importances_mean  # fmt: skip
    np.testing.assert_allclose([each.increase for each in of_blocks], peer, rtol=0.1, atol=1e-12)
    assert of_blocks[1].increase == 0
    assert len(positions) == 40
    # The effect in a linear model is proportional to how far the block is from those of other materials.
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-12)
    assert np.corrcoef(moved[:, 0], features[positions, 0])[0, 1] > 0.9
    assert np.corrcoef(moved[:, 2], predicted[positions, 0])[0, 1] > 0.9


def test_effects_of_a_formula_are_the_same_alone_and_among_others(
    ensemble: Ensemble, measured: Samples, computed: Samples
) -> None:
    blocks = blocks_of(DESCRIPTORS, ["dft"])
    some = slice(0, 3)
    donors = measured.material_ids[donors_of(ensemble, 0)]
    values = computed_values(computed, measured.material_ids[some])
    of_donors = {"dft": computed_values(computed, donors)}
    together = effects(ensemble, measured.features[some], {"dft": values}, of_donors, blocks, 0)
    alone = effects(ensemble, measured.features[:1], {"dft": values[:1]}, of_donors, blocks, 0)
    assert together.shape == (3, len(blocks))
    np.testing.assert_allclose(together[:1], alone, atol=1e-9)
    assert np.abs(together).max() > 0.05


def test_the_values_alone_are_those_of_the_whole_prediction(ensemble: Ensemble, measured: Samples) -> None:
    helper_predictions = [predict_helper(helper, measured.features, None) for helper in ensemble.helpers]
    whole = ensemble.stack.predict(measured.features, measured.material_ids, helper_predictions).values
    np.testing.assert_array_equal(ensemble.stack.values(measured.features, helper_predictions), whole)


def test_importances_come_from_the_folds_and_wider_intervals_cover_more(
    measured: Samples, evaluation: Evaluation, importance: ImportanceCollector
) -> None:
    explained = {row["material_id"] for row in importance.rows["effects"]}
    assert len(importance.rows["importances"]) == 3 * 5
    assert explained <= set(measured.material_ids.tolist())
    sources = [row for row in importance.rows["importances"] if row["kind"] == "source"]
    assert sum(row["materials"] for row in sources) == len(explained)
    (whole,) = [each for each in evaluation.metrics if (each.model, each.subset) == ("known_dft", "all")]
    shares = [*whole.other_coverages[:-1], whole.coverage_90, whole.other_coverages[-1]]
    assert shares == sorted(shares)
    held_out = evaluation.held_out["known_dft"]
    low, high = held_out.other_intervals[0]
    assert whole.other_coverages[0] == ((low <= held_out.measured) & (held_out.measured <= high)).mean()
    np.testing.assert_allclose(shares, [*OTHER_LEVELS[:-1], 0.9, 0.95], atol=0.12)
