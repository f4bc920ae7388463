"""What readers of tables share: from the cells of each file to raw records, with the columns every reader adds.

Not here: how a format is parsed (one module each), and what a column means (the contract).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection, SourceFile
from matstrata.schemas.errors import InputError

OWN_COLUMNS = ("source_record", "file_sha256", "raw")
RAW_CHARACTERS = 10_000
"""Kept of a cell that can't be read."""
MOST_BYTES = 7 * 2**28
"""Of a source's records: a column of strings holds 2 GiB, and the keys made of the records are a little longer."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be read.

    Attributes:
        number: its position in the file.
        rule_id: the rule that it breaks.
        reason: what is wrong and what to do, to follow "<file>: row 17".
        cells: what was found, made visible.
    """

    number: int
    rule_id: str
    reason: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class FileTable:
    """One file as read: its good rows as strings, and the others.

    Attributes:
        table: the good rows; strings, nothing null.
        bad: the others.
        numbers: the positions of the good rows; without them 1, 2, … less the positions of the bad ones.
        word: what a position counts: "row" or "line".
    """

    table: pa.Table
    bad: Sequence[BadRow] = ()
    numbers: Sequence[int] | None = None
    word: str = "row"


def gather(
    files: Sequence[SourceFile], read_file: Callable[[SourceFile], FileTable], *, may_differ: bool = False
) -> RawRecords:
    """Read the files of one source and put them together.

    Args:
        files: the files, in the contract's order.
        read_file: reads one of them.
        may_differ: columns that only some files have are empty in the others; otherwise that is an error.

    Raises:
        ReadError: a file has no rows, or other columns than the first one; or together they are too large.
    """
    tables: list[pa.Table] = []
    rejections: list[Rejection] = []
    size = 0
    for file in files:
        file_table = read_file(file)
        table = file_table.table
        if table.num_rows + len(file_table.bad) == 0:
            raise ReadError(
                f"{file.name} has no data rows; fetch the source again, or remove the file from the contract"
            )
        if tables and not may_differ and tables[0].column_names[: -len(OWN_COLUMNS)] != table.column_names:
            raise ReadError(f"{file.name} has other columns than {files[0].name}: {', '.join(table.column_names)}")
        word = file_table.word if len(files) == 1 else f"{file.name} {file_table.word}"
        raw = raw_json(table)
        size += max(raw.nbytes, len(file.sha256) * table.num_rows)
        if size > MOST_BYTES:
            raise ReadError(
                f"{file.name} has {table.num_rows:,} records of {raw.nbytes / max(table.num_rows, 1):,.0f} bytes; a "
                f"source holds {MOST_BYTES / 2**30:g} GiB of them at most. Split its files between several sources"
            )
        tables.append(_with_own_columns(table, _positions(file_table), word, file.sha256, raw))
        rejections += [
            Rejection(
                f"{word} {row.number}",
                row.rule_id,
                f"{file.name}: {file_table.word} {row.number} {row.reason}",
                json_text({"cells": row.cells}),
                file.sha256,
            )
            for row in file_table.bad
        ]
    combined = pa.concat_tables(_aligned(tables) if may_differ else tables)
    own = [combined[name] for name in OWN_COLUMNS]
    combined = combined.drop_columns(list(OWN_COLUMNS))
    return RawRecords(
        pa.table([*own, *combined.columns], names=[*OWN_COLUMNS, *combined.column_names]), tuple(rejections)
    )


