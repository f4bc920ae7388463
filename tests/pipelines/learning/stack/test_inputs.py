"""Inputs of level-1 models: which columns a view has, in which order, and what blocks the kernel sees."""

from __future__ import annotations

import numpy as np

from matstrata.pipelines.learning.models.network import Networks
from matstrata.pipelines.learning.models.source_models import SourceModel
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.settings import HelperPredictions, View
from matstrata.pipelines.learning.stack.inputs import (
    blocks_of_inputs,
    layers_of,
    predict_helper,
    predict_helpers,
    view_inputs,
)

FEATURES = np.array([[1.0, 2.0], [3.0, 4.0]])
NO_COLUMNS = np.empty((2, 0))
SOURCE = HelperPredictions(
    predicted=np.array([[0.5], [0.6]]),
    chances=np.array([[0.9], [0.8]]),
    computed=np.array([[0.7], [np.nan]]),
    layers=NO_COLUMNS,
)
NETWORK = HelperPredictions(np.array([[0.1], [0.2]]), NO_COLUMNS, NO_COLUMNS, np.array([[7.0, 8.0], [9.0, 6.0]]))


def test_without_helpers_the_inputs_are_the_descriptors() -> None:
    np.testing.assert_array_equal(view_inputs(View.ALONE, FEATURES, [SOURCE, NETWORK]), FEATURES)
    assert layers_of(View.ALONE, [SOURCE, NETWORK]) == 0


def test_predictions_follow_the_descriptors_and_layers_come_last() -> None:
    inputs = view_inputs(View.GIVEN_PREDICTIONS, FEATURES, [NETWORK, SOURCE])
    np.testing.assert_array_equal(inputs[0], [1.0, 2.0, 0.1, 0.5, 0.9, 7.0, 8.0])
    assert layers_of(View.GIVEN_PREDICTIONS, [NETWORK, SOURCE]) == 2


def test_a_computed_value_takes_the_place_of_a_prediction_and_is_flagged() -> None:
    inputs = view_inputs(View.GIVEN_KNOWN, FEATURES, [SOURCE])
    np.testing.assert_array_equal(inputs[0], [1.0, 2.0, 0.5, 0.9, 0.7, 1.0])
    np.testing.assert_array_equal(inputs[1], [3.0, 4.0, 0.6, 0.8, 0.6, 0.0])


def test_the_kernel_has_one_block_for_each_kind_of_input() -> None:
    assert blocks_of_inputs(12, (5, 3), 2) == (5, 3, 2, 2)
    assert blocks_of_inputs(8, (5, 3), 0) == (5, 3)


def test_helpers_predict_on_their_own_scales(
    measured: Samples, computed: Samples, helper: SourceModel, networks: list[Networks]
) -> None:
    of_source, of_networks = predict_helpers(measured, [helper, *networks], [computed])
    assert of_source.layers.shape == (120, 0)
    np.testing.assert_allclose(helper.unscale(of_source.computed)[60:], computed.values[:60])
    assert np.isnan(of_source.computed[:60]).all()
    assert of_networks.computed.shape == (120, 0)
    assert of_networks.layers.shape == (120, 2 * 24)
    assert np.isnan(predict_helper(helper, measured.features, None).computed).all()
