"""Methods compared with the stack learn from the computed sources, and from nothing of the target's groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.methods import METHODS
from matstrata.pipelines.learning.methods.interface import HelperData
from matstrata.pipelines.learning.methods.sisso import PRIMARY_DESCRIPTORS
from matstrata.pipelines.learning.methods.transfer import Transfer
from matstrata.pipelines.learning.models import network
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack.inputs import predict_helpers
from matstrata.schemas.terms import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matstrata.pipelines.learning.models.source_models import SourceModel
    from matstrata.pipelines.learning.settings import HelperPredictions

COLUMNS = (*PRIMARY_DESCRIPTORS[:4], "another")
SETTINGS = (Setting.STRICT, Setting.KNOWN_DFT)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Train small networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "HIDDEN", (48, 32, 16))
        patch.setattr(network, "TRAINING_EPOCHS", 100)
        patch.setattr(network, "TRAINING_BATCH", 64)
        yield


@pytest.fixture(scope="module")
def data(measured: Samples, computed: Samples, helper: SourceModel) -> HelperData:
    return HelperData("gap", (tuple((name, "") for name in COLUMNS),), (computed,), (helper,), measured.group_ids)


@pytest.fixture(scope="module")
def of_helper(measured: Samples, computed: Samples, data: HelperData) -> HelperPredictions:
    return predict_helpers(measured, data.models, [computed])[0]


def held_out_error(
    name: str, setting: Setting, data: HelperData, of_helper: HelperPredictions, measured: Samples
) -> float:
    test = np.arange(len(measured)) % 4 == 0  # materials 0 to 59 are not computed, 60 to 119 are
    fitted = METHODS[name](data).fit(measured.take(~test), [of_helper.take(~test)], setting)
    predicted = fitted.predict(measured.features[test], [of_helper.take(test)])
    return float(np.abs(predicted - measured.values[test, 0]).mean())


@pytest.mark.parametrize("name", METHODS)
def test_each_method_learns(name: str, data: HelperData, of_helper: HelperPredictions, measured: Samples) -> None:
    mean = float(np.abs(measured.values[:, 0] - measured.values[:, 0].mean()).mean())
    error = held_out_error(name, Setting.STRICT, data, of_helper, measured)
    assert error < 0.9 * mean
    assert error == held_out_error(name, Setting.STRICT, data, of_helper, measured)


def test_the_difference_to_a_computed_value_is_easier(
    data: HelperData, of_helper: HelperPredictions, measured: Samples
) -> None:
    strict, known_dft = (held_out_error("delta", setting, data, of_helper, measured) for setting in SETTINGS)
    assert known_dft < strict


def test_no_method_learns_from_the_targets_groups(data: HelperData, computed: Samples) -> None:
    forbidden = np.isin(computed.group_ids, data.group_ids)
    assert forbidden.any()
    changed = replace(computed, values=np.where(forbidden[:, None], 1e3, computed.values))
    original, network_of_changed = (
        Transfer.prepare(replace(data, helpers=(each,))).network for each in (computed, changed)
    )
    for a, b in zip(original.weights, network_of_changed.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(LeakageError, match="network of all computed sources was trained on"):
        network.pretrain([computed], data.group_ids[:0], [0])[0].check_blind_to(data.group_ids)


def test_tuning_starts_from_the_pretrained_network(data: HelperData, measured: Samples, computed: Samples) -> None:
    """Tuned on 20 experiments, it predicts better than one that was not pretrained."""
    (pretrained,) = network.pretrain(data.helpers, data.group_ids, [0])
    rng = np.random.default_rng(0)
    blank = replace(pretrained, weights=tuple(network._initial_weights((5, 48, 32, 16, 4), rng)))
    few, many = slice(0, 20), slice(20, 120)
    values = measured.values[:, 0]

    def error(start: network.Network) -> float:
        inputs = start.inputs(measured.features)
        weights = network.fine_tune(start, inputs[few], values[few] - values[few].mean(), 0)
        return float(np.abs(network.output(weights, inputs[many])[:, 0] + values[few].mean() - values[many]).mean())

    assert error(pretrained) < 0.9 * error(blank)


def test_back_propagation_follows_the_loss() -> None:
    rng = np.random.default_rng(0)
    weights = [each.astype(np.float64) for each in network._initial_weights((3, 4, 4, 2), rng)]
    inputs, targets = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))

    def loss() -> float:
        return float(((network.output(weights, inputs) - targets) ** 2).sum() / 2)

    gradients = network._gradients(weights, inputs, lambda outputs: outputs - targets, 0.0, rng)
    for each, gradient in zip(weights, gradients, strict=True):
        before, first = loss(), (0,) * each.ndim
        each[first] += 1e-6
        assert (loss() - before) / 1e-6 == pytest.approx(gradient[first], rel=1e-3, abs=1e-4)
        each[first] -= 1e-6


def test_without_a_computed_source_there_is_no_difference(data: HelperData) -> None:
    with pytest.raises(LearningError, match="no computed source reports hardness"):
        METHODS["delta"](replace(data, property_name="hardness"))
