"""Maps, parallel axes and clusters hold the store's materials and no others, and choose informative descriptors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from matstrata.pipelines.reports import chemical_space, embeddings, queries
from matstrata.pipelines.reports.chemical_space import Materials
from matstrata.pipelines.reports.figures import chemical_space as space_figures
from matstrata.schemas.display import formula_for_people
from matstrata.schemas.properties import get_property
from matstrata.store.lake.lake import Lake
from tests.pipelines.reports.conftest import DESCRIPTORS

INDEX = get_property("refractive_index")
GAP = get_property("band_gap")


@pytest.fixture
def drawn(filled: tuple[Lake, int]) -> Materials:
    """What the maps of the plausible store show."""
    with filled[0].reader() as con:
        table = queries.with_descriptors(
            con, "refractive_index", "refractiveindex_info", ["ricci_transport"], ["magpie_v1"],
            measured=600, computed=300,
        )  # fmt: skip
    materials = chemical_space.materials_of(table)
    assert materials is not None
    return materials


def test_maps_hold_every_measured_material_with_its_label(filled: tuple[Lake, int], drawn: Materials) -> None:
    with filled[0].reader() as con:
        labels = dict(
            con.execute("SELECT material_id, value FROM labels WHERE property = 'refractive_index'").fetchall()
        )
    assert dict(zip(drawn.material_ids[drawn.measured], drawn.values[drawn.measured], strict=True)) == labels
    figure = space_figures.material_map(drawn, drawn.points[:, :2], ("a", "b"), prop=INDEX)
    (marks,) = figure.data
    assert len(marks.x) == len(labels)
    np.testing.assert_allclose(marks.marker.color, drawn.values, rtol=1e-6)
    assert list(marks.text) == [formula_for_people(each) for each in drawn.material_ids]
    assert "K2As" in marks.text


def test_a_sample_is_the_same_each_time_and_keeps_its_size(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        first, again = (
            queries.with_descriptors(con, "band_gap", "ricci_transport", ["refractiveindex_info"], ["magpie_v1"],
                              measured=20, computed=10)
            for _ in range(2)
        )  # fmt: skip
    assert first.equals(again)
    assert (first.num_rows, first["value"].null_count) == (30, 10)


def test_axes_are_descriptors_that_correlate_with_the_property_and_not_with_each_other() -> None:
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
    materials = chemical_space.materials_of(table)
    assert materials is not None
    chosen = [materials.descriptors[place] for place in chemical_space.informative_descriptors(materials, 2)]
    assert chosen == ["strong_mean", "weak_mean"]


def test_parallel_axes_draw_each_material_once_by_class(drawn: Materials) -> None:
    figure = space_figures.parallel_axes(drawn, [0, 1, 2], prop=INDEX)
    assert len(figure.data) == 4
    assert sum(len(trace.x) for trace in figure.data) == 5 * len(
        drawn.material_ids
    )  # three axes, the property, the gap
    zeros = Materials(
        drawn.material_ids, np.where(np.arange(len(drawn.material_ids)) < 40, 0.0, drawn.values), drawn.descriptors, drawn.features,
        drawn.points,
    )  # fmt: skip
    names = [trace.name for trace in space_figures.parallel_axes(zeros, [0, 1], prop=GAP).data]
    assert names[0] == "metal (40)"
    equal = Materials(
        drawn.material_ids, np.ones(len(drawn.material_ids)), drawn.descriptors, drawn.features, drawn.points
    )
    assert len(space_figures.parallel_axes(equal, [0], prop=INDEX).data) == 1


def test_the_heat_map_has_the_rows_of_its_materials(drawn: Materials) -> None:
    few = chemical_space.some_measured(drawn, 12)
    columns = list(range(len(DESCRIPTORS)))
    row_tree, column_tree = embeddings.cluster(few.points), embeddings.cluster(few.points.T)
    figure = space_figures.cluster_heat_map(few, columns, row_tree, column_tree, prop=INDEX)
    heat = figure.data[0]
    np.testing.assert_allclose(heat.z, few.points[row_tree.order][:, column_tree.order], rtol=1e-5)
    assert list(figure.layout.yaxis.ticktext) == [formula_for_people(few.material_ids[row]) for row in row_tree.order]
    assert few.values.min() == drawn.values.min()
    assert few.values.max() == drawn.values.max()
