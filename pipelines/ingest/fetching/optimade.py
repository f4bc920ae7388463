"""Structures from any OPTIMADE provider, page by page, into one file of JSON lines; a fetch that broke off resumes.

`optimade.client.OptimadeClient` (1.5.0) does not do it: it keeps everything in memory until the last page, can't go on
where it stopped by itself, waits a second on 429 whatever Retry-After says, and gives up at the first 503 or cut
connection.
Not here: what a structure says (`pipelines.ingest.readers.optimade`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from filelock import FileLock, Timeout

from matstrata.schemas.errors import InputError, WorkError

if TYPE_CHECKING:
    import requests

log = logging.getLogger("matstrata.ingest")

TRIES = 6
CONNECT_SECONDS, SILENCE_SECONDS = 10, 60
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 600.0
_STALE_SECONDS = 7 * 24 * 3600  # links of providers expire, and two halves of one file should not be a month apart
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})
_BARREN_PAGES = 5  # in a row, with nothing new: the provider names ever new links to what it gave before
_NO_SORTING = frozenset({400, 501})
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class OptimadeQuery:
    """Which structures of which provider.

    Attributes:
        base_url: the provider's address, with or without its version: "https://optimade.materialsproject.org".
        filter: in OPTIMADE's filter language; all structures without it.
        response_fields: which attributes; the provider's default without it.
        page_limit: structures per request.
        max_results: where to stop; everything without it.
    """

    base_url: str
    filter: str = ""
    response_fields: tuple[str, ...] = ()
    page_limit: int = 100
    max_results: int | None = None

    def __post_init__(self) -> None:
        try:
            address = urlsplit(self.base_url)
        except ValueError:  # http://[::1
            address = urlsplit("")
        if address.scheme not in {"http", "https"} or not address.netloc or address.query or address.fragment:
            raise InputError(f"{self.base_url!r} is no OPTIMADE address; give one like https://example.org/optimade")
        if self.page_limit < 1 or (self.max_results is not None and self.max_results < 1):
            raise InputError("page_limit and max_results count structures: give at least 1")

    @property
    def provider(self) -> str:
        """How messages call the provider: its address without scheme, version and credentials."""
        address = urlsplit(self.base_url)
        return address.netloc.rpartition("@")[2] + _without_version(address.path)

    @property
    def sha256(self) -> str:
        """The hash of the query, by which its files are named."""
        asked = asdict(self) | {"base_url": _without_version(self.base_url)}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def first_page(self, *, sort: bool) -> str:
        """The URL of the first page."""
        base = self.base_url.rstrip("/")
        if base == _without_version(base):
            base += "/v1"
        asked = {"filter": self.filter, "response_fields": ",".join(self.response_fields), "sort": "id" if sort else ""}
        told = {name: value for name, value in asked.items() if value} | {"page_limit": self.page_limit}
        return f"{base}/structures?{urlencode(told, quote_via=quote)}"


def fetch(query: OptimadeQuery, folder: Path, *, sleep: Callable[[float], object] = time.sleep) -> Path:
    """Fetch all structures that match, each as one JSON line, ordered by id where the provider can order.

    While it runs, the lines are in `<sha256 of the query>.partial.jsonl`, beside a state file with the link of the next
    page. A fetch of the same query that finds these goes on with that page. Only a complete file gets its final name;
    it replaces that of an earlier fetch in one step.

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
            draft = _Draft(folder, query)
            _collect(_Server(session, query, draft, sleep), query, draft)
            return draft.finish()
    except Timeout as error:
        raise WorkError(f"another process fetches the same from {query.provider} into {folder}; let it end") from error
    except OSError as error:
        raise WorkError(
            f"{query.provider}: folder {folder} can't be written ({error.strerror or error}); make room, or choose "
            "another folder; the same command then goes on where this one stopped"
        ) from error


@dataclass(frozen=True, slots=True)
class _Page:
    resources: Sequence[object]
    matching: int | None
    next_link: str | None
    delay: float


class _RefusedError(InputError):
    """The provider answered that it will not give this page, now or later."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _State:
    """How far a fetch has come, as the state file says it after each page."""

    next_link: str | None = None
    size: int = 0
    pages: int = 0
    written: int = 0
    duplicates: int = 0
    matching: int | None = None


class _Draft:
    """The file while it grows. Lines are on disk before the state that counts them, and what it does not count is cut.

    So whenever a process dies, the next one finds whole pages and the link of the page behind them.
    """

    def __init__(self, folder: Path, query: OptimadeQuery) -> None:
        self.query = query
        self.final = folder / f"{query.sha256}.jsonl"
        self.partial = self.final.with_suffix(".partial.jsonl")
        self._saved = self.final.with_suffix(".state.json")
        self.state = _State()
        self._ids: set[str] = set()
        if self._saved.exists():
            self._resume()

    @property
    def complete(self) -> bool:
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
            state = _State(**json.loads(self._saved.read_text(encoding="utf-8")))
            sound = age < _STALE_SECONDS and self.partial.stat().st_size >= state.size
        except (OSError, ValueError, TypeError):
            sound = False
        if not sound:
            log.info("%s: what an earlier fetch left is too old or damaged, beginning anew", self.query.provider)
            self.clear()
            return
        os.truncate(self.partial, state.size)
        with self.partial.open(encoding="utf-8") as lines:
            self._ids = {key for key in map(_id, map(json.loads, lines)) if key is not None}
        self.state = state
        log.info("%s: going on after page %s, with %s", self.query.provider, f"{state.pages:,}", self.counted)

    def clear(self) -> None:
        """Forget everything."""
        self._saved.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)
        self.state = _State()
        self._ids = set()

    def add(self, page: _Page) -> None:
        """Append a page's resources, each id once, and save how far that is."""
        state = self.state
        most = self.query.max_results
        lines: list[str] = []
        for resource in page.resources:
            if most is not None and state.written == most:
                break
            key = _id(resource)
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
        draft = self._saved.with_suffix(".new")
        draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
        draft.replace(self._saved)

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


