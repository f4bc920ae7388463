"""What is asked of an OPTIMADE provider, and the pages that it answers.

Not here: asking, and what to do about a provider that does not answer (`pipelines.ingest.fetching.optimade`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from matstrata.schemas.errors import InputError

if TYPE_CHECKING:
    import requests

LONGEST_WAIT = 600.0
"""Seconds that a provider may have us wait between two requests."""


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
            raise InputError(
                f"{self.base_url!r} is not an OPTIMADE address; give one like https://example.org/optimade"
            )
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
        facts = asdict(self) | {"base_url": _without_version(self.base_url)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def first_page(self, *, sort: bool) -> str:
        """The URL of the first page."""
        base = self.base_url.rstrip("/")
        if base == _without_version(base):
            base += "/v1"
        parameters = {
            "filter": self.filter,
            "response_fields": ",".join(self.response_fields),
            "sort": "id" if sort else "",
        }
        given = {name: value for name, value in parameters.items() if value} | {"page_limit": self.page_limit}
        return f"{base}/structures?{urlencode(given, quote_via=quote)}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer.

    Attributes:
        resources: the structures on it.
        matching: how many match the query in all, where the provider says so.
        next_link: the URL of the next page; None after the last.
        delay: seconds to wait before the next request.
    """

    resources: Sequence[object]
    matching: int | None
    next_link: str | None
    delay: float


def parse_page(document: object, url: str) -> Page:
    """One answer as a page.

    Raises:
        InputError: it is an error, or not a list of structures.
    """
    answer = document if isinstance(document, Mapping) else {}
    if message := _words(answer):
        raise InputError(f"{url} answered with an error: {message}; correct the query, or ask later")
    resources = answer.get("data")
    if not isinstance(resources, list):
        raise InputError(f"{url} did not answer with a list of structures; correct the provider's address")
    meta = _mapping(answer.get("meta"))
    link = _mapping(answer.get("links")).get("next")
    link = link.get("href") if isinstance(link, Mapping) else link
    # some providers name a next page for ever: an empty page is the last, unless it says otherwise
    going_on = bool(link) and (bool(resources) or meta.get("more_data_available") is True)
    matching, delay = meta.get("data_returned"), meta.get("request_delay")
    try:
        next_link = urljoin(url, str(link)) if going_on else None
    except ValueError as error:
        raise InputError(
            f"{url} names {str(link)[:200]!r} as its next page, which is not a URL; tell the provider"
        ) from error
    return Page(
        resources=resources,
        matching=matching if isinstance(matching, int) else None,
        next_link=next_link,
        delay=min(float(delay), LONGEST_WAIT) if isinstance(delay, int | float) and delay > 0 else 0.0,
    )


def error_words(response: requests.Response) -> str:
    """The provider's own words about an error, in brackets; empty where it says nothing."""
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


def identifier_of(resource: object) -> str | None:
    """The id of a structure, where it has one."""
    identifier = resource.get("id") if isinstance(resource, Mapping) else None
    return None if identifier is None else str(identifier)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without_version(address: str) -> str:
    return re.sub(r"/v\d+(\.\d+)*$", "", address.rstrip("/"))
