"""The ensemble on a benchmark's rows: no test composition is trained on, gains are paired, results repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.benchmarks.comparison import evaluate_method
from matstrata.pipelines.benchmarks.evaluation import describe, evaluate_task, protocol_of
from matstrata.pipelines.benchmarks.scores import paired_gain, score
from matstrata.pipelines.benchmarks.tasks import Task
from matstrata.pipelines.learning.evaluation.protocols import medians
from matstrata.pipelines.learning.methods.interface import HelperData
from matstrata.pipelines.learning.models import candidates, network
from matstrata.pipelines.learning.models.boosting import Size
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack import level1
from matstrata.schemas.terms import Kind, Split

METALS = ("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Al", "Ga", "In", "Sc", "Y", "La", "Ti", "Zr")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br", "I", "N", "P")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level1, "FOREST_TREES", 10)
    monkeypatch.setattr(network, "HIDDEN", (32, 24, 16))
    monkeypatch.setattr(candidates, "DEEP", Size(trees=20, depth=5, learning_rate=0.2))
    monkeypatch.setattr(candidates, "SHALLOW", Size(trees=20, depth=3, learning_rate=0.2))


@pytest.fixture(scope="module")
def salts() -> Task:
    """Gaps that grow with the anion; every seventh composition is measured twice, in different folds."""
    formulas = [f"{metal}{anion}" for metal in METALS for anion in ANIONS]
    formulas += formulas[::7]
    rng = np.random.default_rng(0)
    values = np.array([8.0 - ANIONS.index(_anion(f)) for f in formulas])
    return Task(
        tuple(formulas), values + 0.2 * rng.normal(size=len(formulas)), rng.permutation(len(formulas)) % 3, "three"
    )


def _anion(formula: str) -> str:
    return next(anion for anion in sorted(ANIONS, key=len, reverse=True) if formula.endswith(anion))


def helper(task: Task, target: Samples, material_of: np.ndarray) -> Samples:
    """Computed values of every other composition, too small by a third."""
    values = medians(task.values, material_of)[:, None] * 0.66
    every_other = np.arange(0, len(target), 2)
    samples = target.take(every_other)
    return Samples("dft", Kind.COMPUTATION, ("band_gap",), *_keys(samples), values[every_other])


def _keys(samples: Samples) -> tuple[np.ndarray, ...]:
    return samples.material_ids, samples.group_ids, samples.chemical_systems, samples.features


def test_all_rows_are_evaluated_in_both_settings(salts: Task) -> None:
    target, material_of = describe(salts, "band_gap", ["hellinger", "valence"])
    assert len(target) == len(METALS) * len(ANIONS)
    computed = helper(salts, target, material_of)
    protocol = protocol_of(salts, target, material_of, None, "metal")
    result = evaluate_task(target, [computed], protocol, (0.0, 20.0))
    for name in ("strict", "known_dft"):
        figures = result["protocols"][name]
        assert figures["n"] == len(salts.values)
        assert figures["mae"] < 1.5
        assert 0.8 < figures["coverage_90"] <= 1
    assert result["protocols"]["known_dft"]["mae"] < result["protocols"]["strict"]["mae"]
    assert result["source_models"] == {"dft": {"materials": 0, "known_values": len(computed)}}
    again = evaluate_task(target, [computed], protocol, (0.0, 20.0))
    assert again["protocols"] == result["protocols"]


def test_other_methods_are_evaluated_on_the_same_rows(salts: Task) -> None:
    sets = ["hellinger", "valence"]
    target, material_of = describe(salts, "band_gap", sets)
    computed = helper(salts, target, material_of)
    half = replace(computed, group_ids=np.char.add("other ", computed.group_ids))  # so that a model can be trained
    protocol = protocol_of(salts, target, material_of, None, None)
    result = evaluate_task(target, [half], protocol, (0.0, 20.0), 0, ["delta", "sisso"], sets)["methods"]
    for name, settings in {"delta": ["strict", "known_dft"], "sisso": ["strict"]}.items():
        assert list(result[name]["protocols"]) == settings
        assert all(figures["n"] == len(salts.values) for figures in result[name]["protocols"].values())
        assert result[name]["protocols"]["strict"]["mae"] < np.abs(salts.values - salts.values.mean()).mean()
    assert result["sisso"]["summaries"][0].startswith("band_gap = ")
    data = HelperData("band_gap", (), (), (), target.group_ids)
    refused = evaluate_method("sisso", data, target, protocol, (0.0, 20.0))
    assert "an expression needs descriptors" in refused["reason"]


def test_a_test_composition_is_trained_on_in_no_row(salts: Task) -> None:
    target, material_of = describe(salts, "band_gap", ["valence"])
    protocol = protocol_of(salts, target, material_of, None, None)
    assert len(material_of) > len(target)
    for part in protocol.parts():
        assert not set(part.train) & set(part.test)
        np.testing.assert_array_equal(part.test[part.test_position], material_of[part.rows])
    by_system = protocol_of(salts, target, material_of, Split.CHEMICAL_SYSTEM, None)
    assert len(by_system.tested) == len(target)


def test_scores_are_what_they_are_called() -> None:
    scores = score(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 2.0]))
    assert (scores["mae"], scores["mae_nonmetal"], scores["mae_metal"], scores["n"]) == (
        pytest.approx(2 / 3),
        1.0,
        0.0,
        3,
    )


def test_a_gain_is_paired_over_folds() -> None:
    folds = np.repeat(np.arange(5), 20)
    hard = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 20)  # folds differ far more than the models do
    gain = paired_gain(hard, hard - 0.1, folds)
    assert gain["mae"] == pytest.approx(0.1)
    assert gain["ci95"] == [pytest.approx(0.1), pytest.approx(0.1)]
    one_fold = paired_gain(hard, hard - 0.1, np.zeros(100))
    assert one_fold["ci95"][0] <= one_fold["mae"] <= one_fold["ci95"][1]
