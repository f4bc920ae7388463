"""The asset of the crystal structures, grouped across sources. Not here: comparing them (`pipelines.entities`)."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.materials import GROUP
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_key
from matstrata.pipelines.ingest.structure_groups import update_groups
from matstrata.schemas.contracts import Contract
from matstrata.store.records.structures import structures_summary

STRUCTURES = dg.AssetKey("structures")


def structures_asset(contracts: Iterable[Contract]) -> dg.AssetsDefinition:
    """The structures of all sources that report any, each with the group of those equal to it."""

    @dg.asset(
        key=STRUCTURES,
        deps=[observations_key(contract.source) for contract in contracts if contract.columns.structure is not None],
        group_name=GROUP,
        kinds={"ducklake"},
        description="One row per structure; equal structures share a group, also across sources; polymorphs do not.",
        automation_condition=WHEN_CHANGED,
    )
    def structures(store: StoreResource) -> dg.MaterializeResult:
        lake = store.lake()
        compared = update_groups(lake)
        rows, groups, version = structures_summary(lake)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={"dagster/row_count": rows, "groups of equal structures": groups, "compared": compared},
        )

    return structures
