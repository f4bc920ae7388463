"""Predictions as users get them: each formula in its place and in conventional order, with interval and reasons."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.learning.stack.ensemble import Contribution, Predictions
from matstrata.pipelines.serving.predictor import Neighbor, Predictor, PropertyContribution, SourceContribution
from matstrata.schemas.ensembles import get_ensemble
from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES

TARGET, HELPER = "refractiveindex_info", "ricci_transport"
MEASURED = {"AsGa": 3.4, "I2Pb": 2.7}


class FakeEnsemble:
    """Predicts the sum of the digits of the `material_id`, give or take 1.645."""

    sources = ()
    material_ids = np.array(list(MEASURED))

    def predict(self, features, material_ids, stored):
        n = len(material_ids)
        values = np.array([float(sum(map(int, filter(str.isdigit, each)))) for each in material_ids])
        contributions = (
            Contribution(
                TARGET, "experiment", (), ("refractive_index",), values[:, None], np.full((n, 1), np.nan), 0.4
            ),
            Contribution(
                TARGET, "experiment", (HELPER,), ("refractive_index",), values[:, None], np.full((n, 1), np.nan), 0.6
            ),
            Contribution(
                HELPER,
                "computation",
                (),
                ("band_gap", "refractive_index"),
                np.tile([1.5, 2.0], (n, 1)),
                np.tile([1.25, np.nan], (n, 1)),
                0.6,
            ),
        )
        return Predictions(
            material_ids,
            values,
            values - 1.645,
            values + 1.645,
            None,
            np.ones(n, dtype=bool),
            contributions,
            np.tile(list(MEASURED), (n, 1)),
            np.tile(list(MEASURED.values()), (n, 1)),
            np.tile([0.5, 1.5], (n, 1)),
        )


@pytest.fixture
def predictor(lake):
    """A predictor whose measured source repeats one measurement: 3.1 and 3.7, with a standard deviation of 0.42."""
    rows = {
        "sources": [{"source": name, "kind": kind, "citation": f"@misc{{{name}}}\n"} for name, kind in
                    ((TARGET, "experiment"), (HELPER, "computation"))],
        "observations": [
            {"observation_id": f"{material}{value}", "source": TARGET, "source_record": f"{value}", "kind": "experiment",
             "material_id": material, "property": "refractive_index", "value": value, "unit": "1", "method": "optical",
             "conditions": "{}", "reference": f"reference of {material}"}
            for material, value in (("AsGa", 3.1), ("AsGa", 3.7), ("I2Pb", 2.7))
        ],
    }  # fmt: skip
    with lake.commit("fill") as transaction:
        for name, some in rows.items():
            transaction.insert(name, pa.Table.from_pylist(some, schema=TABLES[name].arrow_schema))
    row = {"model_id": "m1", "features": ["magpie_v1", "stoichiometry_v1"], "property": "refractive_index"}
    return Predictor(lake, get_ensemble("refractive_index"), row, FakeEnsemble())


def test_formulas_keep_their_order_and_are_written_as_people_write_them(predictor):
    results = predictor.predict(["I2Pb", "GaAs", "PbI2", "Ag0.5Pb1.75GeSe4"])
    assert [each.formula for each in results] == ["PbI2", "GaAs", "PbI2", "Ag2Pb7Ge4Se16"]
    assert [each.material_id for each in results] == ["I2Pb", "AsGa", "I2Pb", "Ag2Ge4Pb7Se16"]
    assert [each.value for each in results] == [2, 0, 2, 20]
    assert [each.in_training for each in results] == [True, True, True, False]


def test_neighbors_have_formula_value_and_reference(predictor):
    (result,) = predictor.predict(["GaN"])
    assert result.neighbors == (
        Neighbor("AsGa", "GaAs", 3.4, 0.5, "reference of AsGa"),
        Neighbor("I2Pb", "PbI2", 2.7, 1.5, "reference of I2Pb"),
    )
    assert result.citations == (f"@misc{{{TARGET}}}", f"@misc{{{HELPER}}}")


def test_an_interval_is_split_into_noise_and_model(predictor):
    (result,) = predictor.predict(["GaN"])
    assert result.uncertainty_noise == pytest.approx(0.6 / math.sqrt(2))  # of two measurements that differ by 0.6
    assert math.hypot(result.uncertainty_noise, result.uncertainty_model) == pytest.approx(1)


def test_contributions_name_source_helpers_weight_and_stored_value(predictor):
    (result,) = predictor.predict(["Al2O3"])
    alone, helped, computed = result.contributions
    assert (alone.title, alone.text) == (TARGET, "5   weight 0.40")
    assert (helped.title, helped.text) == (f"{TARGET} with {HELPER}", "5   weight 0.60")
    assert computed == SourceContribution(
        HELPER,
        "computation",
        (),
        0.6,
        (PropertyContribution("band_gap", "eV", 1.5, 1.25), PropertyContribution("refractive_index", "1", 2.0, None)),
    )
    assert computed.text == "E_g 1.5 [1.25], n 2   as input, weight 0.60"


def test_a_formula_that_cannot_be_read_or_has_no_descriptors_gets_a_reason_and_costs_no_other(predictor):
    unreadable, livermorium, good = predictor.predict(["Li1-xCoO2", "LvO", "GaN"])
    assert (unreadable.formula, unreadable.material_id) == ("Li1-xCoO2", None)
    assert "x" in unreadable.reason
    assert (livermorium.formula, livermorium.material_id) == ("LvO", "LvO")
    assert livermorium.reason.startswith("LvO: ")
    assert good.reason is None
    assert good.value == 0


def test_json_has_null_instead_of_nan(predictor):
    (fields,) = [each.as_dict() for each in predictor.predict(["not a formula"])]
    assert fields["value"] is None
    assert json.loads(json.dumps(fields, allow_nan=False))["formula"] == "not a formula"


def test_without_usable_formulas_no_ensemble_is_asked(lake):
    row = {"model_id": "m1", "features": ["magpie_v1"], "property": "refractive_index"}
    predictor = Predictor(lake, get_ensemble("refractive_index"), row, SimpleNamespace())  # it has no `predict`
    assert predictor.predict([]) == []
    (result,) = predictor.predict(["?"], explain=True)
    assert math.isnan(result.value)
    assert result.reason


def test_a_store_without_a_model_is_an_input_error(lake):
    with pytest.raises(InputError, match="matstrata run"):
        Predictor.load("refractive_index", lake.root)
