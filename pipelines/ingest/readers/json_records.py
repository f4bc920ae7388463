"""Reader of JSON: lists of objects, JSON lines, and the ways in which pandas writes tables. Every value becomes text.

Not here: what a column means (the contract says it), and OPTIMADE's own rules (its reader knows them).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath

import pyarrow as pa

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.interface import SAMPLE_ROWS, Look, Reader, Sample
from matstrata.pipelines.ingest.readers.json_layout import ORIENTS, broken, find_records, flat, list_paths
from matstrata.pipelines.ingest.readers.tables import (
    RAW_CHARACTERS,
    BadRow,
    FileTable,
    check_names,
    check_options,
    gather,
    json_text,
    member_name,
    undecodable,
    visible,
)
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError

_RENAME = "in the file, or leave out options.flatten"
_SUFFIXES = (".json", ".jsonl", ".ndjson")
_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n\0\xff\xfe"  # marks of byte order, and blanks


@dataclass(frozen=True, slots=True)
class _Options:
    path: tuple[str, ...] = ()
    flatten: bool = False
    orient: str = "auto"
    member: str | None = None


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read JSON files.

    Args:
        files: the files; each may be compressed, or an archive.
        options: `path`: where in the document the records are, as keys joined by dots ("data.entries"); `flatten`:
            objects inside a record become columns with dotted names (false); `orient`: how the records are laid
            out: "records", "lines", or pandas' "split", "columns", "index", "list" (told by a look at the file);
            `member`: which file of an archive.

    Returns:
        One column per key as strings, nothing null: null and NaN are empty, numbers stand in the shortest form that
        gives the same number, lists and objects as JSON; also with `flatten`, structures, molecules and amounts of
        elements stay JSON. Row names of pandas become the column "index" where they do not just count.
        `source_record` is "row 17", or "line 17" of JSON lines.

    Raises:
        InputError: an option is wrong.
        ReadError: a file is damaged, holds no records, or not where `path` says.
    """
    chosen = _parse_options(options)
    return gather(files, lambda file: _read_file(file, chosen), may_differ=True)


def decode(content: bytes, name: str) -> str:
    """The text of a document in UTF-8, 16 or 32; bytes that are none become lone surrogates.

    Raises:
        ReadError: the document is empty, or no text.
    """
    encoding = json.detect_encoding(content)
    try:
        text = content.decode(encoding, "surrogateescape").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ReadError(f"{name} is not {encoding} text ({error}); write it as UTF-8") from error
    if not text.strip():
        raise ReadError(f"{name} is empty; fetch the source again, or remove the file from the contract")
    return text


