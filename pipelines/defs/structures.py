"""The asset of the crystal structures: equal ones found across sources."""

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
    """The structures that those of the sources give which have any, with the group of equal ones."""

    @dg.asset(
        key=STRUCTURES,
        deps=[observations_key(contract.source) for contract in contracts if contract.columns.structure is not None],
        group_name=GROUP,
        kinds={"ducklake"},
        description="One row per structure; equal ones, in whichever source, share a group, polymorphs don't.",
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
