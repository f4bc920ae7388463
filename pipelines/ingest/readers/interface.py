"""The interface of a reader: what it must be able to do, what it is shown of an unknown file, what it answers.

Not here: the readers (one module a format), and which of them there are (`pipelines.ingest.readers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matstrata.pipelines.ingest.readers.archives import is_archive, is_packed, read_bytes, read_start
from matstrata.pipelines.ingest.records import RawRecords, SourceFile

SAMPLE_ROWS = 4000
"""Rows of a file that a sample holds at most."""
LOOK_BYTES = 4 << 20
"""Of a plain file, shown to readers that might take it; enough for thousands of rows, and read at once."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a file before it is decided which reader takes it.

    Attributes:
        file: the file, packed as it is.
        members: the names of an archive's files while no single one of them is looked at; otherwise empty.
        member: the archive's member that is looked at, to be given to `read` as an option; None where the file is not
            an archive, or is one of a single file.
        beginning: the first bytes, unpacked; empty where `members` are looked at.
        cut: whether there is more than `beginning`.
    """

    file: SourceFile
    members: tuple[str, ...] = ()
    member: str | None = None
    beginning: bytes = b""
    cut: bool = False

    @property
    def name(self) -> str:
        """The name by which the format may be known: the member's, or the file's."""
        return self.member or self.file.name

    @property
    def options(self) -> dict[str, object]:
        """The options that `read` needs to come to these bytes."""
        return {"member": self.member} if self.member else {}

    def content(self) -> bytes:
        """All bytes, unpacked.

        Raises:
            ReadError: the file is damaged, or unpacks without end.
        """
        return read_bytes(self.file, self.member) if self.cut else self.beginning


def look_at(file: SourceFile, member: str | None = None) -> Look:
    """Look at the beginning of a file, or of one member of an archive.

    Raises:
        ReadError: the file is empty or damaged.
    """
    if is_archive(file) or is_packed(file):  # its damage shows only where all of it is unpacked
        return Look(file, member=member, beginning=read_bytes(file, member))
    start = read_start(file, LOOK_BYTES)
    return Look(file, beginning=start, cut=len(start) >= LOOK_BYTES)


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file, as its reader would give it.

    Attributes:
        file: the file.
        reader: the name of the reader that takes it.
        options: the reader's options.
        names: its columns.
        rows: the first rows, at most `SAMPLE_ROWS`; as many cells as columns.
        whole: whether these are all rows.
        checks: what a person should look at.
        decimal: the decimal sign of its numbers; the rows here have points.
    """

    file: SourceFile
    reader: str
    options: Mapping[str, object]
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    whole: bool
    checks: tuple[str, ...] = ()
    decimal: str = "."

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Reader:
    """One file format.

    Attributes:
        name: as contracts give it in `reader:`.
        read: all records of a source, from its files and the contract's `options`. It raises `InputError` for a wrong
            option and `ReadError` for a file that is unusable as a whole; a record that can't be read is a `Rejection`.
        recognize: whether a file is of this format, by its first bytes, its name or an archive's members. None for a
            format that a contract must name, as its files can't be told from others.
        sample: the first rows of a file that `recognize` took, for drafting; several samples are ways to read it, of
            which drafting takes the one that it understands best, and none means that, on a closer look, the format is
            another. It raises `ReadError` for a file that is damaged.
        suffixes: endings of files of this format, such as ".csv", by which the data are told from the other files of
            an archive.
        takes_any_text: `recognize` takes files of many formats; readers that know one format are asked before.
    """

    name: str
    read: Callable[[Sequence[SourceFile], Mapping[str, object]], RawRecords]
    recognize: Callable[[Look], bool] | None = None
    sample: Callable[[Look], Sequence[Sample]] | None = None
    suffixes: tuple[str, ...] = ()
    takes_any_text: bool = False
