"""Bringing in a source by its contract: ingested, and the contract kept with the store.

Not here: writing a contract (`draft`), and trying it (`dry_run`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from matstrata.pipelines.ingest.documented import refresh_documented
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.refresh import Ingested
from matstrata.pipelines.ingest.sources import contracts_folder
from matstrata.pipelines.ingest.structure_groups import update_groups
from matstrata.pipelines.ingest.validating.data_docs import forget_pages
from matstrata.schemas.contracts import SHIPPED, Contract, load_contract
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.lake import Lake
from matstrata.store.records.materials import update_materials
from matstrata.store.records.sources import remove


def add_source(
    lake: Lake, path: Path, *, cache: Path, mirrors: Sequence[Path], accept_change: bool = False
) -> Ingested:
    """Ingest the source of a contract, then keep the contract with the store; the same again changes nothing.

    Args:
        lake: the store, made where there is none.
        path: the contract.
        cache: the download cache.
        mirrors: folders of pinned files.
        accept_change: take data that differ much from the last refresh.

    Raises:
        InputError: the contract is wrong, its file is not at hand, or it has the name of a shipped source.
        WorkError: the data are refused as a whole, or the disk refuses.
    """
    contract = load_contract(path)
    if (SHIPPED / f"{contract.source}.yaml").exists() and path.resolve().parent != SHIPPED:
        raise InputError(f"{contract.source} is the name of a source that comes with Matstrata; choose another")
    files = locate(contract.files, cache=cache, mirrors=mirrors)
    lake.init()
    done = refresh_documented(lake, contract, files, accept_change=accept_change)
    _keep(contract, lake.root)
    update_groups(lake)
    update_materials(lake)
    return done


def remove_source(lake: Lake, source: str) -> int:
    """Take a source out of the store, with its contract where that was added; earlier snapshots still hold it.

    Returns the number of observations that went.

    Raises:
        InputError: the store holds no such source.
        WorkError: the disk refuses.
    """
    removed = remove(lake, source)
    update_materials(lake)
    forget_pages(lake, source)
    contract = contracts_folder(lake.root) / f"{source}.yaml"
    try:
        contract.unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"the contract {contract} can't be removed: {error}") from error
    return removed


def _keep(contract: Contract, root: Path) -> None:
    if (SHIPPED / f"{contract.source}.yaml").exists():
        return
    text = yaml.safe_dump(contract.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    place = contracts_folder(root) / f"{contract.source}.yaml"
    try:
        write_atomically(place, text)
    except OSError as error:
        raise WorkError(f"the contract can't be kept in {place}: {error}") from error
