"""Bringing sources up to date for a command: Great Expectations and Dagster are imported only as far as needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from matstrata.pipelines.ingest.fetching.files import UnlocatedError
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.refresh import unchanged
from matstrata.pipelines.ingest.sources import get_contract, known_sources, locate_sources
from matstrata.pipelines.ingest.validating.second_process import process_beside
from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings


def bring_up_to_date(sources: Iterable[str]) -> dict[str, str]:
    """Refresh sources and what follows from their records; what did not change costs next to nothing.

    Returns:
        The sources that failed, and why; the others are up to date.

    Raises:
        InputError: a source is unknown; or all fail for their contracts or for files that can't be had.
    """
    with ExitStack() as validating:
        validating.enter_context(process_beside())
        contracts, failed = _read(dict.fromkeys(sources))
        files = _locate(contracts, failed)
        contracts = {source: contracts[source] for source in files}
        same = unchanged(Lake.of(Settings()), contracts, files)
        if len(same) == len(contracts):
            validating.close()  # there is nothing to validate
        from matstrata.pipelines.definitions import refresh_sources  # deferred: 3 s, Dagster

        return failed | refresh_sources(list(contracts), same)


def _read(sources: Iterable[str]) -> tuple[dict[str, Contract], dict[str, str]]:
    """The contracts of sources, and those that are not valid, with what is wrong."""
    contracts: dict[str, Contract] = {}
    failed: dict[str, str] = {}
    for source in sources:
        try:
            contracts[source] = get_contract(source)
        except InputError as error:
            if source not in known_sources():
                raise
            failed[source] = str(error)
    if failed and not contracts:
        raise InputError("; ".join(failed.values()))
    return contracts, failed


def _locate(contracts: Mapping[str, Contract], failed: dict[str, str]) -> Mapping[str, tuple[SourceFile, ...]]:
    """The files of all sources that have theirs; the others are added to `failed`, with the reason."""
    while True:
        wanted = [source for source in contracts if source not in failed]
        try:
            return locate_sources(wanted)
        except UnlocatedError as error:
            failed |= error.reasons
            if not contracts.keys() - failed.keys():
                raise
