"""How records lie in a JSON document: as a list, as lines, below a key, or in the ways in which pandas writes tables.

Not here: what becomes of the records (`json_records`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from matstrata.pipelines.ingest.records import ReadError
from matstrata.schemas.elements import SYMBOLS

ORIENTS = ("auto", "records", "lines", "split", "columns", "index", "list")
_INDEX = "index"  # the column of row names, where they are more than a count
_SPLIT_KEYS = {"columns", "data", "index", "index_names", "column_names"}
_SHOWN_KEYS = 10


@dataclass(frozen=True, slots=True)
class Records:
    """What a JSON document holds.

    Attributes:
        orient: how it is laid out.
        items: (position from 1, record); a record that is not an object stays what it is, and a text is a line that is
            not JSON.
        names: columns that are known before any record is seen.
    """

    orient: str
    items: Iterator[tuple[int, Any]]
    names: tuple[str, ...] = ()


def find_records(text: str, name: str, path: str = "", orient: str = "auto") -> Records:
    """The records of a document, parsed as they are asked for where it is a list or lines.

    Raises:
        ReadError: there are none, or not where `path` says; also while they are asked for, at damage further on.
    """
    records = _find(text, name, tuple(path.split(".")) if path else (), orient)

    def items() -> Iterator[tuple[int, Any]]:
        try:
            yield from records.items
        except (ValueError, RecursionError) as error:
            raise broken(name, error) from error

    return Records(records.orient, items(), records.names)


def list_paths(text: str) -> list[str]:
    """The places of lists of objects in a document, as values of the option `path`; the longest list first."""
    try:
        lengths = dict(_lists(json.loads(text), ()))
    except (ValueError, RecursionError):
        return []
    return sorted(lengths, key=lambda path: -lengths[path])


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The record with the keys of inner objects joined by dots; structures and amounts of elements stay whole."""
    flattened: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict) and value and not _is_whole(value):
            flattened |= flat(value, f"{prefix}{key}.")
        else:
            flattened[f"{prefix}{key}"] = value
    return flattened


def _find(text: str, name: str, path: Sequence[str], orient: str) -> Records:
    if orient == "lines":
        return Records("lines", _lines(text))
    if not path and orient in {"auto", "records"} and text.lstrip().startswith("["):
        try:
            return Records("records", _listed(text))
        except ValueError as error:
            raise broken(name, error) from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if orient == "auto" and not path and _looks_like_lines(text):
            return Records("lines", _lines(text))
        raise broken(name, error) from error
    document = _follow(document, path, name)
    return _laid_out(document, _orient(document) if orient == "auto" else orient, name)


def _listed(text: str) -> Iterator[tuple[int, Any]]:
    """The items of a list, each parsed when it is asked for: a look at a large file stays quick."""
    decoder = json.JSONDecoder()
    at = _skip(text, _skip(text, 0) + 1)
    if at < len(text) and text[at] == "]":
        _require_end(text, at)
        return
    number = 0
    while True:
        item, at = decoder.raw_decode(text, at)
        number += 1
        # a text among the items is not a line of JSON lines; as a list of itself it is refused in its own words
        yield number, [item] if isinstance(item, str) else item
        at = _skip(text, at)
        if at < len(text) and text[at] == "]":
            _require_end(text, at)
            return
        if at >= len(text) or text[at] != ",":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        at = _skip(text, at + 1)


def _require_end(text: str, at: int) -> None:
    end = _skip(text, at + 1)
    if end < len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                item = None
                yield number, line.strip()
            else:
                yield number, [item] if isinstance(item, str) else item


def _looks_like_lines(text: str) -> bool:
    """Whether the first line, or half of the first lines, are objects; a damaged document has few that are."""
    seen = [isinstance(record, dict) for _, record in islice(_lines(text), 100)]
    return any(seen[:1]) or sum(seen) * 2 > len(seen)


def _follow(document: Any, path: Sequence[str], name: str) -> Any:
    for step, key in enumerate(path):
        if not isinstance(document, dict) or key not in document:
            keys = ", ".join(map(repr, islice(document, _SHOWN_KEYS))) if isinstance(document, dict) else "no keys"
            above = ".".join(path[:step])
            where = f"{name} at {above!r}" if above else name
            raise ReadError(f"{where} has no key {key!r}; it has {keys}. Correct options.path")
        document = document[key]
    return document