class _Server:
    """The provider, asked patiently."""

    def __init__(
        self, session: requests.Session, query: OptimadeQuery, draft: _Draft, sleep: Callable[[float], object]
    ) -> None:
        self._session, self._draft, self._provider, self.sleep = session, draft, query.provider, sleep

    def page(self, link: str) -> _Page:
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
                    return _parse(response.json(), response.url)
                trouble, wait = f"HTTP {response.status_code}{_detail(response)}", _retry_after(response)
                if response.status_code not in _TRANSIENT:
                    raise _RefusedError(f"{self._provider} refused the query with {trouble}", response.status_code)
            trouble = trouble or problems[0]
            if wait > _LONGEST_WAIT:
                raise self._given_up(f"it asks to come back in {wait / 60:,.0f} minutes ({trouble})")
            if trial < TRIES:
                wait = wait or min(_FIRST_WAIT * 2 ** (trial - 1), _LONGEST_WAIT) * _random.uniform(0.5, 1.5)
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
        except exceptions.RequestException as error:  # a URL that is none, a circle of redirections
            raise InputError(f"{self._provider} can't be asked ({error}); correct its address") from error

    def _given_up(self, why: str) -> WorkError:
        state = self._draft.state
        kept = f"{self._draft.counted} are kept in {self._draft.partial}" if state.pages else "nothing came yet"
        go_on = "goes on with that page" if state.pages else "begins anew"
        return WorkError(
            f"{self._provider}: page {state.pages + 1} could not be had: {why}. {kept}; the same command {go_on}"
        )


def _collect(server: _Server, query: OptimadeQuery, draft: _Draft) -> None:
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
            log.info("%s: the link at which an earlier fetch stopped is not valid now, beginning anew", query.provider)
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


def _first_page(server: _Server, query: OptimadeQuery) -> _Page:
    try:
        return server.page(query.first_page(sort=True))
    except _RefusedError as error:
        if error.status not in _NO_SORTING:
            raise
    return server.page(query.first_page(sort=False))  # it is optional for a provider to sort


def _parse(document: object, url: str) -> _Page:
    found = document if isinstance(document, Mapping) else {}
    if said := _words(found):
        raise InputError(f"{url} answered with an error: {said}; correct the query, or ask later")
    resources = found.get("data")
    if not isinstance(resources, list):
        raise InputError(f"{url} did not answer with a list of structures; correct the provider's address")
    meta = _mapping(found.get("meta"))
    link = _mapping(found.get("links")).get("next")
    link = link.get("href") if isinstance(link, Mapping) else link
    # some providers name a next page for ever: an empty page is the last, unless it says otherwise
    going_on = bool(link) and (bool(resources) or meta.get("more_data_available") is True)
    matching, delay = meta.get("data_returned"), meta.get("request_delay")
    try:
        next_link = urljoin(url, str(link)) if going_on else None
    except ValueError as error:
        raise InputError(
            f"{url} names {str(link)[:200]!r} as its next page, which is no URL; tell the provider"
        ) from error
    return _Page(
        resources=resources,
        matching=matching if isinstance(matching, int) else None,
        next_link=next_link,
        delay=min(float(delay), _LONGEST_WAIT) if isinstance(delay, int | float) and delay > 0 else 0.0,
    )


def _detail(response: requests.Response) -> str:
    """The provider's own words about an error."""
    try:
        words = _words(_mapping(response.json()))
    except ValueError:  # not an OPTIMADE answer: a proxy's, say
        words = ""
    words = words or response.reason or ""
    return f" ({words})" if words else ""


def _words(document: Mapping[str, Any]) -> str:
    """What an answer says of errors; some providers do so with HTTP 200."""
    errors = document.get("errors")
    listed = errors if isinstance(errors, list) else [errors] if errors else []
    words = [str(_mapping(error).get("detail") or _mapping(error).get("title") or error) for error in listed]
    return " ".join("; ".join(words).split())[:1000]


def _retry_after(response: requests.Response) -> float:
    """How long the provider asks to wait, in seconds: 0 where it does not say."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util.retry import Retry

    try:
        return float(Retry().parse_retry_after(response.headers.get("Retry-After", "0")))
    except InvalidHeader:
        return 0.0


def _id(resource: object) -> str | None:
    found = resource.get("id") if isinstance(resource, Mapping) else None
    return None if found is None else str(found)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _without_version(address: str) -> str:
    return re.sub(r"/v\d+(\.\d+)*$", "", address.rstrip("/"))
