"""The resource that assets share: the store, the contracts and the files they name, as the settings say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg

from pipelines.ingest.files import locate, locate_all
from pipelines.ingest.onboarding import contracts_folder
from pipelines.ingest.records import SourceFile
from schemas.contracts import Contract, load_contracts
from schemas.errors import InputError
from store.lake import Lake
from store.settings import Settings


def contracts() -> Mapping[str, Contract]:
    """All contracts: the shipped ones, those that were added to the store, those of `MATSTRATA_CONTRACTS`."""
    settings = Settings()
    added = contracts_folder(settings.store)
    return load_contracts([*([added] if added.is_dir() else []), *settings.contracts])


def get_contract(source: str) -> Contract:
    """The contract of a source, as it stands now.

    Raises:
        InputError: there is none.
    """
    known = contracts()
    if source not in known:
        raise InputError(f"unknown source {source!r}; known: {', '.join(known)}. Add a contract to schemas/sources/")
    return known[source]


def locate_sources(sources: Iterable[str]) -> Mapping[str, tuple[SourceFile, ...]]:
    """The files of several sources, all found or one error for all that are wanted."""
    settings = Settings()
    wanted = {source: get_contract(source).files for source in sources}
    return locate_all(wanted, cache=settings.cache, mirrors=settings.mirror)


def locate_files(contract: Contract) -> tuple[SourceFile, ...]:
    """The files of a contract that need not be among the known ones."""
    settings = Settings()
    return locate(contract.files, cache=settings.cache, mirrors=settings.mirror)


class StoreResource(dg.ConfigurableResource):
    """The DuckLake store of the settings, made where it does not exist yet."""

    def lake(self) -> Lake:
        """The store, ready to be read and written."""
        lake = Lake.of(Settings())
        lake.init()
        return lake