def _orient(document: Any) -> str:
    if isinstance(document, list):
        return "records"
    if not isinstance(document, dict) or not document:
        return "none"
    values = list(document.values())
    if {"columns", "data"} <= document.keys() <= _SPLIT_KEYS and isinstance(document["data"], list):
        return "split"
    if all(isinstance(value, dict) and value and not _is_whole(value) for value in values):
        strangers = not set.intersection(*map(set, values))  # as in {"meta": {…}, "data": {"results": […]}}
        return "none" if strangers and any(True for _ in _lists(document, ())) else _dict_of_dicts(document)
    lengths = {len(value) if isinstance(value, list) else -1 for value in values}
    if len(lengths) == 1 and lengths.isdisjoint({-1, 0}) and not any(isinstance(v[0], dict) for v in values):
        return "list"
    return "record" if not any(True for _ in _lists(document, ())) else "none"


def _dict_of_dicts(document: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether the outer keys are columns or names of rows: names of rows are numbers, or the more numerous."""
    inner = next(iter(document.values()))
    outer_numbers, inner_numbers = (all(key.lstrip("-").isdigit() for key in keys) for keys in (document, inner))
    if outer_numbers != inner_numbers:
        return "index" if outer_numbers else "columns"
    return "columns" if len(inner) > len(document) else "index"


def _laid_out(document: Any, orient: str, name: str) -> Records:
    wrong = ReadError(f"{name} does not hold records as orient {orient!r} says; correct options.orient")
    if orient == "records":
        if not isinstance(document, list):
            raise wrong
        return Records("records", enumerate(([item] if isinstance(item, str) else item for item in document), 1))
    if orient == "none" or not isinstance(document, dict):
        paths = [path for path, _ in sorted(_lists(document, ()), key=lambda pair: -pair[1])]
        hint = f"set options.path to one of {paths[:_SHOWN_KEYS]}" if paths else "check the file"
        raise ReadError(f"{name} holds no list of records at its top; {hint}")
    if orient == "record":
        return Records("records", iter([(1, document)]))
    keys: Sequence[Any]
    rows: Iterator[Any]
    try:
        match orient:
            case "split":
                names, data = [str(column) for column in document["columns"]], document["data"]
                keys = document.get("index", range(len(data)))
                rows = (dict(zip(names, row, strict=True)) if len(row) == len(names) else row for row in data)
                if len(set(names)) < len(names) or len(keys) != len(data):
                    raise wrong
            case "index":
                keys, rows = list(document), iter(document.values())
            case "columns":
                keys = list(dict.fromkeys(key for column in document.values() for key in column))
                rows = ({name: column.get(key) for name, column in document.items()} for key in keys)
            case _:
                keys = range(max(map(len, document.values())))
                rows = (dict(zip(document, cells, strict=True)) for cells in zip(*document.values(), strict=True))
    except (TypeError, KeyError, AttributeError) as error:
        raise wrong from error
    named = _INDEX not in document.get("columns", document) and any(str(key) != str(n) for n, key in enumerate(keys))
    return Records(orient, enumerate(_named(rows, keys) if named else rows, 1), (_INDEX,) if named else ())


def _named(rows: Iterator[Any], keys: Sequence[Any]) -> Iterator[Any]:
    for key, row in zip(keys, rows, strict=True):
        yield {_INDEX: key, **row} if isinstance(row, dict) and _INDEX not in row else row


def _lists(document: Any, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Paths of lists of objects, with their lengths."""
    if isinstance(document, dict) and not _is_whole(document):
        for key, value in document.items():
            if isinstance(value, list) and value and all(isinstance(item, dict) for item in value[:_SHOWN_KEYS]):
                yield ".".join((*above, key)), len(value)
            elif isinstance(value, dict) and len(above) < 3:
                yield from _lists(value, (*above, key))


def _is_whole(value: Mapping[str, Any]) -> bool:
    """Whether an object is one thing: a structure or molecule of pymatgen or ASE, or amounts of elements."""
    return "@class" in value or "sites" in value or value.keys() <= SYMBOLS


def broken(name: str, error: BaseException) -> ReadError:
    """The error for a text that is not JSON, or stops being JSON somewhere."""
    return ReadError(f"{name} is not valid JSON ({error}); fetch the source again, or correct options.orient")
