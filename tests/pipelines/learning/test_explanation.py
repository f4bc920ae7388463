"""What carries a prediction: nothing that is not used, everything that is, and as scikit-learn measures it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance

from matstrata.pipelines.learning.evaluation.evaluation import evaluate
from matstrata.pipelines.learning.evaluation.insight import Insight
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.explanation import Block, blocks_of, donors_of, effects, importances
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.samples import Samples, known_values
from matstrata.pipelines.learning.splits import Split
from matstrata.pipelines.learning.stack import level1
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble
from matstrata.pipelines.learning.stack.intervals import FURTHER

NAMES = ("a_mean", "a_max", "b_mean", "c", "d_of_it")


@pytest.fixture(scope="module")
def ensemble(measured: Samples, computed: Samples) -> Ensemble:
    helper = train_source_model(computed, measured.group_ids, seed=0)
    return train_ensemble(measured, [helper], [computed], (0.0, 8.0), seed=0)


def test_alike_descriptors_are_exchanged_together() -> None:
    names = ["radius_min", "radius_avg_dev", "charge", "root_fraction_H", "root_fraction_He", "anion_fraction"]
    found = {block.name: (block.kind, block.columns) for block in blocks_of(names, ["dft", "dft:HSE06"])}
    assert found == {
        "dft": ("source", (0,)),
        "dft:HSE06": ("source", (1,)),
        "radius": ("descriptors", (0, 1)),
        "charge": ("descriptors", (2,)),
        "root_fraction": ("descriptors", (3, 4)),
        "anion_fraction": ("descriptors", (5,)),
    }


class Linear(RegressorMixin, BaseEstimator):
    """Stands for a stack: 3 times the first descriptor, the second not at all, and what the first helper says."""

    def values(self, features: np.ndarray, helper_predictions: list[level1.HelperPredictions]) -> np.ndarray:
        return np.asarray(3 * features[:, 0] + helper_predictions[0].predicted[:, 0])

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(3 * features[:, 0] + features[:, 2])

    def fit(self, features: np.ndarray, values: np.ndarray) -> None:
        """Wanted by scikit-learn."""


def test_importance_is_that_of_scikit_learn_and_unused_blocks_have_none() -> None:
    rng = np.random.default_rng(0)
    features, said = rng.normal(size=(400, 2)), rng.normal(size=(400, 1))
    nothing = np.empty((400, 0))
    measured = 3 * features[:, 0] + said[:, 0] + 0.1 * rng.normal(size=400)
    blocks = [Block("descriptors", "first", (0,)), Block("descriptors", "second", (1,)), Block("source", "dft", (0,))]
    testimony = level1.HelperPredictions(said, nothing, np.full((400, 1), np.nan), nothing)
    found, looked_at, moved = importances(Linear(), features, [testimony], measured, blocks, 0)  # type: ignore[arg-type]
    peer = permutation_importance(
        Linear(), np.column_stack([features, said])[looked_at], measured[looked_at], random_state=1, n_repeats=200,
        scoring="neg_mean_absolute_error",
    ).importances_mean  # fmt: skip
    np.testing.assert_allclose([each.increase for each in found], peer, rtol=0.1, atol=1e-12)
    assert found[1].increase == 0
    assert len(looked_at) == 40
    # a linear model is moved by as much as the block differs from that of others
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-12)
    assert np.corrcoef(moved[:, 0], features[looked_at, 0])[0, 1] > 0.9
    assert np.corrcoef(moved[:, 2], said[looked_at, 0])[0, 1] > 0.9


def test_effects_of_formulas_say_the_same_alone_and_together(
    ensemble: Ensemble, measured: Samples, computed: Samples
) -> None:
    blocks = blocks_of(NAMES, ["dft"])
    some = slice(0, 3)
    donors = measured.material_ids[donors_of(ensemble, 0)]
    known = known_values(computed, measured.material_ids[some])
    of_donors = {"dft": known_values(computed, donors)}
    together = effects(ensemble, measured.features[some], {"dft": known}, of_donors, blocks, 0)
    alone = effects(ensemble, measured.features[:1], {"dft": known[:1]}, of_donors, blocks, 0)
    assert together.shape == (3, len(blocks))
    np.testing.assert_allclose(together[:1], alone, atol=1e-9)
    assert np.abs(together).max() > 0.05


def test_the_values_alone_are_those_of_the_whole_prediction(ensemble: Ensemble, measured: Samples) -> None:
    helper_predictions = [level1.predict_helper(helper, measured.features, None) for helper in ensemble.helpers]
    whole = ensemble.stack.predict(measured.features, measured.material_ids, helper_predictions).values
    np.testing.assert_array_equal(ensemble.stack.values(measured.features, helper_predictions), whole)


def test_folds_are_looked_at_and_wider_intervals_hold_more(measured: Samples, computed: Samples) -> None:
    helper = train_source_model(computed, measured.group_ids, seed=0)
    insight = Insight(["dft"], NAMES, len(measured), 0)
    protocol = split_protocol(measured, Split.GROUPED_KFOLD)
    found = evaluate(measured, [helper], [computed], protocol, (0.0, 8.0), 0, insight.look)
    looked_at = {row["material_id"] for row in insight.found["effects"]}
    assert len(insight.found["importances"]) == 3 * 5
    assert looked_at <= set(measured.material_ids.tolist())
    assert sum(row["materials"] for row in insight.found["importances"] if row["kind"] == "source") == len(looked_at)
    (whole,) = [each for each in found.metrics if (each.model, each.subset) == ("known_dft", "all")]
    shares = [*whole.further[:-1], whole.coverage_90, whole.further[-1]]
    assert shares == sorted(shares)
    held = found.held_out["known_dft"]
    low, high = held.further[0]
    assert whole.further[0] == ((low <= held.measured) & (held.measured <= high)).mean()
    np.testing.assert_allclose(shares, [*FURTHER[:-1], 0.9, 0.95], atol=0.12)
