"""What all assets and jobs share: the store of the settings, and how a run executes its steps."""

from __future__ import annotations

import dagster as dg

from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings

EXECUTOR = dg.in_process_executor
"""One process per run: the assets write to one store in turn, and each new process would import for 6 s."""


class StoreResource(dg.ConfigurableResource):
    """The DuckLake store of the settings, made where it does not exist yet."""

    def lake(self) -> Lake:
        """The store, ready to be read and written."""
        lake = Lake.of(Settings())
        lake.init()
        return lake


def resources() -> dict[str, StoreResource]:
    """The resources of all assets and jobs, by the names that they ask for."""
    return {"store": StoreResource()}
