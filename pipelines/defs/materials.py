"""The asset of the materials. Not here: their feature sets (`defs.features`)."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_key
from matstrata.store.records.materials import materials_version, update_materials

GROUP = "materials"
MATERIALS = dg.AssetKey("materials")


def materials_asset(sources: Iterable[str]) -> dg.AssetsDefinition:
    """The compositions that any source observes."""

    @dg.asset(
        key=MATERIALS,
        deps=[observations_key(source) for source in sources],
        group_name=GROUP,
        kinds={"ducklake"},
        description="One row per composition, with the group that no split separates.",
        automation_condition=WHEN_CHANGED,
    )
    def materials(store: StoreResource) -> dg.MaterializeResult:
        lake = store.lake()
        done = update_materials(lake)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(materials_version(lake)),
            metadata={
                "dagster/row_count": done.total,
                "added": done.added,
                "removed": done.removed,
                "snapshot": done.snapshot,
            },
        )

    return materials
