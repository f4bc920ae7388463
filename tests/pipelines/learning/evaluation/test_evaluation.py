"""Evaluation that cannot flatter."""

from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.learning.evaluation.evaluation import evaluate, learning_curve
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.splits import check_folds
from matstrata.schemas.terms import Split
from tests.pipelines.learning.conftest import BOUNDS


def grouped(samples, zero_class=None):
    return split_protocol(samples, Split.GROUPED_KFOLD, zero_class)


def metric(evaluation, model, subset="all"):
    (metrics,) = [m for m in evaluation.metrics if (m.model, m.subset) == (model, subset)]
    return metrics


def test_an_informative_helper_lowers_the_error(evaluation):
    errors = {m: metric(evaluation, m).mae for m in ("without_dft", "strict", "known_dft", "mean")}
    assert errors["known_dft"] < errors["strict"] < errors["without_dft"] < errors["mean"]


def test_settings_and_baselines_are_all_reported(evaluation):
    assert {m.model for m in evaluation.metrics} == {"without_dft", "strict", "known_dft", "mean", "single"}
    assert metric(evaluation, "strict", "easy_third").width_90 < metric(evaluation, "strict", "hard_third").width_90
    assert metric(evaluation, "strict").n == 120
    assert np.isnan(metric(evaluation, "mean").coverage_90)


def test_intervals_cover_held_out_materials(evaluation):
    assert 0.8 < metric(evaluation, "strict").coverage_90 <= 1


def test_metrics_follow_from_the_predictions(evaluation, measured):
    held_out = evaluation.held_out["strict"]
    assert np.isfinite(held_out.values).all()
    check_folds(measured.group_ids, held_out.fold)
    error = np.abs(held_out.values - measured.values[:, 0]).mean()
    assert metric(evaluation, "strict").mae == pytest.approx(error)


def test_no_model_of_a_fold_uses_its_test_values(evaluation, measured, computed, helper):
    """Change the values of one outer fold: its own predictions and intervals must not move at all."""
    fold = evaluation.held_out["strict"].fold == 0
    changed = replace(measured, values=measured.values.copy())
    changed.values[fold] = 7.9
    again = evaluate(changed, [helper], [computed], grouped(changed).shortened(1), BOUNDS, seed=0)
    for model, before in evaluation.held_out.items():
        after = again.held_out[model]
        assert (after.fold == 0).all()
        np.testing.assert_array_equal(before.values[fold], after.values)
        np.testing.assert_array_equal(before.upper[fold], after.upper)


def test_strict_does_not_see_computed_values_of_target_materials(evaluation, measured, computed, helper):
    """Change the computed values of the target's materials: only known_dft may depend on them."""
    changed = replace(computed, values=computed.values.copy())
    changed.values[np.isin(computed.material_ids, measured.material_ids)] += 50
    again = evaluate(measured, [helper], [changed], grouped(measured), BOUNDS, seed=0)
    np.testing.assert_array_equal(evaluation.held_out["strict"].values, again.held_out["strict"].values)
    assert (evaluation.held_out["known_dft"].values != again.held_out["known_dft"].values).any()


def test_chemical_systems_are_never_split(measured):
    result = evaluate(measured, [], [], split_protocol(measured, Split.CHEMICAL_SYSTEM), BOUNDS)
    check_folds(measured.chemical_systems, result.held_out["without_dft"].fold)
    assert set(result.held_out) == {"without_dft", "mean", "single"}


def test_a_helper_trained_on_the_target_is_refused(measured, computed):
    leaky = train_source_model(computed, np.array([], dtype=str), seed=0)
    with pytest.raises(LeakageError, match="of the target"):
        evaluate(measured, [leaky], [computed], grouped(measured), BOUNDS)


def test_classes_are_reported_by_measured_and_by_predicted_values(measured):
    inflated = replace(measured, values=np.where(measured.values < 2, 0.0, measured.values))
    result = evaluate(inflated, [], [], grouped(inflated, "metal"), BOUNDS)
    metals, nonmetals = (metric(result, "without_dft", name) for name in ("metal", "non-metal"))
    assert metals.n + nonmetals.n == 120
    assert metals.n == (inflated.values == 0).sum()
    predicted = metric(result, "without_dft", "predicted_metal")
    assert predicted.n == (result.held_out["without_dft"].values == 0).sum()


def test_every_cluster_is_left_out_in_turn(measured):
    protocol = split_protocol(measured, Split.CLUSTER)
    parts = list(protocol.parts())
    assert len(parts) == len(np.unique(protocol.units)) > 1
    for part in parts:
        assert len(np.unique(protocol.units[part.test])) == 1
        assert not set(protocol.units[part.train]) & set(protocol.units[part.test])


def test_a_shortened_protocol_tests_the_first_folds_and_trains_on_all(measured):
    whole = grouped(measured)
    short = whole.shortened(30)
    np.testing.assert_array_equal(short.tested, np.flatnonzero(whole.folds < 2))
    parts = list(short.parts())
    assert len(parts) == 2
    for part, of_whole in zip(parts, whole.parts(), strict=False):
        np.testing.assert_array_equal(part.train, of_whole.train)
        np.testing.assert_array_equal(part.test, of_whole.test)
    np.testing.assert_array_equal(whole.shortened(1000).folds, whole.folds)


def test_more_training_materials_lower_the_error(evaluation, measured, computed, helper):
    """The curve ends at the evaluation's error, and a quarter of the units is a quarter of the materials."""
    points = learning_curve(measured, [helper], [computed], grouped(measured), evaluation, BOUNDS)
    curve = {(point.model, point.n_trained): point for point in points}
    trained = sorted({point.n_trained for point in points})
    assert trained == [pytest.approx(24, abs=4), pytest.approx(48, abs=4), 96]
    alone = [curve["without_dft", n].mae for n in trained]
    assert alone[0] > alone[-1] == pytest.approx(metric(evaluation, "without_dft").mae)
    assert {point.n_tested for point in points} == {120}


def test_the_same_seed_gives_the_same_to_the_last_bit(evaluation, measured, computed, helper):
    again = evaluate(measured, [helper], [computed], grouped(measured), BOUNDS, seed=0)
    for name, held_out in again.held_out.items():
        np.testing.assert_array_equal(held_out.values, evaluation.held_out[name].values)
        np.testing.assert_array_equal(held_out.upper, evaluation.held_out[name].upper)


def test_one_group_cannot_be_evaluated(measured):
    one = replace(measured, group_ids=np.full(120, "GaN"))
    with pytest.raises(LearningError, match="nothing to hold out"):
        evaluate(one, [], [], grouped(one), BOUNDS)
