"""An expression for one property that all its sources share, each with its own coefficients (multi-task SISSO).

For sources k and terms d_j, expressions of a few descriptors (`expressions`),

    y_k(x) = a_k0 + sum_j a_kj d_j(x).

Terms are screened by the mean over the sources of their squared correlation with the residuals (sure independence
screening); of all small subsets of the best, that with the largest mean share of explained variance is taken (an
L0-regularized fit). Sources need not have the same materials: what few experiments cannot decide, many computations
can. Ouyang, Ahmetcik, Carbogno, Scheffler, Ghiringhelli, doi:10.1088/2515-7639/ab077b; for one source
doi:10.1103/PhysRevMaterials.2.083802. Own code: docs/decisions/0018. Not here: predictions and computed values of the
helpers, which this method does not use.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.methods.expressions import (
    Expression,
    Quantities,
    distinct,
    evaluate,
    grow,
    text,
    unit_of,
)
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.samples import target_values
from matstrata.schemas.terms import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import HelperData
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.settings import HelperPredictions

# Chosen by hand as those a chemist would begin with; the ones that are computed are used.
PRIMARY_DESCRIPTORS = (
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
N_TERMS = 2  # all pairs of 400 candidates are tried in a second, all triples would take minutes
N_SCREENED = 200  # candidates kept for each term
SELECTION_ROWS = 250  # materials of each source that terms are selected on; coefficients are fitted on all
_BATCH = 2000  # candidates evaluated at once
_RIDGE = 1e-9  # keeps the Gram matrix of nearly equal terms invertible


@dataclass(frozen=True, slots=True)
class Task:
    """One source of the property: (n,) values of n materials, and their quantities by name, (n,) each."""

    name: str
    quantities: Quantities
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointExpression:
    """Terms that all tasks share, and each task's constant and coefficients."""

    terms: tuple[Expression, ...]
    coefficients: Mapping[str, NDArray[np.float64]]

    def predict(self, task: str, quantities: Quantities) -> NDArray[np.float64]:
        """Evaluate the expression of one task, (m,); not finite where it has no value."""
        constant, *slopes = self.coefficients[task]
        parts = [slope * evaluate(term, quantities) for slope, term in zip(slopes, self.terms, strict=True)]
        total: NDArray[np.float64] = constant + np.sum(parts, axis=0)
        return total

    def text(self, task: str) -> str:
        """Write the expression of one task as people do."""
        constant, *slopes = self.coefficients[task]
        return f"{constant:.3g}" + "".join(
            f" {'−' if slope < 0 else '+'} {abs(slope):.3g} · {text(term)}"
            for slope, term in zip(slopes, self.terms, strict=True)
        )


def fit_jointly(tasks: Sequence[Task], units: Mapping[str, str], n_terms: int = N_TERMS) -> JointExpression:
    """Find the terms that explain most of all tasks together, each counting the same, and fit their coefficients.

    Args:
        tasks: The sources; their materials may differ.
        units: Each quantity's unit; empty for a pure number.
        n_terms: Largest number of terms.

    Raises:
        LearningError: A task's values are all equal, or no expression can be evaluated.
    """
    for task in tasks:
        if not np.ptp(task.values):
            raise LearningError(f"{task.name}: all values are equal, so no expression can explain them")
    samples = [_sample(task) for task in tasks]
    joined: Quantities = {name: np.concatenate([task.quantities[name] for task in samples]) for name in units}
    parts = _parts(samples)
    candidates = distinct([(name, unit_of(unit)) for name, unit in units.items()], joined)
    once = distinct([*candidates.items(), *grow(candidates)], joined)
    evaluated = {expression: evaluate(expression, joined) for expression in once}
    residuals = [task.values - task.values.mean() for task in samples]
    pool: dict[Expression, NDArray[np.float64]] = {}
    best: tuple[Expression, ...] = ()
    for size in range(1, n_terms + 1):
        expressions = itertools.chain(once, (expression for expression, _ in grow(once)))
        pool |= _screen(expressions, evaluated, parts, residuals, pool)
        if len(pool) < size:
            break
        best, residuals = _best_subset(pool, parts, [task.values for task in samples], size)
    if not best:
        raise LearningError("no expression of these quantities can be evaluated for all materials")
    return JointExpression(best, {task.name: _coefficients(best, task) for task in tasks})


