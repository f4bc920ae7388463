"""Structures from any OPTIMADE provider, page by page, into one file of JSON lines; a fetch that broke off resumes.

`optimade.client.OptimadeClient` (1.5.0) does not do it: it keeps everything in memory until the last page, can't go on
where it stopped by itself, waits a second on 429 whatever Retry-After says, and gives up at the first 503 or cut
connection.
Not here: the query and the pages (`optimade_pages`), the growing file (`optimade_draft`), and what a structure says
(`pipelines.ingest.readers.optimade`).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from matstrata.pipelines.ingest.fetching.optimade_draft import Draft
from matstrata.pipelines.ingest.fetching.optimade_pages import (
    LONGEST_WAIT,
    OptimadeQuery,
    Page,
    error_words,
    parse_page,
)
from matstrata.schemas.errors import InputError, WorkError

if TYPE_CHECKING:
    import requests

log = logging.getLogger("matstrata.ingest")

TRIES = 6
CONNECT_SECONDS, SILENCE_SECONDS = 10, 60
_FIRST_WAIT = 1.0  # seconds
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})
_BARREN_PAGES = 5  # in a row, with nothing new: the provider names ever new links to what it gave before
_NO_SORTING = frozenset({400, 501})
_random = random.SystemRandom()


def fetch(query: OptimadeQuery, folder: Path, *, sleep: Callable[[float], object] = time.sleep) -> Path:
    """Fetch all structures that match, each as one JSON line, ordered by id where the provider can order.

    While it runs, the lines are in `<sha256 of the query>.partial.jsonl`, with a state file that holds the link of the
    next page. A fetch of the same query that finds these goes on with that page. Only a complete file gets its final
    name; it replaces that of an earlier fetch in one step.

    Args:
        query: what to fetch.
        folder: where the file goes; made if need be.
        sleep: what waits.

    Returns:
        `<sha256 of the query>.jsonl`.

    Raises:
        InputError: the provider refused the query, or has nothing that matches it; its words are in the message.
        WorkError: the provider stayed silent or faulty, the folder can't be written, or another process fetches the
            same; what came is kept.
    """
    import requests  # deferred: 0.2 s

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{query.sha256}.lock", timeout=0), requests.Session() as session:
            session.headers["User-Agent"] = f"matstrata/{version('matstrata')}"
            draft = Draft(folder, query)
            _collect(_Server(session, query, draft, sleep), query, draft)
            return draft.finish()
    except Timeout as error:
        raise WorkError(f"another process fetches the same from {query.provider} into {folder}; let it end") from error
    except OSError as error:
        raise WorkError(
            f"{query.provider}: folder {folder} can't be written ({error.strerror or error}); make room, or choose "
            "another folder; the same command then goes on where this one stopped"
        ) from error


class _RefusedError(InputError):
    """The provider answered that it will not give this page, now or later."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Server:
    """The provider, asked patiently."""

    def __init__(
        self, session: requests.Session, query: OptimadeQuery, draft: Draft, sleep: Callable[[float], object]
    ) -> None:
        self._session, self._draft, self._provider, self.sleep = session, draft, query.provider, sleep

    def page(self, link: str) -> Page:
        """One page; what is likely to pass is tried again.

        Raises:
            _RefusedError: the provider does not give this page.
            WorkError: it did not answer properly within `TRIES` tries.
        """
        for trial in range(1, TRIES + 1):
            trouble, wait = "", 0.0
            with self._reading() as problems:
                response = self._session.get(link, timeout=(CONNECT_SECONDS, SILENCE_SECONDS))
                if response.ok:
                    return parse_page(response.json(), response.url)
                trouble, wait = f"HTTP {response.status_code}{error_words(response)}", _retry_after(response)
                if response.status_code not in _TRANSIENT:
                    raise _RefusedError(f"{self._provider} refused the query with {trouble}", response.status_code)
            trouble = trouble or problems[0]
            if wait > LONGEST_WAIT:
                raise self._given_up(f"it asks to come back in {wait / 60:,.0f} minutes ({trouble})")
            if trial < TRIES:
                wait = wait or min(_FIRST_WAIT * 2 ** (trial - 1), LONGEST_WAIT) * _random.uniform(0.5, 1.5)
                log.warning(
                    "%s: page %s: %s; trying again in %.1f s",
                    self._provider,
                    self._draft.state.pages + 1,
                    trouble,
                    wait,
                )
                self.sleep(wait)
        raise self._given_up(f"{TRIES} tries failed, the last with: {trouble}")

    @contextmanager
    def _reading(self) -> Iterator[list[str]]:
        """Collect what may go wrong between a request and the end of its answer, and pass."""
        from requests import exceptions

        problems: list[str] = []
        try:
            yield problems
        except (exceptions.JSONDecodeError, RecursionError):
            problems.append("the answer is not JSON, or was cut off")
        except exceptions.Timeout:
            problems.append(f"no answer within {SILENCE_SECONDS} s")
        except (exceptions.ConnectionError, exceptions.ChunkedEncodingError, exceptions.ContentDecodingError) as error:
            problems.append(f"the connection failed ({type(error).__name__}: {str(error)[:200]})")
        except exceptions.RequestException as error:  # an invalid URL, a circle of redirections
            raise InputError(f"{self._provider} can't be asked ({error}); correct its address") from error

    def _given_up(self, why: str) -> WorkError:
        state = self._draft.state
        stored = f"{self._draft.counted} are kept in {self._draft.partial}" if state.pages else "nothing came yet"
        go_on = "goes on with that page" if state.pages else "begins again"
        return WorkError(
            f"{self._provider}: page {state.pages + 1} could not be fetched: {why}. {stored}; the same command {go_on}"
        )


def _collect(server: _Server, query: OptimadeQuery, draft: Draft) -> None:
    """Add pages to the draft until there are no more."""
    seen: set[str | None] = set()
    barren = 0
    while not draft.complete:
        link = draft.state.next_link
        if link in seen:
            raise WorkError(
                f"{query.provider}: page {draft.state.pages} names as next a page that was fetched before; tell the "
                f"provider. {draft.counted} are in {draft.partial}"
            )
        try:
            page = _first_page(server, query) if link is None else server.page(link)
        except _RefusedError as error:
            if link is None:
                raise
            if seen:
                raise WorkError(
                    f"{error}, at page {draft.state.pages + 1}, which it had named itself. {draft.counted} are in "
                    f"{draft.partial}; if it happens again, split the query by a narrower filter"
                ) from error
            log.info("%s: the link at which an earlier fetch stopped is not valid now, beginning again", query.provider)
            draft.clear()
            continue
        seen.add(link)
        before = draft.state.written
        draft.add(page)
        barren = 0 if draft.state.written > before else barren + 1
        if barren == _BARREN_PAGES:
            raise WorkError(
                f"{query.provider}: the last {barren} pages repeat what came before; tell the provider. "
                f"{draft.counted} are in {draft.partial}"
            )
        log.info("%s: %s", query.provider, draft.counted)
        if not draft.complete and page.delay:
            server.sleep(page.delay)


def _first_page(server: _Server, query: OptimadeQuery) -> Page:
    try:
        return server.page(query.first_page(sort=True))
    except _RefusedError as error:
        if error.status not in _NO_SORTING:
            raise
    return server.page(query.first_page(sort=False))  # it is optional for a provider to sort


def _retry_after(response: requests.Response) -> float:
    """How long the provider asks to wait, in seconds: 0 where it does not say."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util.retry import Retry

    try:
        return float(Retry().parse_retry_after(response.headers.get("Retry-After", "0")))
    except InvalidHeader:
        return 0.0
