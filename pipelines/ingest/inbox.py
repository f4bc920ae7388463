"""The inbox: a folder into which people drop data with a contract, and from which both are ingested.

A contract `NAME.yaml` and the file it names are put there together. After ingestion the contract moves to `done/`, or
to `refused/` with a text that says why; data files stay, as the contract names them. For a data file without a contract
one is drafted in `drafts/`, to be completed and moved up into the inbox.
Not here: when to look (`pipelines.defs.inbox`), and ingestion itself (`onboarding`).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matstrata.pipelines.ingest.drafting.draft import draft
from matstrata.pipelines.ingest.onboarding import add_source
from matstrata.pipelines.ingest.refresh import Ingested
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.lake import Lake

log = logging.getLogger("matstrata.ingest")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of a dropped contract: ingested, or refused with a reason."""

    contract: Path
    ingested: Ingested | None
    reason: str = ""


def waiting_contracts(inbox: Path, *, settled_seconds: float = 3) -> list[Path]:
    """The contracts in the inbox, the oldest first; those that are still being written, or whose data are, wait."""
    if not inbox.is_dir():
        return []
    files = [path for path in inbox.iterdir() if path.is_file()]
    growing = [path for path in files if time.time() - path.stat().st_mtime < settled_seconds]

    def settled(contract: Path) -> bool:
        text = contract.read_text(encoding="utf-8", errors="replace")
        return not any(path == contract or _is_named(path.name, text) for path in growing)

    contracts = [path for path in files if path.suffix in {".yaml", ".yml"} and settled(path)]
    return sorted(contracts, key=lambda path: (path.stat().st_mtime_ns, path.name))


def undescribed_files(inbox: Path, *, settled_seconds: float = 10) -> list[Path]:
    """The data files in the inbox that no contract or draft names yet, and that are not still being written."""
    if not inbox.is_dir():
        return []
    written = [inbox, *(inbox / folder for folder in ("done", "refused", "drafts"))]
    texts = [path.read_text(encoding="utf-8", errors="replace") for place in written for path in place.glob("*.y*ml")]
    texts += [path.stem for path in (inbox / "drafts").glob("*.txt")]
    return [
        path
        for path in sorted(inbox.iterdir())
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix not in {".yaml", ".yml", ".md", ".partial"}
        and time.time() - path.stat().st_mtime >= settled_seconds
        and not any(_is_named(path.name, text) for text in texts)
    ]


def _is_named(name: str, text: str) -> bool:
    """Whether a text names a file; `our_gaps.csv` does not name `gaps.csv`."""
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) is not None


def draft_contract(file: Path) -> Path:
    """Draft the contract of a dropped file into `drafts/`; where that fails, a text there says why.

    Returns the draft, or the text.
    """
    folder = file.parent / "drafts"
    folder.mkdir(exist_ok=True)
    try:
        drafted = draft(file)
        if (folder / f"{drafted.source}.yaml").exists():  # of gaps.csv, and this is gaps.xlsx
            drafted = draft(file, f"{drafted.source}_{file.suffix[1:].lower()}")
    except InputError as error:
        place = folder / f"{file.name}.txt"
        write_atomically(place, f"{error}\n")
        log.warning("%s can't be drafted: %s", file.name, error)
        return place
    place = folder / f"{drafted.source}.yaml"
    write_atomically(place, drafted.as_yaml())
    log.info("%s: complete its draft %s and move it to %s", file.name, place, file.parent)
    return place


def take_in(lake: Lake, contract: Path, *, cache: Path, mirrors: Sequence[Path]) -> Dropped:
    """Ingest one dropped contract and file it away; a refusal is written to a text next to it and raises nothing.

    In an inbox that can't be written the contract stays where it is, and the reason is in the log alone.
    """
    if not contract.is_file():
        return Dropped(contract, None, f"{contract} is not there any more: it was taken in already, or removed")
    try:
        done = add_source(lake, contract, cache=cache, mirrors=mirrors)
    except (InputError, WorkError) as error:
        log.warning("%s is refused: %s", contract.name, error)
        return Dropped(_file_away(contract, "refused", str(error)), None, str(error))
    return Dropped(_file_away(contract, "done"), done)


def _file_away(contract: Path, folder: str, reason: str = "") -> Path:
    """Move a contract into a folder of the inbox, with the reason of a refusal; the new path."""
    place, refused = contract.parent / folder / contract.name, contract.parent / "refused" / contract.name
    try:
        for path in (refused, refused.with_suffix(".txt")):  # of an earlier version
            path.unlink(missing_ok=True)
        place.parent.mkdir(exist_ok=True)
        contract.replace(place)
        if reason:
            write_atomically(place.with_suffix(".txt"), f"{reason}\n")
    except OSError as error:
        log.warning("%s can't be moved to %s (%s); make the inbox writable", contract, folder, error.strerror)
        return contract
    return place
