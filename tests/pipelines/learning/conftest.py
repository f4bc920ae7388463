"""Small synthetic sources: an experiment of one property, and a computation of it with a bias; models of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from matstrata.pipelines.learning.evaluation.evaluation import Evaluation, evaluate
from matstrata.pipelines.learning.evaluation.importance import ImportanceCollector
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.models import candidates, network
from matstrata.pipelines.learning.models.boosting import Size
from matstrata.pipelines.learning.models.network import Networks, train_networks
from matstrata.pipelines.learning.models.source_models import SourceModel, train_source_model
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack import level1
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble
from matstrata.schemas.terms import Kind, Split

Make = Callable[..., Samples]

BOUNDS = (0.0, 8.0)
DESCRIPTORS = ("a_mean", "a_max", "b_mean", "c", "d_of_it")


@pytest.fixture(autouse=True, scope="session")
def quick() -> Iterator[None]:
    """Fit small models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(level1, "FOREST_TREES", 15)
        patch.setattr(candidates, "DEEP", Size(trees=40, depth=6, learning_rate=0.2))
        patch.setattr(candidates, "SHALLOW", Size(trees=40, depth=3, learning_rate=0.2))
        patch.setattr(network, "HIDDEN", (32, 24, 16))
        yield


def _formula(row: int) -> tuple[str, str]:
    """Give distinct binary formulas, two to a group, eight to a chemical system."""
    metals = (
        "Li",
        "Na",
        "K",
        "Rb",
        "Cs",
        "Mg",
        "Ca",
        "Sr",
        "Ba",
        "Zn",
        "Cd",
        "Al",
        "Ga",
        "In",
        "Ti",
        "Zr",
        "Hf",
        "Sc",
        "Y",
    )
    anions = ("O", "S", "Se", "Te", "F", "Cl", "Br", "I", "N", "P")
    system = row // 8
    metal, anion = metals[system % len(metals)], anions[(system // len(metals)) % len(anions)]
    return f"{metal}{row % 8 + 2}{anion}", f"{anion}-{metal}"


def truth(features: np.ndarray) -> np.ndarray:
    """The property as nature has it: nonlinear, so that few measurements do not suffice to learn it."""
    return 2 + np.sin(2 * features[:, 0]) + features[:, 1] * features[:, 2] + 0.5 * np.abs(features[:, 3])


@pytest.fixture(scope="session")
def make() -> Make:
    """Build a source of n materials starting at row `start`."""

    def build(source: str, kind: Kind, n: int, start: int = 0, noise: float = 0.1, seed: int = 1) -> Samples:
        rows = range(start, start + n)
        formulas = [_formula(row) for row in rows]
        features = np.array([np.random.default_rng(row).normal(size=5) for row in rows])
        values = truth(features) + noise * np.random.default_rng(seed).normal(size=n)
        columns = [values] if kind is Kind.EXPERIMENT else [0.6 * values - 0.3, np.exp(8 * values)]
        return Samples(
            source=source,
            kind=kind,
            properties=("gap",) if kind is Kind.EXPERIMENT else ("gap", "mass"),
            material_ids=np.array([formula for formula, _ in formulas]),
            group_ids=np.array([f"group{row // 2}" for row in rows]),
            chemical_systems=np.array([system for _, system in formulas]),
            features=features,
            values=np.column_stack(columns),
        )

    return build


@pytest.fixture(scope="session")
def measured(make: Make) -> Samples:
    """120 experiments."""
    return make("experiment", Kind.EXPERIMENT, 120)


@pytest.fixture(scope="session")
def computed(make: Make) -> Samples:
    """500 computations; the first 60 are of measured materials; a few cells are missing."""
    samples = make("dft", Kind.COMPUTATION, 500, start=60, noise=0.02, seed=2)
    samples.values[::7, 1] = np.nan
    samples.features[::11, 4] = np.nan
    return samples


@pytest.fixture(scope="session")
def helper(measured: Samples, computed: Samples) -> SourceModel:
    """The model of the computation, blind to the experiment's groups."""
    return train_source_model(computed, measured.group_ids, seed=0)


@pytest.fixture(scope="session")
def networks(measured: Samples, computed: Samples) -> list[Networks]:
    """Networks trained on the computation, blind to the experiment's groups."""
    return train_networks([computed], measured.group_ids, seed=0)


@pytest.fixture(scope="session")
def ensemble(measured: Samples, computed: Samples, helper: SourceModel, networks: list[Networks]) -> Ensemble:
    """The ensemble of the experiment, with both helpers."""
    return train_ensemble(measured, [helper, *networks], [computed], BOUNDS, seed=0)


@pytest.fixture(scope="session")
def importance(measured: Samples) -> ImportanceCollector:
    """Importances in the folds of `evaluation`, which fills them in."""
    return ImportanceCollector(["dft"], DESCRIPTORS, len(measured), 0)


@pytest.fixture(scope="session")
def evaluation(
    measured: Samples, computed: Samples, helper: SourceModel, importance: ImportanceCollector
) -> Evaluation:
    """The evaluation of the experiment in grouped folds."""
    protocol = split_protocol(measured, Split.GROUPED_KFOLD)
    return evaluate(measured, [helper], [computed], protocol, BOUNDS, 0, importance.collect)
