"""Descriptors that an element does not have: NULL in tables, NaN in matrices, whatever an older version stored."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.compute as pc
import pytest

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.store import FeatureStore, models
from matstrata.store.datasets.training_sets import TrainingSet, select
from matstrata.store.features.sets import compute_for, materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.records.materials import update_materials
from matstrata.store.upkeep import doctor

NOBLE = ("He", "Ne", "Ar")  # Pauling's scale has no electronegativity of theirs
OPTICS = {"method": "absorption"}
GAPS = [
    ("r1", "GaN", 3.4, OPTICS),
    ("r2", "Fe2O3", 2.2, OPTICS),
    *((f"n{i}", symbol, 20.0 - i, OPTICS) for i, symbol in enumerate(NOBLE)),
]
COLUMN = "electronegativity_mean"


@pytest.fixture
def described(lake, put) -> Lake:
    """A store of two oxides and nitrides and three noble gases, described by magpie."""
    put("lab", GAPS)
    update_materials(lake)
    materialize(lake, get_feature_set("magpie"))
    return lake


@pytest.fixture
def older(described, tmp_path) -> Lake:
    """The same store as versions before wrote it: NaN in the table, and no materials of a kind without a row."""
    lake = Lake(shutil.copytree(described.root, tmp_path / "older"))
    columns = get_feature_set("magpie").columns
    with lake.commit("as it was written before") as transaction:
        assigned = ", ".join(f'"{column.name}" = coalesce("{column.name}", \'nan\')' for column in columns)
        transaction.con.execute(f"UPDATE features.magpie_v1 SET {assigned}")
    return lake


def training_set(lake: Lake) -> TrainingSet:
    with lake.reader() as con:
        return select(con, "lab", ["band_gap"], ["magpie"])


def test_a_ranking_has_no_noble_gas_at_its_head(described):
    with FeatureStore.open(described.root) as store:
        highest = store.sql(f"SELECT max({COLUMN}) AS m FROM features.magpie_v1")["m"].to_pylist()
        assert highest == pytest.approx([(2 * 1.83 + 3 * 3.44) / 5])  # Fe2O3
        first = store.sql(f"SELECT material_id FROM features.magpie_v1 ORDER BY {COLUMN} DESC")["material_id"]
        assert set(first.to_pylist()[-3:]) == set(NOBLE)
        missing = store.sql(f"SELECT material_id FROM features.magpie_v1 WHERE {COLUMN} IS NULL")["material_id"]
        assert set(missing.to_pylist()) == set(NOBLE)


def test_no_number_in_the_table_is_nan(described):
    with described.reader() as con:
        table = con.execute("FROM features.magpie_v1").to_arrow_table()
    assert not any(pc.any(pc.is_nan(column)).as_py() for column in table.columns[1:])


def test_matrices_are_those_that_were_computed_to_the_last_digit(described, older):
    feature_set = get_feature_set("magpie")
    with described.reader() as con:
        materials = con.execute("SELECT * FROM materials ORDER BY material_id").to_arrow_table().combine_chunks()
    expected, _ = compute_for([feature_set], materials["elements"].chunk(0), materials["fractions"].chunk(0))
    names = [column.name for column in feature_set.columns]
    ids = materials["material_id"].to_pylist()
    for lake in (described, older):
        with FeatureStore.open(lake.root) as store:
            for table in (
                store.features("magpie"),
                store.features_for(ids, ["magpie"]).table,
                store.training_set(property="band_gap", features=["magpie"]).table,
                training_set(lake).table,
                models.unpredicted(lake, "0" * 16, ["magpie_v1"]),
            ):
                assert np.column_stack([table[name].to_numpy() for name in names]).tobytes() == expected.tobytes()
                assert all(table[name].null_count == 0 for name in names)


def test_the_training_set_is_the_same_one_in_a_store_of_before(described, older):
    assert training_set(described).training_set_id == training_set(older).training_set_id


def test_a_material_without_a_row_stays_null(described, put):
    put("other", [("r1", "InP", 1.3)])
    update_materials(described)
    with FeatureStore.open(described.root) as store:
        table = store.features_for(["InP", "Ar"], ["magpie"]).table
        assert table[COLUMN].null_count == 1
        assert np.isnan(table[COLUMN][1].as_py())


def test_what_is_inserted_holds_no_nan(described):
    row = {"model_id": "0" * 16, "property": "band_gap", "serving": False, "source": None, "features": [], "path": "x"}
    metric = {"model_id": "0" * 16, "protocol": "replicates", "setting": "measurement", "subset": "all"}
    models.record(described, row, [{**metric, "metric": "pooled_sd", "value": float("nan")}])
    with described.reader() as con:
        assert con.execute("SELECT value FROM model_metrics").fetchall() == [(None,)]


def test_the_doctor_tells_of_a_table_that_holds_nan(described, older):
    assert [finding for finding in doctor.examine(described).findings if finding.check == "missing numbers"] == []
    diagnosis = doctor.examine(older)
    (finding,) = (finding for finding in diagnosis.findings if finding.check == "missing numbers")
    assert finding.what.startswith("features.magpie_v1 holds NaN in ")
    assert diagnosis.healthy
