"""Retrieval: one row per request, in order, whatever is asked; what was known then, and nothing of later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matstrata.pipelines.descriptors.registry import FEATURE_SETS, get_feature_set
from matstrata.schemas.errors import InputError
from matstrata.store import FeatureStore
from matstrata.store.features.sets import materialize
from matstrata.store.features.versions import deprecate
from matstrata.store.lake.as_of import resolve_as_of
from matstrata.store.lake.lake import Lake
from matstrata.store.records.materials import update_materials

KNOWN = ["GaN", "Fe2O3", "Nh2O", "Si"]  # the element tables know nothing of nihonium
SPELLINGS = {
    "GaN": "GaN",
    "NGa": "GaN",
    "O3Fe2": "Fe2O3",
    "Fe₂O₃": "Fe2O3",
    "Fe4O6": "Fe2O3",
    "Si": "Si",
    "Nh2O": "Nh2O",
}
STRANGE = {"InP": "InP", "Unobtainium": None, "": None, "O2Ti1": "O2Ti"}


@pytest.fixture(scope="module")
def filled(pristine, tmp_path_factory) -> Lake:
    """A store of four materials, all described but one; read it only."""
    lake = Lake(shutil.copytree(pristine, tmp_path_factory.mktemp("filled") / "store"))
    _observe(lake, {"GaN": 3.4, "Fe2O3": 2.2, "Si": 1.1, "Nh2O": 0.5})
    for name in FEATURE_SETS:
        materialize(lake, get_feature_set(name))
    return lake


@pytest.fixture(scope="module")
def opened(filled) -> Iterator[FeatureStore]:
    with FeatureStore.open(filled.root) as store:
        yield store


def _observe(lake: Lake, values: dict[str, float], source: str = "lab") -> None:
    with lake.commit("observe") as transaction:
        transaction.con.execute("DELETE FROM observations WHERE source = ?", [source])
        transaction.con.execute("DELETE FROM sources WHERE source = ?", [source])
        transaction.con.execute(
            "INSERT INTO sources (source, title, kind, method, policy, citation) "
            "VALUES (?, 'a lab', 'experiment', 'UV', 'median', '@misc{x}')",
            [source],
        )
        for material, value in values.items():
            transaction.con.execute(
                "INSERT INTO observations (observation_id, source, source_record, material_id, property, value, unit, "
                "kind, method) VALUES (?, ?, ?, ?, 'band_gap', ?, 'eV', 'experiment', 'UV')",
                [f"{source}{material}", source, material, material, value],
            )
    update_materials(lake)


@settings(max_examples=40, deadline=None)
@given(
    requested=st.lists(st.one_of(st.sampled_from([*SPELLINGS, *STRANGE]), st.none(), st.text(max_size=4)), max_size=30),
    names=st.sampled_from([["magpie"], ["stoichiometry", "magpie"], ["magpie_v1"]]),
    anew=st.booleans(),
)
def test_one_row_for_each_request_in_order(opened, requested, names, anew):
    result = opened.features_for(requested, names, new=FEATURE_SETS if anew else None)
    assert result.table["entity"].to_pylist() == requested
    assert len(result) == len(requested)
    for row in result.table.to_pylist():
        described = all(row[column] is not None for column in result.descriptors)
        assert described == (row["reason"] is None), "a row is whole, or says why it is not"
        if row["entity"] in SPELLINGS | STRANGE:
            assert row["material_id"] == (SPELLINGS | STRANGE)[row["entity"]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(KNOWN), max_size=30))
def test_each_row_is_the_row_of_its_material(opened, requested):
    table = {row["material_id"]: row for row in opened.features("magpie").to_pylist()}
    result = opened.features_for(requested, ["magpie"])
    for row in result.table.to_pylist():
        expected = table.get(row["material_id"], dict.fromkeys(result.descriptors))
        np.testing.assert_equal({c: row[c] for c in result.descriptors}, {c: expected[c] for c in result.descriptors})


def test_reasons_say_what_is_missing(filled):
    with FeatureStore.open(filled.root) as store:
        result = store.features_for(["Nh2O", "InP", "NaCl)", None], ["magpie", "stoichiometry"])
    reasons = result.table["reason"].to_pylist()
    assert reasons[0] == "magpie_v1: no Magpie data for element Nh"
    assert reasons[1] == "the store holds no material InP"
    assert "character 5" in reasons[2]
    assert reasons[3] == "no entity was given"
    assert result.table["n_elements"].to_pylist() == [2.0, None, None, None], "one set may know what the other does not"


def test_new_materials_get_what_they_would_get_in_the_store(filled, tmp_path):
    with FeatureStore.open(filled.root) as store:
        before = store.features_for(["InP", "Nh3N", "GaN"], ["magpie", "stoichiometry"], new=FEATURE_SETS)
        assert store.lake.snapshot() == store.snapshot, "nothing was written"
    lake = Lake(shutil.copytree(filled.root, tmp_path / "later"))
    _observe(lake, {"InP": 1.3, "NNh3": 1.0}, source="other")
    for name in FEATURE_SETS:
        materialize(lake, get_feature_set(name))
    with FeatureStore.open(lake.root) as store:
        after = store.features_for(["InP", "Nh3N", "GaN"], ["magpie", "stoichiometry"])
    assert before.table.equals(after.table)
    assert before.table["reason"].to_pylist() == [None, "magpie_v1: no Magpie data for element Nh", None]


def test_a_set_that_computes_differently_describes_nothing_new(filled):
    other = {"magpie": replace(FEATURE_SETS["magpie"], parameters={"changed": True})}
    with FeatureStore.open(filled.root) as store:
        assert store.features_for(["GaN"], ["magpie"], new=other).table["reason"].null_count == 1
        with pytest.raises(InputError, match="differently"):
            store.features_for(["InP"], ["magpie"], new=other)


def test_the_forms_of_a_result_agree(filled):
    with FeatureStore.open(filled.root) as store:
        result = store.features_for(["GaN", "Xx", "Si"], ["stoichiometry"])
    matrix = result.to_numpy()
    assert matrix.shape == (3, 6)
    assert np.isnan(matrix[1]).all()
    np.testing.assert_array_equal(result.to_pandas()[list(result.descriptors)].to_numpy(), matrix)
    frame = result.to_polars()
    assert isinstance(frame, pl.DataFrame)
    np.testing.assert_array_equal(frame.select(result.descriptors).to_numpy(), matrix)
    with duckdb.connect() as con:
        assert result.to_duckdb(con).aggregate("sum(n_elements)").fetchone() == (3.0,)
    np.testing.assert_array_equal(result.to_numpy(["n_elements"]), [[2], [np.nan], [1]])
    for wrong in (["nix"], ["entity"], "n_elements"):
        with pytest.raises(InputError, match="not a numeric column"):
            result.to_numpy(wrong)
    try:
        import torch
    except ImportError:
        with pytest.raises(InputError, match="pip install torch"):
            result.to_torch()
    else:
        np.testing.assert_array_equal(result.to_torch().numpy(), matrix)
        assert result.to_torch().dtype == torch.float64


@pytest.mark.parametrize("entities", [pa.array(["GaN", None]), pa.chunked_array([["GaN"], [None]])])
def test_arrow_requests(filled, entities):
    with FeatureStore.open(filled.root) as store:
        assert store.features_for(entities, ["stoichiometry"]).table["entity"].to_pylist() == ["GaN", None]


@pytest.mark.parametrize(
    ("entities", "names"),
    [("GaN", ["magpie"]), ([1.5], []), ([object()], ["magpie"]), (["GaN"], ["nix"]), (["GaN"], "magpie")],
)
def test_requests_that_make_no_sense(filled, entities, names):
    with FeatureStore.open(filled.root) as store, pytest.raises(InputError):
        store.features_for(entities, names)


@pytest.mark.parametrize("wrong", [{"features": "magpie"}, {"sources": "lab"}, {"kinds": "experiment"}])
def test_one_text_is_no_list_of_names(filled, wrong):
    with FeatureStore.open(filled.root) as store, pytest.raises(InputError, match="must be a list, not a single text"):
        store.training_set(**{"property": "band_gap", "features": ["magpie"]} | wrong)


def test_two_versions_of_a_set_side_by_side(filled, tmp_path):
    import shutil

    lake = Lake(shutil.copytree(filled.root, tmp_path / "two"))
    materialize(lake, replace(get_feature_set("stoichiometry"), parameters={"new": True}))
    with FeatureStore.open(lake.root) as store:
        both = store.features_for(["GaN"], ["stoichiometry_v1", "stoichiometry"])
        assert both.features == ("stoichiometry_v1", "stoichiometry_v2")
        row = both.table.to_pylist()[0]
        assert row["stoichiometry_v1__n_elements"] == row["stoichiometry_v2__n_elements"] == 2.0
    with pytest.raises(InputError, match="--newest"):
        deprecate(lake, "stoichiometry_v2", "wrong")
    deprecate(lake, "stoichiometry_v2", "wrong", newest=True)
    with FeatureStore.open(lake.root) as store:
        assert store.features_for(["GaN"], ["stoichiometry"]).features == ("stoichiometry_v1",)
        named = store.features_for(["GaN"], ["stoichiometry_v2"])
        assert named.notes == ("stoichiometry_v2 is deprecated: wrong",)
        assert named.table["reason"].null_count == 1
    deprecate(lake, "stoichiometry_v1", "older still", newest=True)
    with FeatureStore.open(lake.root) as store, pytest.raises(InputError, match="all versions"):
        store.features_for(["GaN"], ["stoichiometry"])
    deprecate(lake, "stoichiometry_v2", None)
    with FeatureStore.open(lake.root) as store:
        assert store.features_for(["GaN"], ["stoichiometry"]).features == ("stoichiometry_v2",)


def test_a_later_correction_never_leaks_back(lake):
    _observe(lake, {"GaN": 3.4, "Si": 1.1})
    materialize(lake, get_feature_set("stoichiometry"))
    then, moment = lake.snapshot(), datetime.now(UTC)
    with lake.commit("release") as transaction:
        transaction.con.execute("INSERT INTO releases VALUES ('spring', ?, 'first', now())", [then])
    _observe(lake, {"GaN": 3.2, "InP": 1.3})
    materialize(lake, get_feature_set("stoichiometry"))
    with FeatureStore.open(lake.root) as store:

        def gaps(as_of=None) -> dict[str, float]:
            table = store.training_set(property="band_gap", features=["stoichiometry"], as_of=as_of).table
            return dict(zip(table["material_id"].to_pylist(), table["band_gap"].to_pylist(), strict=True))

        assert gaps() == {"GaN": 3.2, "InP": 1.3}
        for as_of in (then, str(then), "spring", moment, moment.isoformat(), moment.replace(tzinfo=None)):
            assert gaps(as_of) == {"GaN": 3.4, "Si": 1.1}, as_of
    with FeatureStore.open(lake.root, as_of="spring") as store:
        assert store.snapshot == then
        assert store.features_for(["InP"], ["stoichiometry"]).table["reason"].to_pylist() == [
            "the store holds no material InP"
        ]


def test_moments_mean_the_last_snapshot_before(lake):
    _observe(lake, {"GaN": 3.4})
    with lake.reader() as con:
        times = con.execute("SELECT snapshot_id, epoch_us(snapshot_time) FROM lake.snapshots() ORDER BY 1").fetchall()
    assert len(times) > 2
    for snapshot, microseconds in times:
        moment = datetime.fromtimestamp(microseconds / 1e6, UTC)
        assert resolve_as_of(lake, moment) == snapshot
    assert resolve_as_of(lake, datetime.now(UTC) + timedelta(days=1)) == times[-1][0]
    with pytest.raises(InputError, match="begins at"):
        resolve_as_of(lake, datetime(2001, 1, 1, tzinfo=UTC))
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert resolve_as_of(lake, tomorrow) == resolve_as_of(lake, tomorrow.isoformat()) == times[-1][0]
    assert resolve_as_of(lake, np.int64(times[0][0])) == times[0][0]
    for wrong in (-1, times[-1][0] + 1, "autumn", "2026-13-01", date(2001, 1, 1), 1.0, b"1"):
        with pytest.raises(InputError):
            resolve_as_of(lake, wrong)


def test_a_moment_among_expired_states_is_not_guessed(lake):
    for value in (1.0, 2.0, 3.0):
        _observe(lake, {"GaN": value})
    with lake.reader() as con:
        times = con.execute("SELECT snapshot_id, epoch_us(snapshot_time) FROM lake.snapshots() ORDER BY 1").fetchall()
    gone, microseconds = times[-3]
    with lake.commit("make room") as transaction:
        transaction.con.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{gone}])")
    with pytest.raises(InputError, match="expired"):
        resolve_as_of(lake, datetime.fromtimestamp(microseconds / 1e6, UTC))
    with pytest.raises(InputError, match="has expired"):
        resolve_as_of(lake, gone)


def test_labels_without_a_described_material_stay(filled, tmp_path):
    lake = Lake(shutil.copytree(filled.root, tmp_path / "more"))
    _observe(lake, {"InP": 1.3, "GaN": 3.3}, source="other")
    with FeatureStore.open(lake.root) as store:
        both = store.training_set(property="band_gap", features=["magpie"])
        assert both.table.select(["material_id", "source"]).to_pylist() == [
            {"material_id": "Fe2O3", "source": "lab"},
            {"material_id": "GaN", "source": "lab"},
            {"material_id": "GaN", "source": "other"},
            {"material_id": "InP", "source": "other"},
            {"material_id": "Nh2O", "source": "lab"},
            {"material_id": "Si", "source": "lab"},
        ]
        assert [reason for reason in both.table["reason"].to_pylist() if reason] == [
            "magpie_v1 has no row for it yet",
            "magpie_v1: no Magpie data for element Nh",
        ]
        assert len(store.training_set(property="band_gap", features=["magpie"], sources=["other:UV"])) == 2
        for wrong in ({"sources": ["nix"]}, {"kinds": ["guess"]}, {"kinds": ["computation"]}, {"sources": ["lab:XRD"]}):
            with pytest.raises(InputError):
                store.training_set(property="band_gap", features=["magpie"], **wrong)
        with pytest.raises(InputError, match="unknown property"):
            store.training_set(property="bandgap", features=["magpie"])
