"""The file of an OPTIMADE fetch while it grows, from which a fetch that broke off goes on.

Not here: asking the provider (`pipelines.ingest.fetching.optimade`).
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from matstrata.pipelines.ingest.fetching.optimade_pages import OptimadeQuery, Page, identifier_of
from matstrata.schemas.errors import InputError
from matstrata.store.lake.atomic import write_atomically

log = logging.getLogger("matstrata.ingest")

_STALE_SECONDS = 7 * 24 * 3600  # links of providers expire, and two halves of one file should not be a month apart


@dataclass(slots=True)
class State:
    """How far a fetch has come, as the state file says it after each page."""

    next_link: str | None = None
    size: int = 0
    pages: int = 0
    written: int = 0
    duplicates: int = 0
    matching: int | None = None


class Draft:
    """The file while it grows. Lines are on disk before the state that counts them, and what it does not count is cut.

    So whenever a process dies, the next one finds whole pages and the link of the page behind them.
    """

    def __init__(self, folder: Path, query: OptimadeQuery) -> None:
        self.query = query
        self.final = folder / f"{query.sha256}.jsonl"
        self.partial = self.final.with_suffix(".partial.jsonl")
        self._saved = self.final.with_suffix(".state.json")
        self.state = State()
        self._ids: set[str] = set()
        if self._saved.exists():
            self._resume()

    @property
    def complete(self) -> bool:
        """Whether the last page is in it."""
        return self.state.pages > 0 and self.state.next_link is None

    @property
    def counted(self) -> str:
        """How much there is: "1,200 of 5,310 structures"."""
        matching, most = self.state.matching, self.query.max_results
        total = matching if most is None or matching is None else min(matching, most)
        return f"{self.state.written:,}{f' of {total:,}' if total else ''} structures"

    def _resume(self) -> None:
        try:
            age = time.time() - self._saved.stat().st_mtime
            state = State(**json.loads(self._saved.read_text(encoding="utf-8")))
            sound = age < _STALE_SECONDS and self.partial.stat().st_size >= state.size
        except (OSError, ValueError, TypeError):
            sound = False
        if not sound:
            log.info("%s: what an earlier fetch left is too old or damaged, beginning again", self.query.provider)
            self.clear()
            return
        os.truncate(self.partial, state.size)
        with self.partial.open(encoding="utf-8") as lines:
            self._ids = {key for key in map(identifier_of, map(json.loads, lines)) if key is not None}
        self.state = state
        log.info("%s: going on after page %s, with %s", self.query.provider, f"{state.pages:,}", self.counted)

    def clear(self) -> None:
        """Forget everything."""
        self._saved.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)
        self.state = State()
        self._ids = set()

    def add(self, page: Page) -> None:
        """Append a page's resources, each id once, and save how far that is."""
        state = self.state
        most = self.query.max_results
        lines: list[str] = []
        for resource in page.resources:
            if most is not None and state.written == most:
                break
            key = identifier_of(resource)
            if key in self._ids:
                state.duplicates += 1
                continue
            if key is not None:
                self._ids.add(key)
            lines.append(json.dumps(resource) + "\n")
            state.written += 1
        with self.partial.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
            state.size = file.tell()
        state.pages += 1
        state.matching = page.matching if page.matching is not None else state.matching
        state.next_link = None if state.written == most else page.next_link
        write_atomically(self._saved, json.dumps(asdict(state)))

    def finish(self) -> Path:
        """Give the complete file its final name.

        Raises:
            InputError: it is empty.
        """
        provider, state, most = self.query.provider, self.state, self.query.max_results
        if not state.written:
            self.clear()
            raise InputError(f"{provider} has no structures that match {self.query.filter!r}; widen the filter")
        if state.matching is not None and state.written + state.duplicates < min(
            state.matching, most or state.matching
        ):
            log.warning("%s: the last page came after %s", provider, self.counted)
        self.partial.replace(self.final)
        self._saved.unlink()
        note = f"; {state.duplicates:,} came twice and were left out" if state.duplicates else ""
        log.info("%s: complete, %s structures%s", provider, f"{state.written:,}", note)
        return self.final