def _sample(task: Task) -> Task:
    rows = np.random.default_rng(0).permutation(len(task.values))[:SELECTION_ROWS]
    return Task(task.name, {name: values[rows] for name, values in task.quantities.items()}, task.values[rows])


def _parts(tasks: Sequence[Task]) -> list[slice]:
    ends = np.cumsum([len(task.values) for task in tasks])
    return [slice(int(end) - len(task.values), int(end)) for end, task in zip(ends, tasks, strict=True)]


def _screen(
    expressions: Iterable[Expression],
    evaluated: Quantities,
    parts: Sequence[slice],
    residuals: Sequence[NDArray[np.float64]],
    pool: Mapping[Expression, NDArray[np.float64]],
) -> dict[Expression, NDArray[np.float64]]:
    """Find the expressions with the largest mean over the tasks of squared correlations with the residuals."""
    directions = [each / (np.linalg.norm(each) or 1.0) for each in residuals]
    leading: list[tuple[float, Expression, NDArray[np.float64]]] = []
    stream = iter(expressions)
    while batch := list(itertools.islice(stream, _BATCH)):
        values = np.array([evaluate(expression, evaluated) for expression in batch])
        usable = np.abs(values).max(axis=1) < 1e8  # false where one is not a number
        batch, values = list(itertools.compress(batch, usable)), values[usable]
        scores = np.zeros(len(batch))
        for part, direction in zip(parts, directions, strict=True):
            centered = values[:, part] - values[:, part].mean(axis=1, keepdims=True)
            norms = np.linalg.norm(centered, axis=1)
            varies = norms > 1e-6 * np.abs(values[:, part]).max(axis=1)
            scores += np.where(varies, (centered @ direction / np.where(varies, norms, 1.0)) ** 2, 0.0)
        first = np.argsort(-scores, kind="stable")[: 2 * N_SCREENED]
        leading += [(float(scores[row]), batch[row], values[row]) for row in first]
        leading = _distinct_from(sorted(leading, key=_rank), pool)
    return {expression: values for _, expression, values in leading}


def _rank(candidate: tuple[float, Expression, NDArray[np.float64]]) -> tuple[float, int]:
    """Order candidates: the best first; of equals, the shortest."""
    return -round(candidate[0], 9), len(text(candidate[1]))


def _distinct_from(
    leading: Iterable[tuple[float, Expression, NDArray[np.float64]]], pool: Mapping[Expression, NDArray[np.float64]]
) -> list[tuple[float, Expression, NDArray[np.float64]]]:
    """Select the first `N_SCREENED` that equal no other, up to a factor and a constant."""
    shapes = np.array([_shape(values) for values in pool.values()])
    selected: list[tuple[float, Expression, NDArray[np.float64]]] = []
    for each in leading:
        shape = _shape(each[2])[None]
        if not len(shapes) or np.abs(shapes @ shape[0]).max() < 1 - 1e-9:
            shapes = np.vstack([shapes, shape]) if len(shapes) else shape
            selected.append(each)
        if len(selected) == N_SCREENED:
            break
    return selected


