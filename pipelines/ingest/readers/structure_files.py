"""Reader of files that hold one structure each: CIF, POSCAR or JSON, plain, compressed, or many in an archive.

Not here: what is in a structure (`pipelines.entities.structures`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pyarrow as pa

from matstrata.pipelines.ingest.readers.archives import is_archive, read_bytes, read_members
from matstrata.pipelines.ingest.readers.interface import Reader
from matstrata.pipelines.ingest.readers.tables import OWN_COLUMNS, RAW_CHARACTERS, check_options
from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection, SourceFile
from matstrata.schemas.errors import InputError

COLUMNS = ("name", "structure")
_TAR = re.compile(r"\.(tar|tgz|tbz2?|txz)\b")


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read structures, one record for each file or each member of an archive.

    Args:
        files: the files.
        options: `members`: which files of an archive, as a pattern ("*.cif"; default all).

    Returns:
        Columns `name` (the file's, without ending) and `structure` (its text). `source_record` is the name of the file,
        or its path in the archive.

    Raises:
        InputError: an option is wrong, or the pattern fits nothing.
        ReadError: an archive is damaged.
    """
    check_options("structure_files", options, ("members",))
    pattern = str(options.get("members", "*"))
    rows: list[tuple[str, str, str, str, str]] = []
    rejections: list[Rejection] = []
    for file, record, content in _contents(files, pattern):
        name = PurePosixPath(record).stem
        if isinstance(content, ReadError):
            raw = json.dumps({"name": name}, ensure_ascii=False)
            rejections.append(Rejection(record, "structure.unreadable", str(content), raw, file.sha256))
            continue
        text = content.decode("utf-8", "replace")
        raw = json.dumps({"name": name, "text": text[:RAW_CHARACTERS]}, ensure_ascii=False)
        if not text.strip():
            reason = f"{record} is empty; give the structure"
            rejections.append(Rejection(record, "structure.empty", reason, raw, file.sha256))
        else:
            rows.append((record, file.sha256, raw, name, text))
    if not rows and not rejections:
        raise InputError(f"options.members {pattern!r} fits no file of the archive; correct it")
    columns = (
        [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        if rows
        else [pa.array([], pa.string())] * 5
    )
    return RawRecords(pa.table(columns, names=[*OWN_COLUMNS, *COLUMNS]), tuple(rejections))


def _contents(files: Sequence[SourceFile], pattern: str) -> Iterator[tuple[SourceFile, str, bytes | ReadError]]:
    """Each record's bytes; where a file is one record, what is wrong with it stops none of the others."""
    for file in files:
        content: bytes | ReadError | None = None
        try:
            if len(files) > 1 and file.path.stat().st_size == 0:
                content = b""
            elif not is_archive(file):
                content = read_bytes(file)
        except ReadError as error:
            if len(files) == 1 or _TAR.search(file.name):  # nobody knows how many records a damaged archive held
                raise
            content = error
        if content is not None:
            yield file, file.name, content
            continue
        prefix = "" if len(files) == 1 else f"{file.name} "
        for name, member in read_members(file, lambda member: fnmatch(member, pattern)):
            yield file, f"{prefix}{name}", member


READER = Reader("structure_files", read)
