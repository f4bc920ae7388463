"""Reader of delimited text (CSV, TSV), plain, compressed or inside an archive. Every cell stays the text that it is.

A clean file is parsed by Arrow in one go. Anything unusual (a ragged row, bytes that are no text, an unbalanced quote)
is read row by row instead, so that one bad row never costs the good ones. Not here: which column means what, and what
a value may be (the contract and the vocabulary say it).
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from pipelines.ingest.archives import read_bytes
from pipelines.ingest.records import RawRecords, ReadError, Rejection, SourceFile
from schemas.errors import InputError

OWN_COLUMNS = ("source_record", "file_sha256", "raw")
_QUOTE = '"'
_MAX_LINES = 1000  # of one quoted record: an opening quote that is never closed must not swallow a file
_RAW_CHARACTERS = 10_000  # kept of a row that can't be read


@dataclass(frozen=True, slots=True)
class _Options:
    delimiter: str = ","
    encoding: str = "utf-8"
    skip_rows: int = 0
    header: tuple[str, ...] | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True)
class _BadRow:
    number: int
    rule_id: str
    reason: str
    cells: list[str]


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
    tables: list[pa.Table] = []
    rejections: list[Rejection] = []
    for file in files:
        table, bad = _read_file(file, chosen)
        if tables and tables[0].column_names[: -len(OWN_COLUMNS)] != table.column_names:
            raise ReadError(f"{file.name} has other columns than {files[0].name}: {', '.join(table.column_names)}")
        prefix = "" if len(files) == 1 else f"{file.name} "
        numbers = _row_numbers(table.num_rows, bad)
        tables.append(_with_own_columns(table, numbers, prefix, file.sha256))
        rejections += [
            Rejection(
                f"{prefix}row {row.number}",
                row.rule_id,
                f"{file.name}: row {row.number} {row.reason}",
                raw,
                file.sha256,
            )
            for row in bad
            for raw in [_json({"cells": row.cells})]
        ]
    combined = pa.concat_tables(tables)
    own = [combined[name] for name in OWN_COLUMNS]
    combined = combined.drop_columns(list(OWN_COLUMNS))
    return RawRecords(
        pa.table([*own, *combined.columns], names=[*OWN_COLUMNS, *combined.column_names]), tuple(rejections)
    )


def _parse_options(options: Mapping[str, object]) -> _Options:
    unknown = set(options) - set(_Options.__dataclass_fields__)
    if unknown:
        known = ", ".join(_Options.__dataclass_fields__)
        raise InputError(f"reader delimited has no option {min(unknown)!r}; it has {known}")
    delimiter, encoding = options.get("delimiter", ","), options.get("encoding", "utf-8")
    skip_rows, header, member = options.get("skip_rows", 0), options.get("header"), options.get("member")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise InputError(f"options.delimiter must be one character, such as ',' or '\\t', not {delimiter!r}")
    try:
        encoding = codecs.lookup(str(encoding)).name
    except LookupError as error:
        raise InputError(f"options.encoding {encoding!r} is unknown; give e.g. utf-8, cp1252, latin-1") from error
    if isinstance(skip_rows, bool) or not isinstance(skip_rows, int) or skip_rows < 0:
        raise InputError(f"options.skip_rows must be a number of lines, not {skip_rows!r}")
    if header is not None and (not isinstance(header, list | tuple) or not header):
        raise InputError(f"options.header must be a list of column names, not {header!r}")
    if member is not None and not isinstance(member, str):
        raise InputError(f"options.member must be a path inside the archive, not {member!r}")
    return _Options(delimiter, encoding, skip_rows, tuple(map(str, header)) if header else None, member)


def _read_file(file: SourceFile, options: _Options) -> tuple[pa.Table, list[_BadRow]]:
    """The readable rows as strings, and the others."""
    text = _decode(read_bytes(file, options.member), file, options)
    lines = io.StringIO(text, newline="")
    for _ in range(options.skip_rows):
        lines.readline()
    names = options.header or _header(lines, file, options)
    _check_names(names, file)
    rest = text[lines.tell() :]
    table = _parse_clean(rest, names, options)
    bad: list[_BadRow] = []
    if table is None:
        table, bad = _parse_by_row(rest, names, options)
    if table.num_rows + len(bad) == 0:
        raise ReadError(f"{file.name} has no data rows; fetch the source again, or remove the file from the contract")
    return table, bad


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


def _check_names(names: Sequence[str], file: SourceFile) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(
            f"{file.name} has two columns named {twice[0]!r}; name the columns by options.header and skip_rows"
        )
    taken = [name for name in names if name in OWN_COLUMNS]
    if taken:
        raise ReadError(
            f"{file.name} has a column {taken[0]!r}, which Matstrata uses; rename it by options.header and skip_rows"
        )
    if not names or any(_undecodable(name) for name in names):
        raise ReadError(f"{file.name} has no readable header; check options.encoding and options.skip_rows")


def _parse_clean(text: str, names: Sequence[str], options: _Options) -> pa.Table | None:
    """All rows at once, or None where a row by row look is needed."""
    if text.count(_QUOTE) % 2:
        return None
    try:
        content = text.encode()
        if not content.strip(b"\r\n"):
            return pa.table({name: pa.array([], pa.string()) for name in names})
        return pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(column_names=list(names), block_size=max(1 << 20, len(content) // 8)),
            parse_options=pacsv.ParseOptions(delimiter=options.delimiter, newlines_in_values=_QUOTE in text),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, null_values=[], strings_can_be_null=False
            ),
        )
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return None


def _parse_by_row(text: str, names: Sequence[str], options: _Options) -> tuple[pa.Table, list[_BadRow]]:
    good: list[list[str]] = []
    bad: list[_BadRow] = []
    for number, (cells, closed) in enumerate(_records(text, len(names), options), start=1):
        shown = [_visible(cell)[:_RAW_CHARACTERS] for cell in cells]
        if any(map(_undecodable, cells)):
            reason = f"holds bytes that are not {options.encoding} text; set options.encoding, or mend the row"
            bad.append(_BadRow(number, "record.undecodable", reason, shown))
        elif not closed:
            reason = "opens a quote that does not close; mend the row"
            bad.append(_BadRow(number, "record.malformed", reason, shown))
        elif len(cells) != len(names):
            reason = (
                f"has {len(cells)} cells instead of {len(names)}; "
                f"quote cells that hold {options.delimiter!r}, or mend the row"
            )
            bad.append(_BadRow(number, "record.malformed", reason, shown))
        else:
            good.append(cells)
    columns = zip(*good, strict=True) if good else ((),) * len(names)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names)), bad


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
    if used > 1 and sum(line.count(_QUOTE) for line in lines[:used]) % 2:
        return None
    return cells, used


def _undecodable(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _visible(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _row_numbers(good: int, bad: Sequence[_BadRow]) -> pa.Array:
    """The numbers of the good rows: 1, 2, … without those of the bad ones."""
    taken = {row.number for row in bad}
    return pa.array(
        (n for n in range(1, good + len(bad) + 1) if n not in taken) if taken else range(1, good + 1), pa.int64()
    )


def _with_own_columns(table: pa.Table, numbers: pa.Array, prefix: str, sha256: str) -> pa.Table:
    record = pc.binary_join_element_wise(f"{prefix}row", numbers.cast(pa.string()), " ")
    hashes = pa.repeat(pa.scalar(sha256), table.num_rows)
    raw = raw_json(table)
    for name, column in zip(OWN_COLUMNS, (record, hashes, raw), strict=True):
        table = table.append_column(name, column)
    return table


def raw_json(table: pa.Table) -> pa.ChunkedArray:
    """Each row of a table of strings as a JSON object, computed column by column (no loop over rows)."""
    pieces: list[object] = []
    for index, name in enumerate(table.column_names):
        pieces += ["{" if index == 0 else ", ", f"{_json(name)}: ", _json_strings(table[name])]
    return pc.binary_join_element_wise(*pieces, "}", "")


def _json_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(column, r"[\x00-\x1f]")).as_py():
        return pa.chunked_array([pa.array(map(_json, column.to_pylist()), pa.string())])
    escaped = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), _QUOTE, '\\"')
    return pc.binary_join_element_wise(_QUOTE, escaped, _QUOTE, "")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
