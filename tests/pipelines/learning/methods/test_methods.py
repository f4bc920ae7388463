"""Methods beside the stack learn from the computed sources, and from nothing of the target's groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.methods import METHODS
from matstrata.pipelines.learning.methods.interface import Lessons
from matstrata.pipelines.learning.methods.sisso import PRIMARY
from matstrata.pipelines.learning.methods.transfer import Transfer
from matstrata.pipelines.learning.models import network
from matstrata.pipelines.learning.models.source_models import train_source_model
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack.ensemble import predict_helpers
from matstrata.pipelines.learning.stack.level1 import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matstrata.pipelines.learning.stack.level1 import HelperPredictions

COLUMNS = (*PRIMARY[:4], "another")
SETTINGS = (Setting.STRICT, Setting.KNOWN_DFT)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Teach small networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "HIDDEN", (48, 32, 16))
        patch.setattr(network, "EPOCHS", 100)
        patch.setattr(network, "BATCH", 64)
        yield


@pytest.fixture(scope="module")
def lessons(measured: Samples, computed: Samples) -> Lessons:
    model = train_source_model(computed, measured.group_ids, 0)
    return Lessons("gap", (tuple((name, "") for name in COLUMNS),), (computed,), (model,), measured.group_ids)


@pytest.fixture(scope="module")
def heard(measured: Samples, computed: Samples, lessons: Lessons) -> HelperPredictions:
    return predict_helpers(measured, lessons.models, [computed])[0]


def held_out_error(name: str, setting: Setting, lessons: Lessons, heard: HelperPredictions, measured: Samples) -> float:
    test = np.arange(len(measured)) % 4 == 0  # materials 0 to 59 are not computed, 60 to 119 are
    fitted = METHODS[name](lessons).fit(measured.take(~test), [heard.take(~test)], setting)
    predicted = fitted.predict(measured.features[test], [heard.take(test)])
    return float(np.abs(predicted - measured.values[test, 0]).mean())


@pytest.mark.parametrize("name", METHODS)
def test_each_method_learns(name: str, lessons: Lessons, heard: HelperPredictions, measured: Samples) -> None:
    mean = float(np.abs(measured.values[:, 0] - measured.values[:, 0].mean()).mean())
    error = held_out_error(name, Setting.STRICT, lessons, heard, measured)
    assert error < 0.9 * mean
    assert error == held_out_error(name, Setting.STRICT, lessons, heard, measured)


def test_the_difference_to_a_known_value_is_easier(lessons: Lessons, heard: HelperPredictions, measured: Samples) -> None:
    strict, known = (held_out_error("delta", setting, lessons, heard, measured) for setting in SETTINGS)
    assert known < strict


def test_no_method_learns_from_the_targets_groups(lessons: Lessons, computed: Samples) -> None:
    forbidden = np.isin(computed.group_ids, lessons.group_ids)
    assert forbidden.any()
    spoilt = replace(computed, values=np.where(forbidden[:, None], 1e3, computed.values))
    clean, other = (Transfer.taught(replace(lessons, helpers=(each,))).network for each in (computed, spoilt))
    assert all(np.array_equal(one, two) for one, two in zip(clean.weights, other.weights, strict=True))
    with pytest.raises(LeakageError, match="network of all computed sources was trained on"):
        network.pretrain([computed], lessons.group_ids[:0], [0])[0].check_blind_to(lessons.group_ids)


def test_a_network_goes_on_from_what_it_was_taught(lessons: Lessons, measured: Samples, computed: Samples) -> None:
    """Tuned on 20 experiments, it predicts better than one that was taught nothing."""
    (taught,) = network.pretrain(lessons.helpers, lessons.group_ids, [0])
    rng = np.random.default_rng(0)
    blank = replace(taught, weights=tuple(network._first_weights((5, 48, 32, 16, 4), rng)))
    few, many = slice(0, 20), slice(20, 120)
    values = measured.values[:, 0]

    def error(start: network.Network) -> float:
        inputs = start.inputs(measured.features)
        weights = network.fine_tune(start, inputs[few], values[few] - values[few].mean(), 0)
        return float(np.abs(network.output(weights, inputs[many])[:, 0] + values[few].mean() - values[many]).mean())

    assert error(taught) < 0.9 * error(blank)


def test_back_propagation_follows_the_loss() -> None:
    rng = np.random.default_rng(0)
    weights = [each.astype(np.float64) for each in network._first_weights((3, 4, 4, 2), rng)]
    inputs, wanted = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))

    def loss() -> float:
        return float(((network.output(weights, inputs) - wanted) ** 2).sum() / 2)

    slopes = network._slopes(weights, inputs, lambda said: said - wanted, 0.0, rng)
    for each, slope in zip(weights, slopes, strict=True):
        before, place = loss(), (0,) * each.ndim
        each[place] += 1e-6
        assert (loss() - before) / 1e-6 == pytest.approx(slope[place], rel=1e-3, abs=1e-4)
        each[place] -= 1e-6


def test_without_a_computed_source_there_is_no_difference(lessons: Lessons) -> None:
    with pytest.raises(LearningError, match="no computed source teaches hardness"):
        METHODS["delta"](replace(lessons, property_name="hardness"))
