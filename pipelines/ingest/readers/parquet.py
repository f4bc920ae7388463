"""Reader of Parquet, Feather and Arrow files, through pyarrow: every column becomes text.

Not here: what a column means (the contract says it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, time
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.interface import SAMPLE_ROWS, Look, Reader, Sample
from matstrata.pipelines.ingest.readers.tables import FileTable, check_names, check_options, gather, member_name
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile

_PARQUET, _ARROW, _FEATHER = b"PAR1", b"ARROW1", b"FEA1"
_RENAME = "before the file is written"


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read Parquet, Feather or Arrow files with the same columns.

    Args:
        files: the files; each may be compressed, or an archive.
        options: `member`: which file of an archive.

    Returns:
        The file's columns as strings, nothing null: numbers in the shortest form that gives the same number, true
        and false, dates and times as in ISO 8601, lists and structs as JSON; null and NaN are empty.
        `source_record` is "row 17", or "<name> row 17" where there are several files.

    Raises:
        InputError: an option is wrong.
        ReadError: a file is damaged or of another format, has no rows, or has other columns than the first file.
    """
    check_options("parquet", options, ("member",))
    member = member_name(options)
    return gather(files, partial(_read_file, member=member))


def first_rows(file: SourceFile, member: str | None, limit: int) -> pa.Table:
    """The first rows of a file, as `read` would give them.

    Raises:
        ReadError: the file is damaged or of another format.
    """
    return _as_text(_open(file, member, limit))


def recognize(look: Look) -> bool:
    """Whether the first bytes are those of Parquet, Arrow or Feather."""
    return look.beginning.startswith((_PARQUET, _ARROW, _FEATHER))


def sample(look: Look) -> tuple[Sample, ...]:
    """The first rows.

    Raises:
        ReadError: the file is damaged.
    """
    table = first_rows(look.file, look.member, SAMPLE_ROWS + 1)
    rows = [list(row.values()) for row in table.slice(0, SAMPLE_ROWS).to_pylist()]
    whole = table.num_rows <= SAMPLE_ROWS
    return (Sample(look.file, "parquet", look.options, tuple(table.column_names), rows, whole),)


def _read_file(file: SourceFile, member: str | None) -> FileTable:
    table = _open(file, member, None)
    check_names(table.column_names, file, _RENAME, "it must have columns")
    return FileTable(_as_text(table))


def _open(file: SourceFile, member: str | None, limit: int | None) -> pa.Table:
    from pyarrow import feather, ipc, parquet

    content = read_bytes(file, member)
    source = pa.BufferReader(content)
    try:
        if content.startswith(_PARQUET):
            file_reader = parquet.ParquetFile(source)
            if limit is None:
                return file_reader.read()
            batch = next(file_reader.iter_batches(batch_size=limit), None)
            return file_reader.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
        if content.startswith(_ARROW):
            table = ipc.open_file(source).read_all()
        elif content.startswith(_FEATHER):
            table = feather.read_table(source)
        else:
            raise ReadError(f"{file.name} is not a Parquet, Feather or Arrow file; check it, or the contract's reader")
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"{file.name} is truncated or corrupt ({error}); fetch the source again") from error
    return table if limit is None else table.slice(0, limit)


def _as_text(table: pa.Table) -> pa.Table:
    columns = [_column_text(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _column_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_integer(column.type):
        return pc.fill_null(column.cast(pa.string()), "")
    if pa.types.is_boolean(column.type):
        return pc.fill_null(pc.if_else(column, "true", "false"), "")
    if pa.types.is_float16(column.type) or pa.types.is_float32(column.type):
        # through its own shortest text: 0.1 of 32 bits is 0.1, not 0.10000000149011612
        texts = pc.fill_null(column.cast(pa.float32()).cast(pa.string()), "")
        return pc.if_else(pc.is_in(texts, value_set=pa.array(["nan", "-nan"])), "", texts)
    return pa.chunked_array([pa.array(map(_text, column.to_pylist()), pa.string())])


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return "" if math.isnan(value) else repr(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, default=_text)
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case str():
            return value
        case _:
            return str(value)


READER = Reader("parquet", read, recognize, sample, suffixes=(".parquet", ".feather", ".arrow"))
