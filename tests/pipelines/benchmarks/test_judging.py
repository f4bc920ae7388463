"""The ensemble judged on rows: no test composition is trained on, gains are paired, the same seed gives the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.benchmarks import judging
from matstrata.pipelines.benchmarks.rivals import judge_method
from matstrata.pipelines.benchmarks.scores import paired_gain, score
from matstrata.pipelines.benchmarks.tasks import Task
from matstrata.pipelines.learning.evaluation.protocols import medians
from matstrata.pipelines.learning.methods.interface import Lessons
from matstrata.pipelines.learning.models import candidates
from matstrata.pipelines.learning.models.boosting import Size
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.splits import Split
from matstrata.pipelines.learning.stack import level1

METALS = ("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Al", "Ga", "In", "Sc", "Y", "La", "Ti", "Zr")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br", "I", "N", "P")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level1, "TREES", 10)
    monkeypatch.setattr(candidates, "DEEP", Size(trees=20, depth=5, rate=0.2))
    monkeypatch.setattr(candidates, "SHALLOW", Size(trees=20, depth=3, rate=0.2))


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


def helper(task: Task, target: Samples, which: np.ndarray) -> Samples:
    """Computed values of every other composition, too small by a third."""
    values = medians(task.values, which)[:, None] * 0.66
    every_other = np.arange(0, len(target), 2)
    samples = target.take(every_other)
    return Samples("dft", "computation", ("band_gap",), *_keys(samples), values[every_other])


def _keys(samples: Samples) -> tuple[np.ndarray, ...]:
    return samples.material_ids, samples.group_ids, samples.chemical_systems, samples.features


def test_all_rows_are_judged_in_both_settings(salts: Task) -> None:
    target, which = judging.describe(salts, "band_gap", ["hellinger", "valence"])
    assert len(target) == len(METALS) * len(ANIONS)
    computed = helper(salts, target, which)
    protocol = judging.protocol_of(salts, target, which, None, "metal")
    found = judging.judge_task(target, [computed], protocol, (0.0, 20.0))
    for name in ("strict", "known_dft"):
        figures = found["protocols"][name]
        assert figures["n"] == len(salts.values)
        assert figures["mae"] < 1.5
        assert 0.8 < figures["coverage_90"] <= 1
    assert found["protocols"]["known_dft"]["mae"] < found["protocols"]["strict"]["mae"]
    assert found["source_models"] == {"dft": {"materials": 0, "known_values": len(computed)}}
    again = judging.judge_task(target, [computed], protocol, (0.0, 20.0))
    assert again["protocols"] == found["protocols"]


def test_other_methods_are_judged_on_the_same_rows(salts: Task) -> None:
    sets = ["hellinger", "valence"]
    target, which = judging.describe(salts, "band_gap", sets)
    computed = helper(salts, target, which)
    half = replace(computed, group_ids=np.char.add("other ", computed.group_ids))  # so that a model can be taught
    protocol = judging.protocol_of(salts, target, which, None, None)
    found = judging.judge_task(target, [half], protocol, (0.0, 20.0), 0, ["delta", "sisso"], sets)["methods"]
    for name, settings in {"delta": ["strict", "known_dft"], "sisso": ["strict"]}.items():
        assert list(found[name]["protocols"]) == settings
        assert all(figures["n"] == len(salts.values) for figures in found[name]["protocols"].values())
        assert found[name]["protocols"]["strict"]["mae"] < np.abs(salts.values - salts.values.mean()).mean()
    assert found["sisso"]["says"][0].startswith("band_gap = ")
    lessons = Lessons("band_gap", (), (), (), target.group_ids)
    assert "a formula needs descriptors" in judge_method("sisso", lessons, target, protocol, (0.0, 20.0))["reason"]


def test_a_test_composition_is_trained_on_in_no_row(salts: Task) -> None:
    target, which = judging.describe(salts, "band_gap", ["valence"])
    protocol = judging.protocol_of(salts, target, which, None, None)
    assert len(which) > len(target)
    for part in protocol.parts():
        assert not set(part.told) & set(part.asked)
        np.testing.assert_array_equal(part.asked[part.place], which[part.rows])
    others = judging.protocol_of(salts, target, which, Split.CHEMICAL_SYSTEM, None)
    assert len(others.tested) == len(target)


def test_scores_are_what_they_are_called() -> None:
    found = score(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 2.0]))
    assert (found["mae"], found["mae_nonmetal"], found["mae_metal"], found["n"]) == (pytest.approx(2 / 3), 1.0, 0.0, 3)


def test_a_gain_is_paired_over_folds() -> None:
    folds = np.repeat(np.arange(5), 20)
    hard = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 20)  # folds differ far more than the models do
    found = paired_gain(hard, hard - 0.1, folds)
    assert found["mae"] == pytest.approx(0.1)
    assert found["ci95"] == [pytest.approx(0.1), pytest.approx(0.1)]
    one = paired_gain(hard, hard - 0.1, np.zeros(100))
    assert one["ci95"][0] <= one["mae"] <= one["ci95"][1]
