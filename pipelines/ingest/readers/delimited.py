"""Reader of delimited text (CSV, TSV), plain, compressed or inside an archive. Every cell stays the text that it is.

A clean file is parsed by Arrow in one go. Anything unusual (a ragged row, bytes that are not text, an unbalanced quote)
is read row by row instead, so that one bad row never costs the good ones. Not here: which column means what, and what
a value may be (the contract and the vocabulary say it).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.interface import LOOK_BYTES, SAMPLE_ROWS, Look, Reader, Sample
from matstrata.pipelines.ingest.readers.sampled_table import LAYOUT_ROWS, NUMBER, with_header
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
_LAYOUT_CHARACTERS = 200_000
_DELIMITERS = (",", "\t", ";", "|")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
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
        several files; rows count from 1 after the header, blank lines are not rows.

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
    """Text; bytes that are not text become lone surrogates, by which their rows are recognized later."""
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
        excerpt = [visible(cell)[:RAW_CHARACTERS] for cell in cells]
        if any(map(undecodable, cells)):
            reason = f"holds bytes that are not {options.encoding} text; set options.encoding, or correct the row"
            bad.append(BadRow(number, "record.undecodable", reason, excerpt))
        elif not closed:
            reason = "opens a quote that does not close; correct the row"
            bad.append(BadRow(number, "record.malformed", reason, excerpt))
        elif len(cells) != len(names):
            reason = (
                f"has {len(cells)} cells instead of {len(names)}; "
                f"quote cells that hold {options.delimiter!r}, or correct the row"
            )
            bad.append(BadRow(number, "record.malformed", reason, excerpt))
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


def sample(look: Look) -> tuple[Sample, ...]:
    """The first rows of a text, whose encoding, delimiter, decimal sign and preamble are told by a look at them.

    Raises:
        ReadError: the file is empty, or binary.
    """
    content, cut = look.beginning[:LOOK_BYTES], look.cut or len(look.beginning) >= LOOK_BYTES
    text, encoding = _decode_sample(content, look.file, cut=cut)
    chosen: dict[str, object] = look.options
    if encoding != "utf-8":
        chosen["encoding"] = encoding
    if cut:
        text = text[: text.rfind("\n") + 1]
    delimiter = _delimiter(text)
    checks = (
        [] if encoding == "utf-8" else [f"the file is not UTF-8: {encoding} is a guess, look at its special letters"]
    )
    if delimiter == " " and re.search(r"\S {2,}\S", text[:_LAYOUT_CHARACTERS]):
        checks.append("columns are aligned by runs of spaces, which no reader splits: save it as CSV")
    chosen["delimiter"] = delimiter
    records = list(islice(_sample_records(text, delimiter), SAMPLE_ROWS + 50))
    width = Counter(len(cells) for cells, _ in records[:LAYOUT_ROWS]).most_common(1)[0][0]
    start = next(index for index, (cells, _) in enumerate(records) if len(cells) == width)
    if start:
        chosen["skip_rows"] = records[start - 1][1]
        checks.append(f"{records[start - 1][1]} lines above the table are skipped")
    rows = [cells for cells, _ in records[start:]]
    ragged = sum(len(row) != width for row in rows)
    if ragged:
        checks.append(f"{ragged} of the first {len(rows)} rows have more or fewer than {width} cells: they are refused")
    table = [row for row in rows if len(row) == width]
    decimal = "," if delimiter != "," and _decimal_commas(table) else "."
    if decimal == ",":
        table = [[_pointed(cell) for cell in row] for row in table]
        checks.append("numbers have decimal commas")
    whole = not cut and len(records) < SAMPLE_ROWS + 50
    return (replace(with_header(look.file, "delimited", chosen, table, checks, whole=whole), decimal=decimal),)


def _decode_sample(content: bytes, file: SourceFile, *, cut: bool) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in content[:1000] and content[:1000].count(b"\0") * 3 > len(content[:1000]):
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    else:
        encoding = _eight_bit(content, cut=cut)
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    if len(_CONTROL.findall(text[:_LAYOUT_CHARACTERS])) * 1000 > len(text[:_LAYOUT_CHARACTERS]):
        raise ReadError(f"{file.name} is a binary file of unknown format; save it as CSV, Excel, JSON or Parquet")
    if not text.strip():
        raise ReadError(f"{file.name} is empty; there is nothing to draft from")
    return text, encoding


def _eight_bit(content: bytes, *, cut: bool) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            (content[: content.rfind(b"\n") + 1] if cut else content).decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _delimiter(text: str) -> str:
    """The delimiter that cuts most rows into the same number of cells, the greater number if two do."""
    best, delimiter = (0.0, 0), ","
    for candidate in _DELIMITERS:
        score = _regularity(text, candidate)
        if score > best:
            best, delimiter = score, candidate
    if best[0] < 0.9 and _regularity(text, " ") > max(best, (0.9, 0)):
        return " "
    return delimiter


def _regularity(text: str, delimiter: str) -> tuple[float, int]:
    rows = [cells for cells, _ in islice(_sample_records(text[:_LAYOUT_CHARACTERS], delimiter), LAYOUT_ROWS)]
    width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return (round(count / len(rows), 2), width) if width > 1 else (0.0, 0)


def _sample_records(text: str, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """The rows, and how many lines of the file have been used up by then."""
    lines = io.StringIO(text, newline="")
    if delimiter == " ":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield line.split(), number
        return
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if cells:
                yield cells, reader.line_num
    except csv.Error:  # an unbalanced quote: what came before it must do
        return


def _decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Whether commas stand before decimals: 1,000 alone may be a thousand, 3,4 is not, and next to 3.4 neither is."""
    cells = [cell.strip() for row in rows[1:LAYOUT_ROWS] for cell in row if NUMBER.fullmatch(cell)]
    return any(re.search(r",(?!\d{3}$)", cell) for cell in cells) and not any("." in cell for cell in cells)


def _pointed(cell: str) -> str:
    """A cell with points before its decimals, also inside a formula (Cu1,8S)."""
    return cell if "." in cell else re.sub(r"(?<=\d),(?=\d)|^\s*,(?=\d)|(?<=\d),\s*$", ".", cell)


READER = Reader(
    "delimited",
    read,
    recognize=lambda look: not look.members,  # what is not text, `sample` refuses with a sentence
    sample=sample,
    suffixes=(".csv", ".tsv", ".txt", ".dat"),
    takes_any_text=True,
)
