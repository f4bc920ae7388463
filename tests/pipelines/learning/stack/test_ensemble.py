"""The ensemble: training, predicting, contributions, saving."""

import hashlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import IntegrityError, LeakageError, LearningError
from matstrata.pipelines.learning.models.network import train_networks
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.persistence import dumps, loads
from matstrata.pipelines.learning.samples import computed_values
from matstrata.pipelines.learning.stack.ensemble import train_ensemble
from matstrata.schemas.terms import Kind
from tests.pipelines.learning.conftest import BOUNDS


@pytest.fixture(scope="module")
def unseen(make):
    return make("new", Kind.EXPERIMENT, 100, start=900, noise=0.0)


def test_predictions_have_intervals_contributions_and_neighbors(ensemble, unseen, computed):
    values = {"dft": computed_values(computed, unseen.material_ids)}
    predicted = ensemble.predict(unseen.features, unseen.material_ids, values)
    assert (predicted.lower <= predicted.values).all()
    assert (predicted.values <= predicted.upper).all()
    assert predicted.lower.min() >= BOUNDS[0]
    assert predicted.upper.max() <= BOUNDS[1]
    assert np.corrcoef(predicted.values, unseen.values[:, 0])[0, 1] > 0.8
    *own, dft = predicted.contributions
    assert {(each.source, each.helpers) for each in own} <= {("experiment", ()), ("experiment", ("dft",))}
    assert (dft.source, dft.predicted.shape) == ("dft", (100, 2))
    joined = sum(each.weight * each.predicted[:, 0] for each in own)
    np.testing.assert_allclose(joined.clip(*BOUNDS), predicted.values, atol=1e-9)
    assert predicted.nearest_ids.shape == predicted.nearest_values.shape == predicted.distances.shape == (100, 5)


def test_the_weights_have_names_and_sum_to_one(ensemble):
    weights = ensemble.weights()
    assert set(weights) <= {"alone.trees", "alone.kernel", "given_known.trees", "given_known.kernel"}
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) >= 0.05  # models with less are left out


def test_a_measured_material_is_its_own_nearest(ensemble, measured):
    predicted = ensemble.predict(measured.features, measured.material_ids)
    np.testing.assert_array_equal(predicted.nearest_ids[:, 0], measured.material_ids)
    np.testing.assert_array_equal(predicted.nearest_values[:, 0], measured.values[:, 0])


def test_computed_values_may_be_missing_in_part_or_altogether(ensemble, unseen):
    without = ensemble.predict(unseen.features, unseen.material_ids)
    empty = ensemble.predict(unseen.features, unseen.material_ids, {"dft": np.full((100, 2), np.nan)})
    np.testing.assert_array_equal(without.values, empty.values)
    half = np.column_stack([np.ones(100), np.full(100, np.nan)])
    assert np.isfinite(ensemble.predict(unseen.features, unseen.material_ids, {"dft": half}).values).all()


def test_undefined_descriptors_are_predicted_from(ensemble, unseen):
    assert np.isfinite(ensemble.predict(np.full((3, 5), np.nan), unseen.material_ids[:3]).values).all()


def test_same_data_and_seed_give_the_same_ensemble(ensemble, measured, computed, helper, unseen):
    networks = train_networks([computed], measured.group_ids, seed=0)
    again = train_ensemble(measured, [helper, *networks], [computed], BOUNDS, seed=0)
    first, second = (e.predict(unseen.features, unseen.material_ids) for e in (ensemble, again))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.upper, second.upper)


def test_one_row_gives_what_many_rows_give(ensemble, unseen):
    many = ensemble.predict(unseen.features, unseen.material_ids)
    one = ensemble.predict(unseen.features[7:8], unseen.material_ids[7:8])
    assert one.values[0] == pytest.approx(many.values[7], rel=1e-9)
    assert one.upper[0] == pytest.approx(many.upper[7], rel=1e-9)


def test_no_material_to_predict_is_refused(ensemble):
    with pytest.raises(LearningError, match="no material to predict"):
        ensemble.predict(np.empty((0, 5)), np.empty(0, dtype=str))


