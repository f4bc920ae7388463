"""Evaluation that cannot flatter."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.learning.errors import LeakageError, LearningError
from pipelines.learning.evaluation import evaluate
from pipelines.learning.source_models import train_source_model
from pipelines.learning.splits import Protocol, check_folds

BOUNDS = (0.0, 8.0)


@pytest.fixture(scope="module")
def helper(measured, computed):
    return train_source_model(computed, measured.group_ids, seed=0)


@pytest.fixture(scope="module")
def evaluation(measured, computed, helper):
    high = measured.values[:, 0] > 2
    return evaluate(measured, [helper], [computed], Protocol.GROUPED_KFOLD, BOUNDS, {"high": high}, seed=0)


def metric(evaluation, model, subset="all"):
    (found,) = [m for m in evaluation.metrics if (m.model, m.subset) == (model, subset)]
    return found


def test_an_informative_helper_lowers_the_error(evaluation):
    errors = {m: metric(evaluation, m).mae for m in ("without_dft", "strict", "known_dft", "mean")}
    assert errors["known_dft"] < errors["strict"] < errors["without_dft"] < errors["mean"]


def test_settings_and_baselines_are_all_reported(evaluation):
    assert {m.model for m in evaluation.metrics} == {"without_dft", "strict", "known_dft", "mean", "single"}
    assert metric(evaluation, "strict", "high").n < metric(evaluation, "strict").n == 120
    assert np.isnan(metric(evaluation, "mean").coverage_90)


def test_intervals_cover_held_out_materials(evaluation):
    assert 0.8 < metric(evaluation, "strict").coverage_90 <= 1


def test_metrics_follow_from_the_predictions(evaluation, measured):
    held_out = evaluation.held_out["strict"]
    assert np.isfinite(held_out.values).all()
    check_folds(measured.group_ids, held_out.fold)
    error = np.abs(held_out.values - measured.values[:, 0]).mean()
    assert metric(evaluation, "strict").mae == pytest.approx(error)


def test_a_test_value_is_seen_by_nothing_in_its_fold(evaluation, measured, computed, helper):
    """Change the values of one outer fold: its own predictions and intervals must not move at all."""
    fold = evaluation.held_out["strict"].fold == 0
    changed = replace(measured, values=measured.values.copy())
    changed.values[fold] = 7.9
    again = evaluate(changed, [helper], [computed], Protocol.GROUPED_KFOLD, BOUNDS, seed=0)
    for model, before in evaluation.held_out.items():
        after = again.held_out[model]
        np.testing.assert_array_equal(before.values[fold], after.values[fold])
        np.testing.assert_array_equal(before.upper[fold], after.upper[fold])


def test_strict_does_not_see_computed_values_of_target_materials(evaluation, measured, computed, helper):
    """Change what the computation says about the target's materials: only known_dft may notice."""
    changed = replace(computed, values=computed.values.copy())
    changed.values[np.isin(computed.material_ids, measured.material_ids)] += 50
    again = evaluate(measured, [helper], [changed], Protocol.GROUPED_KFOLD, BOUNDS, seed=0)
    np.testing.assert_array_equal(evaluation.held_out["strict"].values, again.held_out["strict"].values)
    assert (evaluation.held_out["known_dft"].values != again.held_out["known_dft"].values).any()


def test_chemical_systems_are_never_split(measured):
    result = evaluate(measured, [], [], Protocol.CHEMICAL_SYSTEM, BOUNDS)
    check_folds(measured.chemical_systems, result.held_out["without_dft"].fold)
    assert set(result.held_out) == {"without_dft", "mean", "single"}


def test_a_helper_that_knows_the_target_is_refused(measured, computed):
    leaky = train_source_model(computed, np.array([], dtype=str), seed=0)
    with pytest.raises(LeakageError, match="of the target"):
        evaluate(measured, [leaky], [computed], Protocol.GROUPED_KFOLD, BOUNDS)


def test_one_group_cannot_be_evaluated(measured):
    one = replace(measured, group_ids=np.full(120, "GaN"))
    with pytest.raises(LearningError, match="nothing to hold out"):
        evaluate(one, [], [], Protocol.GROUPED_KFOLD, BOUNDS)
