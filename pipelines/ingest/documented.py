"""Refreshing a source and drawing the page of its validation: what assets and commands do.

Not here: the refresh (`refresh`), and how a page is drawn (`validating.data_docs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.refresh import AllRefusedError, Ingested, refresh_source, unchanged
from matstrata.pipelines.ingest.validating.data_docs import forget_refusal, refused_page, write_page
from matstrata.pipelines.ingest.validating.validation import RefusedError
from matstrata.schemas.contracts import Contract
from matstrata.store.lake.lake import Lake


def refresh_documented(
    lake: Lake, contract: Contract, files: Sequence[SourceFile], *, accept_change: bool = False
) -> Ingested:
    """Refresh a source, and draw the page of what validation found, also where that refused the source.

    Args:
        lake: the store.
        contract: the source.
        files: its files.
        accept_change: take data that differ much from the last refresh.

    Raises:
        ReadError, WorkError: as `refresh_source`.
    """
    try:
        ingested = refresh_source(lake, contract, files, accept_change=accept_change)
    except (RefusedError, AllRefusedError) as refused:
        write_page(lake, contract, files, refused.validation, datetime.now(UTC), refusal=str(refused))
        raise
    if ingested.validation is None:
        forget_refusal(lake, contract.source)
    else:
        write_page(lake, contract, files, ingested.validation, ingested.refreshed_at)
    return ingested


def settled(lake: Lake, contracts: Mapping[str, Contract], files: Mapping[str, Sequence[SourceFile]]) -> list[str]:
    """Of these sources those that a refresh would leave as they are, without a page of a refusal to remove.

    Args:
        lake: the store; there may be none yet.
        contracts: by source.
        files: of each of these sources.
    """
    return [source for source in unchanged(lake, contracts, files) if not refused_page(lake, source).exists()]
