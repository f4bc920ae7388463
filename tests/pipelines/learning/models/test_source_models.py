"""Helper models: blind to the target, and robust to skewed and missing values."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.models.scales import fit_scale
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.persistence import dumps, loads


def test_a_helper_is_trained_on_no_group_of_the_target(helper, measured):
    assert helper.n_rows == 440
    helper.check_blind_to(measured.group_ids)


def test_a_helper_trained_on_target_groups_is_caught(measured, computed):
    model = train_source_model(computed, measured.group_ids[:100], seed=0)
    with pytest.raises(LeakageError, match=r"dft was trained on 10 groups of the target, such as group\d+"):
        model.check_blind_to(measured.group_ids)


def test_a_source_with_the_targets_materials_only_predicts_a_constant(computed):
    """It can still contribute through its computed values."""
    model = train_source_model(computed, computed.group_ids, seed=0)
    assert model.n_rows == 0
    predicted, chances = model.predict_scaled(computed.features)
    np.testing.assert_array_equal(predicted, 0)
    assert chances.shape == (500, 0)


def test_a_property_computed_for_the_target_only_is_constant_and_leaves_the_others_alone(measured, computed):
    """Its computed values can still contribute."""
    of_target = np.isin(computed.group_ids, measured.group_ids)
    values = np.column_stack([computed.values[:, 0], np.where(of_target, 7.0, np.nan)])
    model = train_source_model(replace(computed, values=values), measured.group_ids, seed=0)
    predicted = model.unscale(model.predict_scaled(computed.features)[0])
    assert (predicted[:, 1] == 7.0).all()
    assert np.corrcoef(predicted[:, 0], computed.values[:, 0])[0, 1] > 0.5


def test_zero_as_a_class_of_its_own_is_learned_as_one(computed, measured):
    gap = computed.values[:, 0]
    metal = gap < np.median(gap)
    inflated = replace(computed, properties=("gap",), values=np.where(metal, 0.0, gap + 3)[:, None])
    model = train_source_model(inflated, measured.group_ids, seed=0)
    predicted, chances = model.predict_scaled(computed.features)
    assert chances.shape == (500, 1)
    assert ((chances[:, 0] > 0.5) != metal).mean() > 0.9
    assert model.unscale(predicted)[metal].mean() < 0.8


def test_a_property_over_many_decades_is_learned_in_its_logarithm(helper, computed):
    mass = computed.values[:, 1]
    predicted = helper.unscale(helper.predict_scaled(computed.features)[0])[:, 1]
    finite = np.isfinite(mass)
    assert np.ptp(np.log10(mass[finite])) > 10
    assert np.corrcoef(np.log(mass[finite]), np.log(predicted[finite].clip(1e-9)))[0, 1] > 0.8


def test_the_wrong_descriptors_are_refused(helper, computed):
    with pytest.raises(LearningError, match="takes 5 features, not 4"):
        helper.predict_scaled(computed.features[:, :4])


@pytest.mark.parametrize("values", [np.array([0.0, 0.0, 1.5, 3.0]), np.logspace(-6, 6, 50) * np.tile([1, -1], 25)])
def test_a_scale_can_be_inverted(values):
    scale = fit_scale(values)
    np.testing.assert_allclose(scale.invert(scale.apply(values)), values, rtol=1e-9, atol=1e-9)


def test_a_scale_needs_a_value():
    with pytest.raises(LearningError, match="no value"):
        fit_scale(np.array([np.nan]))


def test_models_with_classes_and_constant_ones_are_saved(computed, measured):
    gap = computed.values[:, 0]
    inflated = replace(computed, properties=("gap",), values=np.where(gap < np.median(gap), 0.0, gap + 3)[:, None])
    for model in (
        train_source_model(inflated, measured.group_ids, seed=0),
        train_source_model(computed, computed.group_ids, seed=0),
    ):
        content = dumps(model)
        again = loads(content, "m.skops", hashlib.sha256(content).hexdigest())
        for before, after in zip(
            model.predict_scaled(computed.features), again.predict_scaled(computed.features), strict=True
        ):
            np.testing.assert_array_equal(before, after)
