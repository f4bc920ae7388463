"""Assets of the materials and of their feature sets."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.drift import drift_result, drift_spec
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_key
from matstrata.store.features.sets import FeatureSet, materialize
from matstrata.store.records.materials import materials_version, update_materials

GROUP = "materials"
MATERIALS = dg.AssetKey("materials")


def features_key(name: str) -> dg.AssetKey:
    """The key of a feature set."""
    return dg.AssetKey(["features", name])


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


def features_asset(feature_set: FeatureSet) -> dg.AssetsDefinition:
    """A feature set of all materials: computed where it is missing."""

    @dg.asset(
        key=features_key(feature_set.name),
        deps=[MATERIALS],
        group_name=GROUP,
        kinds={"ducklake"},
        description=feature_set.description,
        code_version=feature_set.signature()[:12],
        automation_condition=WHEN_CHANGED,
        check_specs=[drift_spec(features_key(feature_set.name))],
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(column.name, "DOUBLE", description=column.comment) for column in feature_set.columns]
            )
        },
    )
    def features(store: StoreResource) -> dg.MaterializeResult:
        lake = store.lake()
        done = materialize(lake, feature_set)
        with lake.reader() as con:
            drifted = drift_result(con, done.label)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(f"{feature_set.signature()[:12]}-{materials_version(lake)[:12]}"),
            metadata={
                "dagster/row_count": done.rows,
                "version": done.version,
                "computed": done.computed,
                "failed": done.failed,
                "snapshot": done.snapshot,
            },
            check_results=[drifted],
        )

    return features