def check_options(reader: str, options: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse options that the reader does not have.

    Raises:
        InputError: there is one; the message lists those that exist.
    """
    unknown = set(options) - set(names)
    if unknown:
        raise InputError(f"reader {reader} has no option {min(unknown)!r}; it has {', '.join(names)}")


def whole_number(options: Mapping[str, object], name: str, what: str) -> int:
    """An option that counts something, 0 without it.

    Raises:
        InputError: it is not such a number.
    """
    value = options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"options.{name} must be a number of {what}, not {value!r}")
    return value


def column_names(options: Mapping[str, object]) -> tuple[str, ...] | None:
    """The option `header`: names of columns, for files that have none.

    Raises:
        InputError: it is not a list.
    """
    header = options.get("header")
    if header is not None and (not isinstance(header, list | tuple) or not header):
        raise InputError(f"options.header must be a list of column names, not {header!r}")
    return tuple(map(str, header)) if header else None


def member_name(options: Mapping[str, object]) -> str | None:
    """The option `member`: which file of an archive.

    Raises:
        InputError: it is not a text.
    """
    member = options.get("member")
    if member is not None and not isinstance(member, str):
        raise InputError(f"options.member must be a path inside the archive, not {member!r}")
    return member


def check_names(
    names: Sequence[str],
    file: SourceFile,
    rename: str = "by options.header and skip_rows",
    unreadable: str = "check options.encoding and options.skip_rows",
) -> None:
    """Refuse column names that can't serve.

    Args:
        names: the names.
        file: whose they are.
        rename: how columns can be named otherwise.
        unreadable: the remedy where there are no names, or they are not text.

    Raises:
        ReadError: a name occurs twice, is one of Matstrata's own, or is not text.
    """
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        raise ReadError(f"{file.name} has two columns named {twice[0]!r}; name the columns {rename}")
    taken = [name for name in names if name in OWN_COLUMNS]
    if taken:
        raise ReadError(f"{file.name} has a column {taken[0]!r}, which Matstrata uses; rename it {rename}")
    if not names or any(undecodable(name) for name in names):
        raise ReadError(f"{file.name} has no readable header; {unreadable}")


def from_rows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> pa.Table:
    """Rows of text as a table."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))


def undecodable(text: str) -> bool:
    """Whether the text holds bytes that were none (lone surrogates)."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def visible(text: str) -> str:
    """The text with lone surrogates spelt out, so that it can be written."""
    return text.encode("utf-8", "backslashreplace").decode()


def raw_json(table: pa.Table) -> pa.ChunkedArray:
    """Each row of a table of strings as a JSON object, computed column by column (no loop over rows)."""
    pieces: list[object] = []
    for index, name in enumerate(table.column_names):
        pieces += ["{" if index == 0 else ", ", f"{json_text(name)}: ", _json_strings(table[name])]
    return pc.binary_join_element_wise(*pieces, "}", "")


def json_text(value: object) -> str:
    """The value as JSON, with letters of all alphabets as they are."""
    return json.dumps(value, ensure_ascii=False)


def _json_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(column, r"[\x00-\x1f]")).as_py():
        return pa.chunked_array([pa.array(map(json_text, column.to_pylist()), pa.string())])
    escaped = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise('"', escaped, '"', "")


def _positions(file_table: FileTable) -> pa.Array:
    if file_table.numbers is not None:
        return pa.array(file_table.numbers, pa.int64())
    good, taken = file_table.table.num_rows, {row.number for row in file_table.bad}
    last = good + len(file_table.bad)
    return pa.array((n for n in range(1, last + 1) if n not in taken) if taken else range(1, good + 1), pa.int64())


def _with_own_columns(table: pa.Table, numbers: pa.Array, word: str, sha256: str, raw: pa.ChunkedArray) -> pa.Table:
    record = pc.binary_join_element_wise(word, numbers.cast(pa.string()), " ")
    hashes = pa.repeat(pa.scalar(sha256), table.num_rows)
    for name, column in zip(OWN_COLUMNS, (record, hashes, raw), strict=True):
        table = table.append_column(name, column)
    return table


def _aligned(tables: Sequence[pa.Table]) -> list[pa.Table]:
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    return [
        pa.table(
            {
                name: table[name] if name in table.column_names else pa.repeat(pa.scalar(""), table.num_rows)
                for name in names
            }
        )
        for table in tables
    ]
