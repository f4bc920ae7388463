"""The leakage detector: each planted leak is caught, and none is reported where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.learning.evaluation.evaluation import evaluate, fit_stacks
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.leakage import LeakageError
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.samples import computed_values
from matstrata.pipelines.learning.splits import check_folds
from matstrata.pipelines.learning.stack import level1
from matstrata.pipelines.learning.stack.inputs import predict_helpers
from matstrata.schemas.terms import Setting, Split
from tests.pipelines.learning.leaks import depends_on_test_values, suspicious_columns


def test_a_planted_copy_of_the_target_is_caught(measured):
    copied = replace(measured, features=np.column_stack([measured.features, 3 * measured.values[:, 0] - 1]))
    assert suspicious_columns(copied) == [5]
    assert suspicious_columns(measured) == []


def test_a_group_in_two_folds_is_caught(measured):
    folds = np.arange(len(measured)) % 5
    with pytest.raises(LeakageError, match="is in folds"):
        check_folds(measured.group_ids, folds)


def test_a_material_on_both_sides_is_caught(measured):
    half = np.arange(60)
    units = np.arange(60)
    with pytest.raises(LeakageError, match="trained on too"):
        fit_stacks(measured.take(half), units, [], measured.take(half[:5]), [Setting.WITHOUT_DFT], (0.0, 8.0), 0)


def test_a_scaler_fitted_outside_the_fold_is_caught(measured, monkeypatch):
    """Predictions do not depend on the test fold's values; those of a chain that scales by all values do."""

    def run(samples):
        protocol = split_protocol(samples, Split.GROUPED_KFOLD).shortened(1)  # only the first fold is compared
        return evaluate(samples, [], [], protocol, (-50.0, 50.0), seed=0).held_out["without_dft"]

    assert not depends_on_test_values(run, measured)

    def leaky(samples):
        center, spread = samples.values.mean(), samples.values.std()
        scaled = replace(samples, values=(samples.values - center) / spread)
        held_out = run(scaled)
        return replace(held_out, values=held_out.values * spread + center)

    monkeypatch.setattr(level1, "FOREST_TREES", 5)
    assert depends_on_test_values(leaky, measured)


def test_a_helper_that_saw_a_test_group_is_caught(measured, computed):
    leaky = train_source_model(computed, measured.group_ids[:90], seed=0)
    with pytest.raises(LeakageError, match="of the target"):
        predict_helpers(measured, [leaky], [computed])


def test_measured_values_are_never_inputs(measured):
    with pytest.raises(LeakageError, match="experiment"):
        computed_values(measured, measured.material_ids)
