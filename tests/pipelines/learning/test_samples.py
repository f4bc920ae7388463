"""What samples refuse, and how computed values are looked up."""

from dataclasses import replace

import numpy as np
import pytest

from matstrata.pipelines.learning.leakage import LeakageError, LearningError
from matstrata.pipelines.learning.samples import computed_values, elements_of, target_values


def test_a_material_may_appear_once(measured):
    with pytest.raises(LearningError, match="appears twice"):
        measured.take(np.array([0, 0, 1]))


def test_lengths_must_agree(measured):
    with pytest.raises(LearningError, match="different lengths"):
        replace(measured, group_ids=measured.group_ids[1:])


def test_infinite_values_are_refused(measured):
    with pytest.raises(LearningError, match="infinite"):
        replace(measured, values=np.full_like(measured.values, np.inf))


def test_a_target_has_one_reported_property(measured, computed):
    with pytest.raises(LearningError, match="one property"):
        target_values(computed)
    with pytest.raises(LearningError, match="no value"):
        target_values(replace(measured, values=np.full_like(measured.values, np.nan)))


def test_computed_values_are_those_of_the_same_material(measured, computed):
    values = computed_values(computed, measured.material_ids)
    assert np.isnan(values[:60]).all()
    np.testing.assert_array_equal(values[60:], computed.values[:60])


def test_experimental_values_are_never_inputs(measured):
    with pytest.raises(LeakageError, match="only computed values"):
        computed_values(measured, measured.material_ids)


def test_elements_are_read_from_formulas():
    assert elements_of(["Ag2Ge4Pb7Se16", "N"]) == [{"Ag", "Ge", "Pb", "Se"}, {"N"}]
