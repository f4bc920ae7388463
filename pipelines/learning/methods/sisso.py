"""A formula for one property that all its sources share, each with coefficients of its own (multi-task SISSO).

Candidates are built from a handful of descriptors (`formulas`); those that follow what is still unexplained in all
sources together are kept (sure independence screening), and of all small subsets of these the best one is taken (an
L0-regularised fit). Sources need not know the same materials: what few experiments cannot decide, many computations
can. Ouyang, Ahmetcik, Carbogno, Scheffler, Ghiringhelli, doi:10.1088/2515-7639/ab077b; and doi:10.1103/
PhysRevMaterials.2.083802 for one source. Own code: docs/decisions/0018. Not here: what helpers know
of the material itself, which this method does not use.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.methods.expressions import (
    Formula,
    Quantities,
    distinct,
    evaluate,
    grow,
    text,
    unit_of,
)
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.stack.level1 import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import Lessons
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.stack.level1 import Testimony

# Of these descriptors, those that there are; a choice by hand of what a chemist would begin with.
PRIMARY = (
    "electronegativity_min",
    "electronegativity_max",
    "electronegativity_avg_dev",
    "covalent_radius_mean",
    "covalent_radius_range",
    "periodic_row_mean",
    "valence_electrons_mean",
    "melting_temperature_mean",
    "ionic_character_mean",
    "electrons_per_anion",
    "anion_fraction",
)
TERMS = 2  # of a formula: all pairs of 400 candidates are tried in a second, all triples would take minutes
SCREENED = 200  # candidates kept for each term
ROWS = 250  # materials of each source that formulas are chosen on; coefficients are fitted on all
_BLOCK = 2000  # candidates worked out at once
_RIDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Task:
    """One source of the property: (n,) values of n materials, and their quantities by name."""

    name: str
    quantities: Quantities
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointFormula:
    """Terms that all tasks share, and each task's constant and coefficients."""

    terms: tuple[Formula, ...]
    coefficients: Mapping[str, NDArray[np.float64]]

    def predict(self, task: str, quantities: Quantities) -> NDArray[np.float64]:
        """The (m,) values of one task; not finite where the formula can't be worked out."""
        constant, *slopes = self.coefficients[task]
        parts = [slope * evaluate(term, quantities) for slope, term in zip(slopes, self.terms, strict=True)]
        total: NDArray[np.float64] = constant + np.sum(parts, axis=0)
        return total

    def text(self, task: str) -> str:
        """The formula of one task as people write it."""
        constant, *slopes = self.coefficients[task]
        return f"{constant:.3g}" + "".join(
            f" {'−' if slope < 0 else '+'} {abs(slope):.3g} · {text(term)}"
            for slope, term in zip(slopes, self.terms, strict=True)
        )


def fit_jointly(tasks: Sequence[Task], units: Mapping[str, str], n_terms: int = TERMS) -> JointFormula:
    """Find the terms that explain most of all tasks together, each counting the same, and fit their coefficients.

    Args:
        tasks: The sources; their materials may differ.
        units: Each quantity's unit; empty for a pure number.
        n_terms: Number of terms at most.

    Raises:
        LearningError: when a task's values are all equal, or no formula can be worked out.
    """
    for task in tasks:
        if not np.ptp(task.values):
            raise LearningError(f"{task.name}: all values are equal, so no formula can explain them")
    few = [_some(task) for task in tasks]
    joined: Quantities = {name: np.concatenate([task.quantities[name] for task in few]) for name in units}
    parts = _parts(few)
    candidates = distinct([(name, unit_of(unit)) for name, unit in units.items()], joined)
    once = distinct([*candidates.items(), *grow(candidates)], joined)
    given = {formula: evaluate(formula, joined) for formula in once}
    unexplained = [task.values - task.values.mean() for task in few]
    pool: dict[Formula, NDArray[np.float64]] = {}
    best: tuple[Formula, ...] = ()
    for size in range(1, n_terms + 1):
        every = itertools.chain(once, (formula for formula, _ in grow(once)))
        pool |= _screen(every, given, parts, unexplained, pool)
        if len(pool) < size:
            break
        best, unexplained = _best_subset(pool, parts, [task.values for task in few], size)
    if not best:
        raise LearningError("no formula of these quantities can be worked out for all materials")
    return JointFormula(best, {task.name: _coefficients(best, task) for task in tasks})


