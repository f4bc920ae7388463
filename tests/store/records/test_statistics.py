"""Statistics: what is counted is what is there, and drift is seen where the distribution moved and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.schemas.tables import Column
from matstrata.store.features.sets import FeatureSet, materialize
from matstrata.store.records.materials import update_materials
from matstrata.store.records.statistics import distance, drift, last_release, statistics, summarize

UV = {"method": "UV"}


def gaps(values) -> list:
    return [(f"r{i}", f"GaN{i + 2}", float(value), UV) for i, value in enumerate(values)]


def release(lake, name: str) -> None:
    snapshot = lake.snapshot()
    with lake.commit("release") as transaction:
        transaction.con.execute("INSERT INTO releases VALUES (?, ?, '', now())", [name, snapshot])


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=300))
def test_the_numbers_are_those_of_numpy(values):
    array = np.array(values, dtype=float)
    (row,) = summarize("s", [("x", array)]).to_pylist()
    finite = array[~np.isnan(array)]
    assert (row["rows"], row["missing"]) == (len(values), len(values) - len(finite))
    if not len(finite):
        assert row["quantiles"] is row["lowest"] is None
        return
    assert (row["lowest"], row["highest"]) == (finite.min(), finite.max())
    assert sum(row["histogram"]) == len(finite)
    assert len(row["histogram"]) == 20
    assert row["quantiles"] == sorted(row["quantiles"])
    assert set(row["quantiles"]) <= set(finite.tolist())


@pytest.mark.parametrize("shift", [0, 0.05, 0.3, 1, 10])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(shift):
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=5000), rng.normal(size=4000) + shift
    rows = summarize("s", [("a", one), ("b", other)]).to_pylist()
    between = distance(rows[0]["quantiles"], rows[1]["quantiles"])
    assert between == pytest.approx(ks_2samp(one, other).statistic, abs=0.02)
    assert distance(rows[0]["quantiles"], rows[0]["quantiles"]) == 0


def test_a_source_that_moved_is_seen_and_its_features_too(lake, put):
    values = np.linspace(0, 3, 200)
    put("lab", gaps(values))
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    assert drift(lake, "lab") == []
    with lake.reader() as con:
        assert last_release(con) is None
    release(lake, "spring")
    (row,) = statistics(lake, "lab")
    assert (row["column"], row["rows"], row["highest"]) == ("band_gap, experiment, UV", 200, 3.0)
    before = drift(lake)
    assert {each.subject for each in before} == {"lab", "stoichiometry_v1"}
    assert not any(each.drifted for each in before)

    put("lab", gaps(values * 1.02))
    assert [each.drifted for each in drift(lake, "lab")] == [False], "a small change is none"
    put("lab", gaps(values + 1.0))
    (moved,) = drift(lake, "lab")
    assert moved.drifted
    assert moved.distance == pytest.approx(1 / 3, abs=0.02)
    assert [row["lowest"] for row in statistics(lake, "lab", "spring")] == [0.0], "what was known then stays"

    put("lab", [(f"n{i}", f"Al{i + 1}Mg2N5O7", 1.0, UV) for i in range(400)])
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    worst = drift(lake, "stoichiometry_v1")[0]
    assert worst.drifted
    release(lake, "autumn")
    after = drift(lake)
    assert {each.subject for each in after} == {each.subject for each in before}
    assert not any(each.drifted for each in after), "the last release is the reference"
    assert any(each.drifted for each in drift(lake, since="spring"))


def test_a_new_version_is_compared_with_the_newest_of_the_release(lake, put):
    def shifted(by: float) -> FeatureSet:
        def compute(elements, fractions):
            return np.array([[max(each) + by] for each in fractions.to_pylist()]), [None] * len(elements)

        columns = (Column("largest", "double", "largest fraction", "1"),)
        return FeatureSet("sizes", "one number", columns, compute, parameters={"by": by})

    put("lab", gaps(range(20)))
    put("lab_v2", gaps(range(20)))
    update_materials(lake)
    for by in (0, 7):
        materialize(lake, shifted(by))
    release(lake, "spring")
    materialize(lake, shifted(8))
    put("lab_v3", gaps(range(100, 120)))
    drifts = {each.subject: (each.reference, each.drifted) for each in drift(lake)}
    assert drifts == {
        "lab": ("lab", False),
        "lab_v2": ("lab_v2", False),
        "sizes_v1": ("sizes_v1", False),
        "sizes_v2": ("sizes_v2", False),
        "sizes_v3": ("sizes_v2", True),
    }
    assert [each.reference for each in drift(lake, "sizes_v3")] == ["sizes_v2"]


def test_lost_statistics_are_made_again(lake, put):
    put("lab", gaps([1, 2, 3]))
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    with lake.commit("a crash between two commits") as transaction:
        transaction.con.execute("DELETE FROM statistics WHERE subject = 'stoichiometry_v1'")
    materialize(lake, get_feature_set("stoichiometry"))
    assert {row["rows"] for row in statistics(lake, "stoichiometry_v1")} == {3}
    before = lake.snapshot()
    materialize(lake, get_feature_set("stoichiometry"))
    assert lake.snapshot() == before
