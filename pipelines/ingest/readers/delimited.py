"""Reader of delimited text (CSV, TSV), plain, compressed or inside an archive. Every cell stays the text that it is.

A clean file is parsed by Arrow in one go. Anything unusual (a ragged row, bytes that are no text, an unbalanced quote)
is read row by row instead, so that one bad row never costs the good ones. Not here: which column means what, and what
a value may be (the contract and the vocabulary say it).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.tables import (
    RAW_CHARACTERS,
    BadRow,
    FileTable,
    check_names,
    check_options,
    column_names,
    from_rows,
    gather,
    member_name,
    undecodable,
    visible,
    whole_number,
)
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError

_QUOTE = '"'
csv.field_size_limit(1 << 30)  # the module's own limit, 128 KB, is less than a large structure
_MAX_LINES = 1000  # of one quoted record: an opening quote that is never closed must not swallow a file


@dataclass(frozen=True, slots=True)
class _Options:
    delimiter: str = ","
    encoding: str = "utf-8"
    skip_rows: int = 0
    header: tuple[str, ...] | None = None
    member: str | None = None


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read delimited files with the same columns.

    Args:
        files: text files; each may be compressed, or an archive.
        options: `delimiter` (","), `encoding` ("utf-8"), `skip_rows`: lines before the header (0), `header`: column
            names for files that have none, `member`: which file of an archive.

    Returns:
        The file's columns as strings, nothing null. `source_record` is "row 17", or "<name> row 17" where there are
        several files; rows count from 1 after the header, blank lines are no rows.

    Raises:
        InputError: an option is wrong.
        ReadError: a file is empty, has no data rows, has unusable columns, or other columns than the first file.
    """
    chosen = _parse_options(options)
    return gather(files, lambda file: _read_file(file, chosen))


def _parse_options(options: Mapping[str, object]) -> _Options:
    check_options("delimited", options, tuple(_Options.__dataclass_fields__))
    delimiter, encoding = options.get("delimiter", ","), options.get("encoding", "utf-8")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise InputError(f"options.delimiter must be one character, such as ',' or '\\t', not {delimiter!r}")
    try:
        encoding = codecs.lookup(str(encoding)).name
    except LookupError as error:
        raise InputError(f"options.encoding {encoding!r} is unknown; give e.g. utf-8, cp1252, latin-1") from error
    skip_rows = whole_number(options, "skip_rows", "lines")
    return _Options(delimiter, encoding, skip_rows, column_names(options), member_name(options))


def _read_file(file: SourceFile, options: _Options) -> FileTable:
    """The readable rows as strings, and the others."""
    text = _decode(read_bytes(file, options.member), file, options)
    lines = io.StringIO(text, newline="")
    for _ in range(options.skip_rows):
        lines.readline()
    names = options.header or _header(lines, file, options)
    check_names(names, file)
    rest = text[lines.tell() :]
    table = _parse_clean(rest, names, options)
    return _parse_by_row(rest, names, options) if table is None else FileTable(table)


def _decode(content: bytes, file: SourceFile, options: _Options) -> str:
    """Text; bytes that are none become lone surrogates, by which their rows are recognised later."""
    try:
        text = content.decode(options.encoding, "surrogateescape")
    except UnicodeDecodeError as error:
        raise ReadError(f"{file.name} is not {options.encoding} text ({error}); set options.encoding") from error
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ReadError(f"{file.name} is empty; fetch the source again, or remove the file from the contract")
    return text


def _header(lines: io.StringIO, file: SourceFile, options: _Options) -> tuple[str, ...]:
    for line in lines:
        if line.strip("\r\n"):
            cells, used = _parse_record([line, *_peek(lines)], options) or ([], 1)
            for _ in range(used - 1):
                lines.readline()
            return tuple(cells)
    raise ReadError(f"{file.name} has no header after {options.skip_rows} skipped lines; check options.skip_rows")


def _peek(lines: io.StringIO) -> list[str]:
    position = lines.tell()
    ahead = list(islice(iter(lines.readline, ""), _MAX_LINES - 1))
    lines.seek(position)
    return ahead


def _parse_clean(text: str, names: Sequence[str], options: _Options) -> pa.Table | None:
    """All rows at once, or None where a row by row look is needed."""
    if text.count(_QUOTE) % 2:
        return None
    try:
        content = text.encode()
        if not content.strip(b"\r\n"):
            return pa.table({name: pa.array([], pa.string()) for name in names})
        table = pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(column_names=list(names), block_size=max(1 << 20, len(content) // 8)),
            parse_options=pacsv.ParseOptions(delimiter=options.delimiter, newlines_in_values=_QUOTE in text),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, null_values=[], strings_can_be_null=False
            ),
        )
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return None
    return table if _QUOTE not in text or _is_strict(text, table, options) else None


def _is_strict(text: str, table: pa.Table, options: _Options) -> bool:
    """Whether each quoted cell of several lines ends where a cell may end; if not, two rows each opened a quote."""
    if not any(pc.any(pc.match_substring_regex(column, r"[\r\n]")).as_py() for column in table.columns):
        return True
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter, strict=True):
            pass
    except csv.Error:
        return False
    return True


def _parse_by_row(text: str, names: Sequence[str], options: _Options) -> FileTable:
    good: list[list[str]] = []
    bad: list[BadRow] = []
    for number, (cells, closed) in enumerate(_records(text, len(names), options), start=1):
        shown = [visible(cell)[:RAW_CHARACTERS] for cell in cells]
        if any(map(undecodable, cells)):
            reason = f"holds bytes that are not {options.encoding} text; set options.encoding, or mend the row"
            bad.append(BadRow(number, "record.undecodable", reason, shown))
        elif not closed:
            reason = "opens a quote that does not close; mend the row"
            bad.append(BadRow(number, "record.malformed", reason, shown))
        elif len(cells) != len(names):
            reason = (
                f"has {len(cells)} cells instead of {len(names)}; "
                f"quote cells that hold {options.delimiter!r}, or mend the row"
            )
            bad.append(BadRow(number, "record.malformed", reason, shown))
        else:
            good.append(cells)
    return FileTable(from_rows(names, good), bad)


def _records(text: str, width: int, options: _Options) -> Iterator[tuple[list[str], bool]]:
    """The cells of every row, and whether its quotes close: a line that opens one for good stands alone."""
    lines = list(io.StringIO(text, newline=""))
    at = 0
    while at < len(lines):
        line = lines[at]
        bare = line.strip("\r\n")
        used = 1
        if bare and _QUOTE not in line:
            yield line.rstrip("\r\n").split(options.delimiter), True
        elif bare:
            record = _parse_record(lines[at : at + _MAX_LINES], options)
            if record is None or (record[1] > 1 and len(record[0]) != width):
                yield line.rstrip("\r\n").split(options.delimiter), False
            else:
                used = record[1]
                yield record[0], True
        at += used


def _parse_record(lines: list[str], options: _Options) -> tuple[list[str], int] | None:
    """The cells of the first record and how many lines it takes; None where its quotes do not close."""
    reader = csv.reader(lines, delimiter=options.delimiter)
    try:
        cells = next(reader)
    except csv.Error:
        return None
    used = reader.line_num
    if used > 1:  # it must be beyond doubt, or one row's open quote would swallow the rows up to another's
        try:
            next(csv.reader(lines[:used], delimiter=options.delimiter, strict=True))
        except csv.Error:
            return None
    return cells, used