def _some(task: Task) -> Task:
    rows = np.random.default_rng(0).permutation(len(task.values))[:ROWS]
    return Task(task.name, {name: values[rows] for name, values in task.quantities.items()}, task.values[rows])


def _parts(tasks: Sequence[Task]) -> list[slice]:
    ends = np.cumsum([len(task.values) for task in tasks])
    return [slice(int(end) - len(task.values), int(end)) for end, task in zip(ends, tasks, strict=True)]


def _screen(
    formulas: Iterable[Formula],
    given: Quantities,
    parts: Sequence[slice],
    unexplained: Sequence[NDArray[np.float64]],
    known: Mapping[Formula, NDArray[np.float64]],
) -> dict[Formula, NDArray[np.float64]]:
    """The formulas whose values follow best what is unexplained, by the mean of the tasks' squared correlations."""
    wanted = [each / (np.linalg.norm(each) or 1.0) for each in unexplained]
    leading: list[tuple[float, Formula, NDArray[np.float64]]] = []
    stream = iter(formulas)
    while block := list(itertools.islice(stream, _BLOCK)):
        values = np.array([evaluate(formula, given) for formula in block])
        usable = np.abs(values).max(axis=1) < 1e8  # false where one is not a number
        block, values = list(itertools.compress(block, usable)), values[usable]
        scores = np.zeros(len(block))
        for part, residual in zip(parts, wanted, strict=True):
            centred = values[:, part] - values[:, part].mean(axis=1, keepdims=True)
            norms = np.linalg.norm(centred, axis=1)
            told = norms > 1e-6 * np.abs(values[:, part]).max(axis=1)
            scores += np.where(told, (centred @ residual / np.where(told, norms, 1.0)) ** 2, 0.0)
        first = np.argsort(-scores, kind="stable")[: 2 * SCREENED]
        leading += [(float(scores[row]), block[row], values[row]) for row in first]
        leading = _unlike(sorted(leading, key=_worth), known)
    return {formula: values for _, formula, values in leading}


def _worth(candidate: tuple[float, Formula, NDArray[np.float64]]) -> tuple[float, int]:
    """The best first; of equals, the shortest."""
    return -round(candidate[0], 9), len(text(candidate[1]))


def _unlike(
    leading: Iterable[tuple[float, Formula, NDArray[np.float64]]], known: Mapping[Formula, NDArray[np.float64]]
) -> list[tuple[float, Formula, NDArray[np.float64]]]:
    """The first `SCREENED` that are no other's copy up to a factor and a constant."""
    shapes = np.array([_shape(values) for values in known.values()])
    kept: list[tuple[float, Formula, NDArray[np.float64]]] = []
    for each in leading:
        shape = _shape(each[2])[None]
        if not len(shapes) or np.abs(shapes @ shape[0]).max() < 1 - 1e-9:
            shapes = np.vstack([shapes, shape]) if len(shapes) else shape
            kept.append(each)
        if len(kept) == SCREENED:
            break
    return kept


