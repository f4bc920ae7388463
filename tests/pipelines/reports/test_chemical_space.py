"""Views of the data hold the store's materials, no others, and choose descriptors that tell."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.reports import chemical_space, embeddings, queries
from matstrata.pipelines.reports.figures import chemical_space as space_figures
from matstrata.schemas.properties import get_property
from matstrata.store.lake.lake import Lake
from tests.pipelines.reports.conftest import DESCRIPTORS

INDEX = get_property("refractive_index")
GAP = get_property("band_gap")


@pytest.fixture
def drawn(filled: tuple[Lake, int]) -> chemical_space.Materials:
    """What the maps of the plausible store show."""
    with filled[0].reader() as con:
        table = queries.described(
            con, "refractive_index", "refractiveindex_info", ["ricci_transport"], ["magpie_v1"],
            measured=600, computed=300,
        )  # fmt: skip
    found = chemical_space.materials_of(table)
    assert found is not None
    return found


def test_maps_hold_every_measured_material_with_its_label(
    filled: tuple[Lake, int], drawn: chemical_space.Materials
) -> None:
    with filled[0].reader() as con:
        labels = dict(
            con.execute("SELECT material_id, value FROM labels WHERE property = 'refractive_index'").fetchall()
        )
    assert dict(zip(drawn.names[drawn.measured], drawn.values[drawn.measured], strict=True)) == labels
    figure = space_figures.material_map(drawn, drawn.points[:, :2], ("a", "b"), prop=INDEX)
    (marks,) = figure.data
    assert len(marks.x) == len(labels)
    np.testing.assert_allclose(marks.marker.color, drawn.values, rtol=1e-6)


def test_a_sample_is_the_same_each_time_and_keeps_its_size(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        first, again = (
            queries.described(con, "band_gap", "ricci_transport", ["refractiveindex_info"], ["magpie_v1"],
                              measured=20, computed=10)
            for _ in range(2)
        )  # fmt: skip
    assert first.equals(again)
    assert (first.num_rows, first["value"].null_count) == (30, 10)


def test_axes_are_descriptors_that_go_with_the_property_and_not_with_each_other() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=200)
    columns = {
        "noise_mean": rng.normal(size=200),
        "twin_mean": value + 0.1 * rng.normal(size=200),
        "strong_mean": value**3,
        "weak_mean": value + 2 * rng.normal(size=200),
        "strong_max": value,
    }
    table = pa.table({"material_id": [f"M{i}" for i in range(200)], "value": value, **columns})
    found = chemical_space.materials_of(table)
    assert found is not None
    chosen = [found.descriptors[place] for place in chemical_space.telling_descriptors(found, 2)]
    assert chosen == ["strong_mean", "weak_mean"]


def test_parallel_axes_draw_each_material_once_by_class(drawn: chemical_space.Materials) -> None:
    figure = space_figures.parallel_axes(drawn, [0, 1, 2], prop=INDEX)
    assert len(figure.data) == 4
    assert sum(len(trace.x) for trace in figure.data) == 5 * len(drawn.names)  # three axes, the property, the gap
    zeros = chemical_space.Materials(
        drawn.names, np.where(np.arange(len(drawn.names)) < 40, 0.0, drawn.values), drawn.descriptors, drawn.features,
        drawn.points,
    )  # fmt: skip
    names = [trace.name for trace in space_figures.parallel_axes(zeros, [0, 1], prop=GAP).data]
    assert names[0] == "metal (40)"
    equal = chemical_space.Materials(
        drawn.names, np.ones(len(drawn.names)), drawn.descriptors, drawn.features, drawn.points
    )
    assert len(space_figures.parallel_axes(equal, [0], prop=INDEX).data) == 1


def test_the_heat_map_has_the_rows_of_its_materials(drawn: chemical_space.Materials) -> None:
    few = chemical_space.some_measured(drawn, 12)
    columns = list(range(len(DESCRIPTORS)))
    rows_tree, columns_tree = embeddings.cluster(few.points), embeddings.cluster(few.points.T)
    figure = space_figures.cluster_heat_map(few, columns, rows_tree, columns_tree, prop=INDEX)
    heat = figure.data[0]
    np.testing.assert_allclose(heat.z, few.points[rows_tree.order][:, columns_tree.order], rtol=1e-5)
    assert list(figure.layout.yaxis.ticktext) == few.names[rows_tree.order].tolist()
    assert few.values.min() == drawn.values.min()
    assert few.values.max() == drawn.values.max()


def test_overlap_and_element_counts_are_those_of_sql(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        overlap = queries.source_overlap(con, ["refractiveindex_info", "ricci_transport"])
        both = con.execute(
            "SELECT count(*) FROM (SELECT material_id FROM observations WHERE source = 'refractiveindex_info' "
            "INTERSECT SELECT material_id FROM observations WHERE source = 'ricci_transport')"
        ).fetchall()[0][0]
    shared = {tuple(row["sources"]): row["materials"] for row in overlap.to_pylist()}
    assert shared["refractiveindex_info", "ricci_transport"] == both
