"""The resource that assets share: the store of the settings."""

from __future__ import annotations

import dagster as dg

from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings


class StoreResource(dg.ConfigurableResource):
    """The DuckLake store of the settings, made where it does not exist yet."""

    def lake(self) -> Lake:
        """The store, ready to be read and written."""
        lake = Lake.of(Settings())
        lake.init()
        return lake