def test_the_wrong_descriptors_are_refused(ensemble, unseen):
    with pytest.raises(LearningError, match=r"must be \(m, 5\)"):
        ensemble.predict(unseen.features[:, :3], unseen.material_ids)


def test_a_helper_trained_on_the_target_is_refused(measured, computed):
    leaky = train_source_model(computed, np.array(["group0"]), seed=0)
    with pytest.raises(LeakageError, match="trained on 30 groups of the target"):
        train_ensemble(measured, [leaky], [computed], BOUNDS)


def test_experiment_alone_needs_no_helper(measured, unseen):
    alone = train_ensemble(measured, [], [], BOUNDS)
    assert len(alone.predict(unseen.features, unseen.material_ids).contributions) == 1


def test_a_constant_target_is_predicted(measured):
    constant = replace(measured, values=np.full_like(measured.values, 1.5))
    predicted = train_ensemble(constant, [], [], BOUNDS).predict(measured.features, measured.material_ids)
    np.testing.assert_allclose(predicted.values, 1.5, atol=0.05)


def test_few_materials_give_wide_intervals_and_fewer_an_error(measured):
    predicted = train_ensemble(measured.take(np.arange(12)), [], [], BOUNDS).predict(
        measured.features, measured.material_ids
    )
    assert np.isfinite(predicted.values).all()
    with pytest.raises(LearningError, match="at least 10 are needed"):
        train_ensemble(measured.take(np.arange(9)), [], [], BOUNDS)


def copy(model):
    content = dumps(model)
    return loads(content, "m.skops", hashlib.sha256(content).hexdigest())


def test_a_saved_ensemble_predicts_the_same(ensemble, unseen):
    first, second = (e.predict(unseen.features, unseen.material_ids) for e in (ensemble, copy(ensemble)))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.lower, second.lower)
    np.testing.assert_array_equal(first.in_domain, second.in_domain)


def test_a_saved_source_model_has_the_groups_it_was_trained_on(helper, computed):
    with pytest.raises(LeakageError, match="dft"):
        copy(helper).check_blind_to(computed.group_ids)


def test_a_tampered_file_is_refused_naming_both_hashes(helper):
    content = dumps(helper)
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(IntegrityError, match=rf"sha256 is [0-9a-f]{{64}}, but {sha256} was recorded"):
        loads(content[:-1] + b"x", "m.skops", sha256)


def test_a_file_with_anything_else_in_it_is_refused():
    import skops.io

    for value, complaint in (
        (Fraction(1, 2), "Untrusted types"),
        ({"record": "Popen"}, "unknown record"),
        (3, "int data, not a model"),
    ):
        content = skops.io.dumps(value)
        with pytest.raises(IntegrityError, match=complaint):
            loads(content, "m.skops", hashlib.sha256(content).hexdigest())


def test_half_zeros_make_a_hurdle(make, computed):
    """The probability of not being zero is given, most zeros are predicted as exactly zero, and all of it is saved."""
    samples = make("experiment", Kind.EXPERIMENT, 300)
    metal = samples.values[:, 0] < np.median(samples.values)
    inflated = replace(samples, values=np.where(metal, 0.0, samples.values[:, 0])[:, None])
    blind = train_source_model(computed, samples.group_ids, seed=0)
    trained = train_ensemble(inflated, [blind], [computed], BOUNDS, seed=0)
    predicted = trained.predict(samples.features, samples.material_ids)
    assert ((predicted.chance > 0.5) != metal).mean() > 0.9
    assert (predicted.values[metal] == 0).mean() > 0.8
    assert (predicted.values[~metal] > 0).mean() > 0.8
    assert (predicted.lower <= predicted.values).all()
    assert (predicted.values <= predicted.upper).all()
    np.testing.assert_array_equal(
        copy(trained).predict(samples.features, samples.material_ids).values, predicted.values
    )


def test_without_a_hurdle_there_is_no_probability(ensemble, unseen):
    assert ensemble.predict(unseen.features, unseen.material_ids).chance is None
