"""Which sources there are, and where their files are, as the settings say: contracts, and the files that they name.

Not here: what a contract says (`schemas.contracts`), nor how files are found (`files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from matstrata.pipelines.ingest.fetching.files import locate, locate_all
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.schemas.contracts import Contract, contract_paths, load_contracts, read_contract
from matstrata.schemas.errors import InputError
from matstrata.store.settings import Settings


def contracts_folder(root: Path) -> Path:
    """The folder of a store that holds the contracts added to it."""
    return root / "contracts"


def known_sources() -> list[str]:
    """Their names: the shipped ones, those that were added to the store, those of `MATSTRATA_CONTRACTS`."""
    return list(_paths())


def contracts() -> Mapping[str, Contract]:
    """The contracts of all known sources."""
    return load_contracts(_folders())


def sound_contracts() -> list[Contract]:
    """The contracts of all known sources but those that are not valid."""
    sound = []
    for path in _paths().values():
        with suppress(InputError):
            sound.append(read_contract(path))
    return sound


def get_contract(source: str) -> Contract:
    """The contract of a source, as it stands now; no other is read.

    Raises:
        InputError: there is none, or it is not valid.
    """
    paths = _paths()
    if source not in paths:
        raise InputError(f"unknown source {source!r}; known: {', '.join(paths)}. Add a contract to schemas/sources/")
    return read_contract(paths[source])


def locate_sources(sources: Iterable[str]) -> Mapping[str, tuple[SourceFile, ...]]:
    """The files of several sources, all found or one error for all that are wanted."""
    settings = Settings()
    locations = {source: get_contract(source).files for source in sources}
    return locate_all(locations, cache=settings.cache, mirrors=settings.mirror)


def locate_files(contract: Contract) -> tuple[SourceFile, ...]:
    """The files of a contract that need not be among the known ones."""
    settings = Settings()
    return locate(contract.files, cache=settings.cache, mirrors=settings.mirror)


def _paths() -> Mapping[str, Path]:
    return contract_paths(_folders())


def _folders() -> list[Path]:
    settings = Settings()
    added = contracts_folder(settings.store)
    return [*([added] if added.is_dir() else []), *settings.contracts]