def _shape(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centered = values - values.mean()
    shape: NDArray[np.float64] = centered / (np.linalg.norm(centered) or 1.0)
    return shape


def _best_subset(
    pool: Mapping[Expression, NDArray[np.float64]],
    parts: Sequence[slice],
    values: Sequence[NDArray[np.float64]],
    size: int,
) -> tuple[tuple[Expression, ...], list[NDArray[np.float64]]]:
    """Find the subset of `size` expressions that explains most, of all subsets, and its residuals by task."""
    expressions = list(pool)
    subsets = np.array(list(itertools.combinations(range(len(expressions)), size)))
    explained = np.zeros(len(subsets))
    terms_by_task = []
    for part, measured in zip(parts, values, strict=True):
        terms = np.array([_shape(pool[expression][part]) for expression in expressions])
        terms_by_task.append(terms)
        gram = terms @ terms.T + _RIDGE * np.eye(len(terms))
        along = terms @ _shape(measured)
        right = along[subsets]
        solved = np.linalg.solve(gram[subsets[:, :, None], subsets[:, None, :]], right[:, :, None])[:, :, 0]
        explained += (right * solved).sum(axis=1)
    chosen = subsets[int(np.argmax(explained))]
    residuals = []
    for terms, measured in zip(terms_by_task, values, strict=True):
        centered = measured - measured.mean()
        solution = np.linalg.lstsq(terms[chosen].T, centered, rcond=None)[0]
        residuals.append(centered - terms[chosen].T @ solution)
    return tuple(expressions[row] for row in chosen), residuals


def _coefficients(terms: Sequence[Expression], task: Task) -> NDArray[np.float64]:
    columns = np.column_stack([np.ones(len(task.values)), *(evaluate(term, task.quantities) for term in terms)])
    usable = np.isfinite(columns).all(axis=1)
    scale = np.abs(columns[usable]).max(axis=0)  # terms may differ by many orders of magnitude
    solution: NDArray[np.float64] = np.linalg.lstsq(columns[usable] / scale, task.values[usable], rcond=None)[0]
    return solution / scale


@dataclass(frozen=True, slots=True)
class Sisso:
    """The method: the computed sources, and column and unit of each primary quantity among the descriptors."""

    helpers: tuple[Samples, ...]
    property_name: str
    columns: Mapping[str, int]
    units: Mapping[str, str]
    settings: tuple[Setting, ...] = (Setting.STRICT,)

    @classmethod
    def prepare(cls, data: HelperData) -> Self:
        """Select the helpers that report the property.

        Raises:
            LearningError: None of the primary quantities is among the descriptors.
        """
        primary = {name: data.columns[name] for name in PRIMARY_DESCRIPTORS if name in data.columns}
        if not primary:
            raise LearningError(f"an expression needs descriptors such as {PRIMARY_DESCRIPTORS[0]}; none is computed")
        columns = {name: column for name, (column, _) in primary.items()}
        units = {name: unit for name, (_, unit) in primary.items()}
        helpers = tuple(each for each in data.allowed_rows() if data.property_name in each.properties)
        return cls(helpers, data.property_name, columns, units)

    def fit(
        self,
        train: Samples,
        helper_predictions: Sequence[HelperPredictions],  # noqa: ARG002
        setting: Setting,  # noqa: ARG002
    ) -> FittedSisso:
        """Find the expression that experiments and computations share."""
        values = target_values(train)
        limits = {name: _limits(train.features[:, column]) for name, column in self.columns.items()}
        tasks = [Task(train.source, self.quantities(train.features, limits), values)]
        for helper in self.helpers:
            computed = helper.values[:, helper.properties.index(self.property_name)]
            rows = np.isfinite(computed)
            if not is_zero_inflated(values) and is_zero_inflated(computed[rows]):
                rows &= computed != 0  # a class that the experiments do not have
            rows = np.flatnonzero(rows)[:: max(1, int(rows.sum()) // (4 * SELECTION_ROWS))]
            if len(rows) > len(PRIMARY_DESCRIPTORS) and np.ptp(computed[rows]):
                tasks.append(Task(helper.source, self.quantities(helper.features[rows], limits), computed[rows]))
        return FittedSisso(self, train.source, limits, fit_jointly(tasks, self.units), float(np.median(values)))

    def quantities(self, features: NDArray[np.float64], limits: Mapping[str, tuple[float, float, float]]) -> Quantities:
        """Clip the primary quantities to the range of the experiments; a missing one counts as their median."""
        quantities: dict[Expression, NDArray[np.float64]] = {}
        for name, column in self.columns.items():
            low, median, high = limits[name]
            quantities[name] = np.nan_to_num(features[:, column], nan=median).clip(low, high)
        return quantities


@dataclass(frozen=True, slots=True)
class FittedSisso:
    """The expression, with its coefficients for the experiments."""

    method: Sisso
    source: str
    limits: Mapping[str, tuple[float, float, float]]
    expression: JointExpression
    median: float

    @property
    def summary(self) -> str:
        """The expression."""
        return f"{self.method.property_name} = {self.expression.text(self.source)}"

    def predict(
        self,
        features: NDArray[np.float64],
        helper_predictions: Sequence[HelperPredictions],  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Evaluate the expression; the median of the experiments where it has no value."""
        predicted = self.expression.predict(self.source, self.method.quantities(features, self.limits))
        return np.where(np.isfinite(predicted), predicted, self.median)


def _limits(values: NDArray[np.float64]) -> tuple[float, float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(np.median(finite)), float(finite.max())) if finite.size else (0.0, 0.0, 0.0)
