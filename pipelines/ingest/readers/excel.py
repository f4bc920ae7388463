"""Reader of Excel workbooks (xlsx, xlsm): one sheet as a table of text. Formulas are never run.

What a formula gave when the workbook was last saved is read; where nothing was saved the cell is empty.
Not here: what a column means (the contract says it).
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from typing import Any

from matstrata.pipelines.ingest.readers.archives import DEFAULT_LIMITS, is_archive
from matstrata.pipelines.ingest.readers.interface import SAMPLE_ROWS, Look, Reader, Sample
from matstrata.pipelines.ingest.readers.sampled_table import LAYOUT_ROWS, with_header
from matstrata.pipelines.ingest.readers.tables import (
    RAW_CHARACTERS,
    BadRow,
    FileTable,
    check_names,
    check_options,
    column_names,
    from_rows,
    gather,
    whole_number,
)
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError

_CONTENTS = "[Content_Types].xml"  # the member by which every Office file can be told
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how files of old Office begin, and encrypted ones of today
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_LARGEST_WHOLE = 1e15  # Excel keeps 15 digits; beyond, a whole number is better told by its exponent


@dataclass(frozen=True, slots=True)
class _Options:
    sheet: str | int = 0
    skip_rows: int = 0
    header: tuple[str, ...] | None = None


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read one sheet of each workbook; the sheets must have the same columns.

    Args:
        files: workbooks.
        options: `sheet`: name or index from 0 (0), `skip_rows`: rows before the header (0), `header`: column names
            for sheets that have none.

    Returns:
        The sheet's columns as strings, nothing null: numbers in the shortest form that gives the same number, whole
        ones without ".0", true and false, dates as in ISO 8601, errors such as #DIV/0! as they are shown.
        `source_record` is "row 17" with rows counted from 1 after the header, empty rows being none.

    Raises:
        InputError: an option is wrong.
        ReadError: a file is not a readable workbook, has no such sheet or no data rows, or has unusable columns.
    """
    chosen = _parse_options(options)
    return gather(files, lambda file: _read_file(file, chosen))


def first_rows(file: SourceFile, limit: int) -> dict[str, list[list[str]]]:
    """The first rows of every sheet as text, empty ones included; charts are not sheets here.

    Raises:
        ReadError: the file is not a readable workbook.
    """
    with _workbook(file) as book:
        tables = [name for name in book.sheetnames if hasattr(book[name], "reset_dimensions")]
        return {name: list(islice(_rows(_sheet(book, name, file)), limit)) for name in tables}


def recognize(look: Look) -> bool:
    """Whether this is a workbook, also of a kind that can't be read: `sample` says why."""
    return _CONTENTS in look.members or look.beginning.startswith(_COMPOUND)


def sample(look: Look) -> tuple[Sample, ...]:
    """The first rows of the sheet that has most.

    Raises:
        ReadError: the file is not a readable workbook, or empty.
    """
    file = look.file
    rows_by_sheet = first_rows(file, SAMPLE_ROWS + 50)
    sheets = list(rows_by_sheet)
    if not any(any(row) for rows in rows_by_sheet.values() for row in rows):
        raise ReadError(f"{file.name} has no filled sheet; there is nothing to draft from")
    sheet = max(sheets, key=lambda name: (sum(len(row) > 1 for row in rows_by_sheet[name]), -sheets.index(name)))
    rows = [row for row in rows_by_sheet[sheet] if any(row)]
    checks = []
    if len(sheets) > 1:
        checks.append(f"sheets {', '.join(map(repr, sheets))}: {sheet!r} was taken, as it has most rows")
    common = Counter(len(row) for row in rows[:LAYOUT_ROWS]).most_common(1)[0][0]
    start = next(index for index, row in enumerate(rows) if len(row) >= common)
    width = len(rows[start])  # rows end with their last filled cell, so that the header may be longer than most
    skipped = rows_by_sheet[sheet].index(rows[start]) if start else 0
    options: dict[str, object] = {"sheet": sheet} if len(sheets) > 1 else {}
    if skipped:
        options["skip_rows"] = skipped
        checks.append(f"{skipped} rows above the table are skipped")
    table = [row + [""] * (width - len(row)) for row in rows[start:] if len(row) <= width]
    return (with_header(file, "excel", options, table, checks, whole=len(rows) <= SAMPLE_ROWS),)


def _parse_options(options: Mapping[str, object]) -> _Options:
    check_options("excel", options, tuple(_Options.__dataclass_fields__))
    sheet = options.get("sheet", 0)
    if isinstance(sheet, bool) or not isinstance(sheet, str | int):
        raise InputError(f"options.sheet must be the name of a sheet or its index from 0, not {sheet!r}")
    return _Options(sheet, whole_number(options, "skip_rows", "rows"), column_names(options))