def _shape(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    shape: NDArray[np.float64] = centred / (np.linalg.norm(centred) or 1.0)
    return shape


def _best_subset(
    pool: Mapping[Formula, NDArray[np.float64]],
    parts: Sequence[slice],
    values: Sequence[NDArray[np.float64]],
    size: int,
) -> tuple[tuple[Formula, ...], list[NDArray[np.float64]]]:
    """The subset of `size` formulas that leaves least unexplained, of all there are, and what it leaves by task."""
    formulas = list(pool)
    subsets = np.array(list(itertools.combinations(range(len(formulas)), size)))
    explained = np.zeros(len(subsets))
    terms_by_task = []
    for part, measured in zip(parts, values, strict=True):
        terms = np.array([_shape(pool[formula][part]) for formula in formulas])
        terms_by_task.append(terms)
        gram = terms @ terms.T + _RIDGE * np.eye(len(terms))
        along = terms @ _shape(measured)
        right = along[subsets]
        solved = np.linalg.solve(gram[subsets[:, :, None], subsets[:, None, :]], right[:, :, None])[:, :, 0]
        explained += (right * solved).sum(axis=1)
    chosen = subsets[int(np.argmax(explained))]
    left = []
    for terms, measured in zip(terms_by_task, values, strict=True):
        centred = measured - measured.mean()
        solution = np.linalg.lstsq(terms[chosen].T, centred, rcond=None)[0]
        left.append(centred - terms[chosen].T @ solution)
    return tuple(formulas[row] for row in chosen), left


def _coefficients(terms: Sequence[Formula], task: Task) -> NDArray[np.float64]:
    columns = np.column_stack([np.ones(len(task.values)), *(evaluate(term, task.quantities) for term in terms)])
    usable = np.isfinite(columns).all(axis=1)
    scale = np.abs(columns[usable]).max(axis=0)  # terms may differ by many orders of magnitude
    found: NDArray[np.float64] = np.linalg.lstsq(columns[usable] / scale, task.values[usable], rcond=None)[0] / scale
    return found


@dataclass(frozen=True, slots=True)
class Sisso:
    """The method: the sources' tasks, and where the primary quantities stand among the descriptors."""

    helpers: tuple[Samples, ...]
    property_name: str
    columns: Mapping[str, int]
    units: Mapping[str, str]
    settings: tuple[Setting, ...] = (Setting.STRICT,)

    @classmethod
    def taught(cls, lessons: Lessons) -> Self:
        """Keep the materials of the helpers that report the property.

        Raises:
            LearningError: when none of the primary quantities is among the descriptors.
        """
        found = {name: lessons.columns[name] for name in PRIMARY if name in lessons.columns}
        if not found:
            raise LearningError(f"a formula needs descriptors such as {PRIMARY[0]}, and there are none")
        columns = {name: column for name, (column, _) in found.items()}
        units = {name: unit for name, (_, unit) in found.items()}
        helpers = tuple(each for each in lessons.lawful() if lessons.property_name in each.properties)
        return cls(helpers, lessons.property_name, columns, units)

    def fit(self, seen: Samples, told: Sequence[Testimony], setting: Setting) -> FittedSisso:  # noqa: ARG002
        """Find the formula that experiments and computations share."""
        values = target_values(seen)
        limits = {name: _limits(seen.features[:, column]) for name, column in self.columns.items()}
        tasks = [Task(seen.source, self.quantities(seen.features, limits), values)]
        for helper in self.helpers:
            computed = helper.values[:, helper.properties.index(self.property_name)]
            rows = np.isfinite(computed)
            if not is_zero_inflated(values) and is_zero_inflated(computed[rows]):
                rows &= computed != 0  # a class that the experiments do not have
            rows = np.flatnonzero(rows)[:: max(1, int(rows.sum()) // (4 * ROWS))]
            if len(rows) > len(PRIMARY) and np.ptp(computed[rows]):
                tasks.append(Task(helper.source, self.quantities(helper.features[rows], limits), computed[rows]))
        return FittedSisso(self, seen.source, limits, fit_jointly(tasks, self.units), float(np.median(values)))

    def quantities(self, features: NDArray[np.float64], limits: Mapping[str, tuple[float, float, float]]) -> Quantities:
        """The primary quantities, held within what the experiments span; a missing one counts as their median."""
        found: dict[Formula, NDArray[np.float64]] = {}
        for name, column in self.columns.items():
            low, middle, high = limits[name]
            found[name] = np.nan_to_num(features[:, column], nan=middle).clip(low, high)
        return found


@dataclass(frozen=True, slots=True)
class FittedSisso:
    """The formula, with its coefficients for the experiments."""

    method: Sisso
    source: str
    limits: Mapping[str, tuple[float, float, float]]
    formula: JointFormula
    middle: float

    @property
    def says(self) -> str:
        """The formula."""
        return f"{self.method.property_name} = {self.formula.text(self.source)}"

    def predict(self, features: NDArray[np.float64], asked: Sequence[Testimony]) -> NDArray[np.float64]:  # noqa: ARG002
        """Work out the formula; the middle of the experiments where it can't be."""
        predicted = self.formula.predict(self.source, self.method.quantities(features, self.limits))
        return np.where(np.isfinite(predicted), predicted, self.middle)


def _limits(values: NDArray[np.float64]) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(np.median(known)), float(known.max())) if known.size else (0.0, 0.0, 0.0)
