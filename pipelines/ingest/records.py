"""What passes between a reader and the rest of ingestion: raw records, rejections, source files.

Not here: reading (`pipelines.ingest.readers`), and what a value means (`pipelines.ingest` applies the contract).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from matstrata.schemas.errors import InputError


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that broke a rule.

    Attributes:
        source_record: its position inside the file(s): "row 17", "database/Ag/Choi.yml".
        rule_id: the rule, as declared in `schemas.rules`.
        reason: a sentence: what is wrong, where, what to do.
        raw: the record as found, as JSON.
        file_sha256: the file that holds it.
    """

    source_record: str
    rule_id: str
    reason: str
    raw: str
    file_sha256: str


@dataclass(frozen=True, slots=True)
class RawRecords:
    """All records of a source as a reader found them: input records = `table.num_rows` + `len(rejections)`.

    Attributes:
        table: one row per readable record; the string columns `source_record`, `file_sha256` and `raw` (JSON), then
            the reader's own.
        rejections: the records that the reader itself could not read.
    """

    table: pa.Table
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source, on this machine.

    Attributes:
        name: as people know it ("band_gap_download.csv").
        path: where its bytes are.
        sha256: the hash of its bytes.
    """

    name: str
    path: Path
    sha256: str


class ReadError(InputError):
    """A file is unusable as a whole (truncated archive, empty file); the message names the file and the remedy."""
