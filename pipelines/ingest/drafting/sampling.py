"""A look at the beginning of an unknown file: which reader takes it, with which options, and its first rows as text.

Not here: how a format is recognized and sampled (`pipelines.ingest.readers`), what the columns mean
(`pipelines.ingest.drafting.names`), and the contract made of it (`pipelines.ingest.drafting.draft`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matstrata.pipelines.ingest.fetching.files import sha256_of
from matstrata.pipelines.ingest.readers import Look, Reader, Sample, look_at, recognizing_readers
from matstrata.pipelines.ingest.readers.archives import SUFFIXES, is_archive, read_members
from matstrata.pipelines.ingest.records import ReadError, SourceFile
from matstrata.schemas.errors import InputError


def take_samples(path: Path) -> tuple[Sample, ...]:
    """Look at a file; several samples are ways in which its reader may be told to read it.

    Raises:
        InputError: there is no such file, it is empty, damaged, or holds no table.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; give the path of a data file")
    file = SourceFile(path.name, path, sha256_of(path))
    readers = recognizing_readers()
    if not is_archive(file):
        samples = _samples(look_at(file), readers)
    else:
        members = tuple(name for name, _ in read_members(file, lambda _: False, listing=True))
        samples = _samples(Look(file, members), readers)
        if not samples:
            samples = _samples(look_at(file, _choose_member(file, members, readers)), readers)
    return samples


def _samples(look: Look, readers: Sequence[Reader]) -> tuple[Sample, ...]:
    """Of the first reader that recognizes the file, and still does on a closer look."""
    for reader in readers:
        if reader.recognize is not None and reader.sample is not None and reader.recognize(look):
            samples = tuple(reader.sample(look))
            if samples:
                return samples
    return ()


def _choose_member(file: SourceFile, members: Sequence[str], readers: Sequence[Reader]) -> str | None:
    """The member of an archive that holds the data: the largest of those whose names are of a known format."""
    if len(members) == 1:
        return None
    suffixes = tuple(suffix for reader in readers for suffix in reader.suffixes)
    tables = [
        name for name in members if name.lower().endswith(suffixes) and not name.rpartition("/")[2].startswith(".")
    ]
    if not tables:
        raise ReadError(f"{file.name} holds no table, but {', '.join(members[:10])}; give the data file itself")
    sizes = {name: len(content) for name, content in read_members(file, lambda name: name in tables)}
    return max(tables, key=lambda name: sizes[name])


def stem_of(path: Path) -> str:
    """The file's name without the endings that say its format."""
    suffixes = (*SUFFIXES, *(suffix for reader in recognizing_readers() for suffix in reader.suffixes))
    name = path.name
    while stem := next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), ""):
        name = stem
    return name
