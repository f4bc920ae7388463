"""The inbox: a folder into which people drop data with a contract, and from which both are ingested.

A contract `NAME.yaml` and the file it names lie side by side. After ingestion the contract moves to `done/`, or to
`refused/` beside a text that says why; data files stay, as the contract names them.
Not here: when to look (`pipelines.defs.inbox`), and ingestion itself (`onboarding`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.ingest.onboarding import add_source
from pipelines.ingest.refresh import Ingested
from schemas.errors import InputError, WorkError
from store.lake import Lake

log = logging.getLogger("matstrata.ingest")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of a dropped contract: ingested, or refused with a reason."""

    contract: Path
    ingested: Ingested | None
    reason: str = ""


def waiting_contracts(inbox: Path) -> list[Path]:
    """The contracts that lie in the inbox, the oldest first."""
    found = [path for path in inbox.glob("*.y*ml") if path.is_file()] if inbox.is_dir() else []
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def take_in(lake: Lake, contract: Path, *, cache: Path, mirrors: Sequence[Path]) -> Dropped:
    """Ingest one dropped contract and file it away; a refusal is written beside it and raises nothing."""
    if not contract.is_file():
        return Dropped(contract, None, f"{contract} is not there any more: it was taken in already, or removed")
    try:
        done = add_source(lake, contract, cache=cache, mirrors=mirrors)
    except (InputError, WorkError) as error:
        place = _move(contract, "refused")
        place.with_suffix(".txt").write_text(f"{error}\n", encoding="utf-8")
        log.warning("%s is refused: %s", contract.name, error)
        return Dropped(place, None, str(error))
    refused = contract.parent / "refused" / contract.name
    for path in (refused, refused.with_suffix(".txt")):  # of an earlier version, that was mended
        path.unlink(missing_ok=True)
    return Dropped(_move(contract, "done"), done)


def _move(contract: Path, folder: str) -> Path:
    place = contract.parent / folder / contract.name
    place.parent.mkdir(exist_ok=True)
    return contract.replace(place)
