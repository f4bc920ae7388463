"""A planted expression is found from several incomplete sources together where one source alone fails."""

from __future__ import annotations

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.methods.expressions import evaluate, grow, text, unit_of
from matstrata.pipelines.learning.methods.sisso import Task, fit_jointly

UNITS = {"charge": "", "radius": "pm", "length": "pm", "mass": "u", "gap": "eV", "heat": "K", "row": "", "spread": ""}


def planted(name: str, n: int, slope: float, constant: float, noise: float = 0.15) -> Task:
    """A source with n materials of its own, and charge · radius / length with its own coefficients."""
    rng = np.random.default_rng([n, int(100 * slope)])
    quantities = {each: rng.uniform(0.5, 3, n) for each in UNITS}
    values = constant + slope * quantities["charge"] * quantities["radius"] / quantities["length"]
    return Task(name, quantities, values + noise * slope * rng.normal(size=n))


TASKS = [planted("experiment", 6, 1.0, 0.0), *(planted(f"dft{k}", 14 + k, 0.4 + k / 3, k) for k in range(4))]


def test_together_they_find_what_one_alone_cannot() -> None:
    unseen = planted("experiment", 200, 1.0, 0.0, noise=0.0)
    truth = unseen.values

    def error(tasks: list[Task]) -> float:
        joint = fit_jointly(tasks, UNITS, n_terms=1)
        return float(np.abs(joint.predict("experiment", unseen.quantities) - truth).mean())

    alone, together = error(TASKS[:1]), error(TASKS)
    assert together < 0.2
    assert alone > 4 * together
    joint = fit_jointly(TASKS, UNITS, n_terms=1)
    shape = evaluate(joint.terms[0], unseen.quantities)
    assert abs(np.corrcoef(shape, truth)[0, 1]) > 0.9999
    assert joint.coefficients["dft3"][1] / joint.coefficients["dft0"][1] == pytest.approx(1.4 / 0.4, rel=0.2)


def test_two_terms_are_found_and_can_be_read() -> None:
    rng = np.random.default_rng(0)
    units = {name: UNITS[name] for name in ("charge", "mass", "row", "heat")}
    quantities = {each: rng.uniform(0.5, 3, 80) for each in units}
    values = 2 + 3 * quantities["charge"] ** 2 - 2 * quantities["mass"] * quantities["row"]
    joint = fit_jointly([Task("one", quantities, values)], units, n_terms=2)
    assert joint.predict("one", quantities) == pytest.approx(values)
    assert set(joint.text("one").split(" · ")) == {"2 + 3", "(charge)² − 2", "mass·row"}


def test_units_decide_what_may_be_added() -> None:
    base = {name: unit_of(unit) for name, unit in UNITS.items()}
    expressions = dict(grow(base))
    assert ("+", "radius", "length") in expressions
    assert ("+", "radius", "mass") not in expressions
    assert ("exp", "radius") not in expressions
    assert ("exp", "charge") in expressions
    assert expressions["/", "radius", "length"] == unit_of("")
    assert expressions["*", "radius", "length"] == expressions["square", "radius"]
    assert text(("/", "charge", ("sqrt", "row"))) == "(charge)/(√|row|)"


def test_constant_values_have_no_expression() -> None:
    task = planted("flat", 20, 1.0, 0.0)
    with pytest.raises(LearningError, match="flat: all values are equal"):
        fit_jointly([Task("flat", task.quantities, np.ones(20))], UNITS)
