"""Which kind of model a small source gets: the one with the lowest error on its own held-out groups."""

from collections.abc import Callable

import numpy as np
import pytest

from matstrata.pipelines.learning.models import candidates
from matstrata.pipelines.learning.models.candidates import Head, fit_kinds, select_kinds
from matstrata.pipelines.learning.samples import Samples
from matstrata.schemas.terms import Kind

N = 240
ROWS = np.arange(N)


def source(truth: Callable[..., np.ndarray], groups: int = 80, columns: int = 4) -> Samples:
    features = np.random.default_rng(5).uniform(-2, 2, size=(N, columns))
    names = np.array([f"Li{row + 1}O" for row in ROWS])
    of_groups = np.array([f"group{row % groups}" for row in ROWS])
    values = truth(features)[:, None]
    return Samples("dft", Kind.COMPUTATION, ("gap",), names, of_groups, names, features, values)


def smooth(x: np.ndarray) -> np.ndarray:
    return np.sin(x[:, 0] + x[:, 1]) + 0.5 * x[:, 2]


def stepped(x: np.ndarray) -> np.ndarray:
    return np.where(x[:, 0] > 0.3, 5.0, 0.0) + np.where(x[:, 1] < -0.5, 3.0, 0.0)


@pytest.mark.parametrize(("truth", "chosen"), [(smooth, {"kernel"}), (stepped, {"boosting", "shallow boosting"})])
def test_the_kind_follows_the_truth(truth, chosen):
    samples = source(truth)
    head = Head("gap", ROWS, samples.values[:, 0])
    kinds = select_kinds(samples, [head], 0)
    assert kinds["gap"] in chosen
    model = fit_kinds(samples, [head], kinds, 0)["gap"]
    assert np.abs(model.predict(samples.features) - head.values).mean() < 0.2


def test_the_kind_for_a_probability_has_the_lowest_brier_score():
    """Here the class is a step; a kernel predicts no probabilities, and is not a candidate."""
    samples = source(stepped)
    head = Head("gap (not zero)", ROWS, samples.values[:, 0] != 0)
    assert select_kinds(samples, [head], 0)["gap (not zero)"] in {"boosting", "shallow boosting", "trees"}


def test_groups_are_held_out_whole():
    """No model is asked to predict a material of a group that it was trained on."""
    rng = np.random.default_rng(1)
    of_group = rng.normal(size=80)
    samples = source(lambda x: of_group[ROWS % 80])
    overlaps: list[set[str]] = []

    class Model:
        def __init__(self, rows):
            self.groups = set(samples.group_ids[rows])

        def predict(self, inputs):
            rows = [int(np.flatnonzero((samples.features == each).all(axis=1))[0]) for each in inputs]
            overlaps.append(self.groups & set(samples.group_ids[rows]))
            return np.zeros(len(inputs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_candidates", lambda *_: dict.fromkeys("ab", lambda rows, _: Model(rows)))
        select_kinds(samples, [Head("gap", ROWS, samples.values[:, 0])], 0)
    assert overlaps == [set()] * 6


def test_with_many_values_there_is_no_selection(monkeypatch):
    monkeypatch.setattr(candidates, "MAX_SELECTION_ROWS", 100)
    monkeypatch.setattr(candidates, "MAX_FOREST_ROWS", 100)
    samples = source(smooth)
    assert select_kinds(samples, [Head("gap", ROWS, samples.values[:, 0])], 0) == {"gap": "boosting"}


def test_with_two_groups_there_is_no_selection():
    samples = source(smooth, groups=2)
    assert select_kinds(samples, [Head("gap", ROWS, samples.values[:, 0])], 0) == {"gap": "boosting"}