def _read_file(file: SourceFile, options: _Options) -> FileTable:
    with _workbook(file) as book:
        rows = islice(_rows(_sheet(book, options.sheet, file)), options.skip_rows, None)
        filled = (row for row in rows if any(row))
        names = options.header or tuple(next(filled, ()))
        if not names:
            raise ReadError(f"{file.name} has no header after {options.skip_rows} skipped rows; check options.sheet")
        check_names(names, file, unreadable="check options.sheet and options.skip_rows")
        return _table(filled, names)


def _table(rows: Iterator[list[str]], names: Sequence[str]) -> FileTable:
    width = len(names)
    good: list[list[str]] = []
    bad: list[BadRow] = []
    for number, row in enumerate(rows, start=1):
        if len(row) > width:
            excerpt = [cell[:RAW_CHARACTERS] for cell in row]
            reason = (
                f"has a value in column {len(row)}, but the header names {width}; name the column, or clear the cell"
            )
            bad.append(BadRow(number, "record.malformed", reason, excerpt))
        else:
            good.append(row + [""] * (width - len(row)))
    return FileTable(from_rows(names, good), bad)


def _sheet(book: Any, chosen: str | int, file: SourceFile) -> Any:
    names = book.sheetnames
    sheets = ", ".join(f"{index}: {name!r}" for index, name in enumerate(names))
    if isinstance(chosen, int) and not 0 <= chosen < len(names):
        raise ReadError(f"{file.name} has no sheet number {chosen}; it has {sheets}. Correct options.sheet")
    name = names[chosen] if isinstance(chosen, int) else chosen
    if name not in names:
        raise ReadError(f"{file.name} has no sheet {name!r}; it has {sheets}. Correct options.sheet")
    sheet = book[name]
    if not hasattr(sheet, "reset_dimensions"):
        raise ReadError(f"{file.name}: sheet {name!r} is a chart, not a table; correct options.sheet ({sheets})")
    sheet.reset_dimensions()  # what a sheet claims about its size is often wrong, and then cells would be lost
    return sheet


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Rows as text, without the empty cells at their ends."""
    for values in sheet.iter_rows(values_only=True):
        row = [_text(value) for value in values]
        while row and not row[-1]:
            row.pop()
        yield row


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < _LARGEST_WHOLE:
            return str(int(value))
        case float():
            return repr(value)
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


@contextmanager
def _workbook(file: SourceFile) -> Iterator[Any]:
    """An open workbook, whose cells are read as they are asked for; damage found on the way is a `ReadError`."""
    _check_packing(file)

    import openpyxl  # type: ignore[import-untyped]  # deferred: 0.2 s

    with file.path.open("rb") as stream, warnings.catch_warnings():  # a stream, as a path must end in .xlsx
        warnings.simplefilter("ignore", UserWarning)  # openpyxl tells what it leaves out: styles, validations, charts
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            try:
                yield book
            finally:
                book.close()
        except InputError:
            raise
        # openpyxl meets damage with whatever its parsers raise
        except (
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,  # a member with a password
            SyntaxError,  # of XML
            EOFError,
            OSError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:
            raise ReadError(
                f"{file.name} is a damaged Excel workbook ({type(error).__name__}: {error}); save it again as .xlsx"
            ) from error


def _check_packing(file: SourceFile) -> None:
    """Refuse files that are not workbooks, or unpack without end, before openpyxl sees it."""
    if is_archive(file):
        try:
            with zipfile.ZipFile(file.path) as archive:
                sizes = {member.filename: member.file_size for member in archive.infolist()}
        except zipfile.BadZipFile as error:
            raise ReadError(f"{file.name} is truncated or corrupt ({error}); fetch the source again") from error
        if _CONTENTS not in sizes:
            raise ReadError(f"{file.name} is an archive, but not an Excel workbook; unpack it first")
        # what the archive claims about its sizes holds: zipfile gives no byte more than a member claims to have
        unpacked, packed = sum(sizes.values()), file.path.stat().st_size
        bomb = unpacked > max(DEFAULT_LIMITS.free_bytes, DEFAULT_LIMITS.ratio * packed)
        if bomb or unpacked > DEFAULT_LIMITS.total_bytes:
            raise ReadError(
                f"{file.name} unpacks to {unpacked:,} bytes from {packed:,}, which is beyond the limits for archives; "
                "if the file is sound, save its sheet as CSV instead"
            )
        return
    with file.path.open("rb") as stream:
        start = stream.read(len(_COMPOUND))
        if start != _COMPOUND:
            raise ReadError(f"{file.name} is not an Excel workbook (.xlsx); check the file, or the contract's reader")
        encrypted = _ENCRYPTED in stream.read()
    if encrypted:
        raise ReadError(f"{file.name} is encrypted; save it without a password")
    raise ReadError(f"{file.name} is a workbook of old Excel (.xls); save it as .xlsx")


READER = Reader("excel", read, recognize, sample, suffixes=(".xlsx", ".xlsm"))
