"""Results of SQL as CSV, JSON and Parquet, written in batches.

Not here: tables in a terminal (`pipelines.cli.tables`), published data sets (`publishing`).
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.text import to_json, visible
from matstrata.store.lake.atomic import replacing

BATCH = 50_000  # rows
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[\d.]+([eE][+-]?\d+)?")


def export(result: duckdb.DuckDBPyConnection, format: str, output: Path | None) -> None:
    """Write an SQL result in batches.

    Args:
        result: The result; its rows are computed while they are written.
        format: `csv`, `json` or `parquet`.
        output: A file, which appears whole or not at all; None means standard output.

    Raises:
        InputError: Parquet would go to a terminal; or a value can't be computed.
        WorkError: The file can't be written.
    """
    reader = uniquely_named(result.to_arrow_reader(BATCH))
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise InputError(
            "Parquet can't be printed in a terminal; add --output FILE.parquet, or redirect it: … > FILE.parquet"
        )
    with _opened(output) as stream:
        if format == "parquet":
            with pq.ParquetWriter(stream, reader.schema, compression="zstd") as writer:
                for batch in batches(reader):
                    writer.write_batch(batch)
        elif format == "json":
            _write_json(reader, stream)
        else:
            _write_csv(reader, stream)


def batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches of a reader, which are computed while they are read.

    Raises:
        InputError: A value can't be computed; earlier batches may have been yielded.
    """
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"SQL: {error}") from error
        yield batch


def uniquely_named(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same batches with repeated column names numbered: `a.source, b.source` become source and source_1."""
    names: list[str] = []
    for name in reader.schema.names:
        free = (candidate for n in count() if (candidate := name if n == 0 else f"{name}_{n}") not in names)
        names.append(next(free))
    if names == reader.schema.names:
        return reader
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(schema, (batch.rename_columns(names) for batch in batches(reader)))


class _Screen(io.BytesIO):
    """A terminal: what it would obey is written out."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: Any) -> int:
        """Write UTF-8 with its control characters as escapes."""
        self._stream.write(visible(bytes(text).decode()).encode())
        return len(text)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        sys.stdout.flush()
        yield _Screen(sys.stdout.buffer) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.flush()
        return
    try:
        with replacing(output) as partial, partial.open("wb") as stream:
            yield stream
    except OSError as error:
        raise WorkError(f"{output} can't be written: {error}") from error


def _write_json(reader: pa.RecordBatchReader, stream: IO[bytes]) -> None:
    separator = b"[\n"
    for batch in batches(reader):
        for row in batch.to_pylist():
            stream.write(separator + to_json(row).encode())
            separator = b",\n"
    stream.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def _write_csv(reader: pa.RecordBatchReader, stream: IO[bytes]) -> None:
    class Encoded:
        def write(self, text: str) -> None:
            stream.write(text.encode())

    writer = csv.writer(Encoded(), lineterminator="\n")
    writer.writerow(map(_inert, reader.schema.names))
    for batch in batches(reader):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow(
                _inert(cell_text(value) if isinstance(value, list | dict | datetime) else value) for value in row
            )


def _inert(value: Any) -> Any:
    """Prefix an apostrophe to a text that a spreadsheet would run as a formula; signed numbers are harmless."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def cell_text(value: Any) -> str:
    """Write a value of a table as text: times in ISO format, lists and objects as JSON."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, list | dict):
        return to_json(value)
    return str(value)
