"""Zero as a class of its own: when it is one, and the probability of the other class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from matstrata.pipelines.learning.models.hurdle import chance_of, is_zero_inflated


@pytest.mark.parametrize(
    ("zeros", "nonzero", "expected"),
    [(500, 500, True), (20, 200, True), (19, 200, False), (200, 19, False), (79, 921, False), (80, 920, True)],
)
def test_both_classes_need_twenty_materials_and_eight_percent(zeros: int, nonzero: int, expected: bool) -> None:
    assert is_zero_inflated(np.repeat([0.0, 1.5], [zeros, nonzero])) is expected


def test_a_property_of_both_signs_has_no_zero_class() -> None:
    assert not is_zero_inflated(np.concatenate([np.zeros(500), np.ones(499), [-0.1]]))


@pytest.mark.parametrize(("classes", "chance"), [([False, False], 0.0), ([True, True], 1.0), ([True, False], 0.5)])
def test_the_chance_is_that_of_not_being_zero(classes: list[bool], chance: float) -> None:
    inputs = np.zeros((2, 1))
    classifier = DummyClassifier(strategy="prior").fit(inputs, np.array(classes))
    np.testing.assert_array_equal(chance_of(classifier, inputs), chance)