def cell_text(value: object) -> str:
    """A value of JSON as text."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return "" if math.isnan(value) else repr(value)
        case list() | dict():
            return json_text(value)
        case _:
            return str(value)


def _parse_options(options: Mapping[str, object]) -> _Options:
    check_options("json", options, tuple(_Options.__dataclass_fields__))
    path, flatten = options.get("path", ""), options.get("flatten", False)
    orient = options.get("orient", "auto")
    if not isinstance(path, str):
        raise InputError(f"options.path must be keys joined by dots, such as data.entries, not {path!r}")
    if not isinstance(flatten, bool):
        raise InputError(f"options.flatten must be true or false, not {flatten!r}")
    if not isinstance(orient, str) or orient not in ORIENTS:
        raise InputError(f"options.orient must be one of {', '.join(ORIENTS)}, not {orient!r}")
    return _Options(tuple(path.split(".")) if path else (), flatten, orient, member_name(options))


def _read_file(file: SourceFile, options: _Options) -> FileTable:
    text = decode(read_bytes(file, options.member), file.name)
    layout = find_records(text, file.name, ".".join(options.path), options.orient)
    word = "line" if layout.orient == "lines" else "row"
    columns: dict[str, list[str]] = {name: [] for name in layout.names}
    numbers: list[int] = []
    bad: list[BadRow] = []
    try:
        for number, record in layout.items:
            fault = _fault(record)
            if fault is None:
                cells = {key: cell_text(value) for key, value in (flat(record) if options.flatten else record).items()}
                if any(undecodable(cell) for cell in cells.values()):
                    fault = ("record.undecodable", "holds bytes that are not UTF-8 text; correct the record")
            if fault is not None:
                excerpt = record if isinstance(record, str) else json_text(record)
                bad.append(BadRow(number, *fault, [visible(excerpt)[:RAW_CHARACTERS]]))
                continue
            for key, cell in cells.items():
                if key not in columns:
                    columns[key] = [""] * len(numbers)
                columns[key].append(cell)
            numbers.append(number)
            if any(len(column) < len(numbers) for column in columns.values()):
                for column in columns.values():
                    if len(column) < len(numbers):
                        column.append("")
    except RecursionError as error:
        raise broken(file.name, error) from error
    if numbers:
        check_names(list(columns), file, _RENAME, "its records must be objects with keys")
    return FileTable(
        pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()}), bad, numbers, word
    )


def _fault(record: object) -> tuple[str, str] | None:
    """The rule that a record breaks by not being an object with keys, and what to do."""
    if isinstance(record, str):
        return "record.malformed", "is not JSON; correct the line"
    if not isinstance(record, dict):
        return "record.malformed", "is not an object with keys; correct the record"
    if not record:
        return "record.malformed", "is an object without keys; remove it"
    return None


def recognize(look: Look) -> bool:
    """Whether the text begins as a list or an object does."""
    return look.beginning[:64].lstrip(_BEFORE_TEXT).startswith((b"[", b"{"))


def sample(look: Look) -> tuple[Sample, ...]:
    """The first records; the second sample of nested ones has their inner objects as columns.

    Raises:
        ReadError: the file is damaged, or holds no records.
    """
    try:
        return _samples(look)
    except ReadError:  # a text that begins with a bracket may still be a table
        if b"\n" not in look.beginning or PurePath(look.file.name).suffix.lower() in _SUFFIXES:
            raise
        return ()


def _samples(look: Look) -> tuple[Sample, ...]:
    file, chosen = look.file, look.options
    text = decode(look.content(), file.name)
    checks = []
    try:
        layout = find_records(text, file.name)
    except ReadError:
        paths = list_paths(text)
        if not paths:
            raise
        chosen["path"] = paths[0]
        if len(paths) > 1:
            checks.append(f"lists of records are at {', '.join(paths[:10])}: the longest was taken")
        layout = find_records(text, file.name, paths[0])
    taken = [record for _, record in islice(layout.items, SAMPLE_ROWS + 1)]
    records = [record for record in taken[:SAMPLE_ROWS] if isinstance(record, dict) and record]
    if not records:
        raise ReadError(f"{file.name} holds no objects with keys; there is nothing to draft from")
    if any("x-optimade" in record or {"type", "attributes"} <= record.keys() for record in records[:20]):
        checks.append("this looks like an OPTIMADE export: the reader 'optimade' knows its rules")
    if len(records) < len(taken[:SAMPLE_ROWS]):
        checks.append(f"{len(taken[:SAMPLE_ROWS]) - len(records)} records are not objects and will be refused")
    if layout.orient == "record":
        checks.append("the document is one object: it is taken for one record")
    whole = len(taken) <= SAMPLE_ROWS
    plain = _from_records(file, chosen, records, checks, whole=whole)
    flattened = [flat(record) for record in records]
    if all(one.keys() == other.keys() for one, other in zip(flattened, records, strict=True)):
        return (plain,)
    return (plain, _from_records(file, {**chosen, "flatten": True}, flattened, checks, whole=whole))


def _from_records(
    file: SourceFile,
    options: Mapping[str, object],
    records: Sequence[Mapping[str, object]],
    checks: Sequence[str],
    *,
    whole: bool,
) -> Sample:
    names = tuple(dict.fromkeys(key for record in records for key in record))
    rows = [[cell_text(record.get(name)) for name in names] for record in records]
    return Sample(file, "json", options, names, rows, whole, tuple(checks))


READER = Reader("json", read, recognize, sample, suffixes=_SUFFIXES, takes_any_text=True)
