"""Bringing sources up to date for a command: Great Expectations and Dagster are imported only as far as needed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from pipelines.ingest.beside import process_beside
from pipelines.ingest.refresh import unchanged
from pipelines.ingest.sources import get_contract, locate_sources
from store.lake import Lake
from store.settings import Settings


def bring_up_to_date(sources: Iterable[str]) -> dict[str, str]:
    """Refresh sources and what follows from their records; what did not change costs next to nothing.

    Returns:
        The sources that failed, and why; the others are up to date.

    Raises:
        InputError: a source is unknown, or files can't be had; one error names them all.
    """
    with ExitStack() as validating:
        validating.enter_context(process_beside())
        contracts = {source: get_contract(source) for source in sources}
        same = unchanged(Lake.of(Settings()), contracts, locate_sources(contracts))
        if len(same) == len(contracts):
            validating.close()  # there is nothing to validate
        from pipelines.definitions import refresh_sources  # deferred: 3 s, Dagster

        return refresh_sources(list(contracts), same)
