"""Assets of the feature sets: each depends on the table of what it describes.

Not here: which feature sets there are (`pipelines.descriptors.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.drift import drift_result, drift_spec
from matstrata.pipelines.defs.materials import GROUP, MATERIALS
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.structures import STRUCTURES
from matstrata.store.features.sets import FeatureSet, materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.records.materials import materials_version
from matstrata.store.records.structures import structures_summary

_DESCRIBED: Mapping[str, tuple[dg.AssetKey, Callable[[Lake], str]]] = {
    "material": (MATERIALS, materials_version),
    "structure": (STRUCTURES, lambda lake: structures_summary(lake)[2]),
}
"""By entity: the asset of what is described, and the version of its content."""


def features_key(name: str) -> dg.AssetKey:
    """The key of a feature set."""
    return dg.AssetKey(["features", name])


def features_asset(feature_set: FeatureSet) -> dg.AssetsDefinition:
    """A feature set, computed for the materials or structures that lack it."""
    described, get_version = _DESCRIBED[feature_set.entity]

    @dg.asset(
        key=features_key(feature_set.name),
        deps=[described],
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
            data_version=dg.DataVersion(f"{feature_set.signature()[:12]}-{get_version(lake)[:12]}"),
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
