"""The readers by the name a contract gives: each turns the bytes of one source into raw records.

A format has one place, a module of this package, whose `READER` recognizes the format's files, samples them for
drafting and reads them (see `Reader`). To add one, write the module and name it in `_SHIPPED`.

A package that is not part of Matstrata adds readers by Python entry points; nothing here is edited. Its code:

    from matstrata.pipelines.ingest.readers import SAMPLE_ROWS, Look, Reader, Sample
    from matstrata.pipelines.ingest.readers.archives import read_bytes
    from matstrata.pipelines.ingest.readers.tables import FileTable, check_options, from_rows, gather
    from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile

    def read(files, options):  # Sequence[SourceFile], Mapping[str, object] -> RawRecords
        check_options("bars", options, ())
        return gather(files, lambda file: FileTable(from_rows(*_parse(read_bytes(file)))))

    def recognize(look):  # Look -> bool
        return look.beginning.startswith(b"#BARS")

    def sample(look):  # Look -> Sequence[Sample]
        names, rows = _parse(look.content())
        return [Sample(look.file, "bars", look.options, names, rows[:SAMPLE_ROWS], whole=len(rows) <= SAMPLE_ROWS)]

    READER = Reader("bars", read, recognize, sample, suffixes=(".bars",))

and its `pyproject.toml`, where the entry point's name is the reader's:

    [project.entry-points."matstrata.readers"]
    bars = "their_package.bars:READER"

From then on a contract may say `reader: bars`, and `matstrata sources draft` recognizes its files. A reader that can't
be imported, or fails, costs a sentence that names its package: other sources are ingested as ever. Matstrata's own
readers keep their names.

Not here: the readers themselves (one module each), and what their columns mean (the contract says it).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from matstrata.pipelines.ingest.readers.interface import SAMPLE_ROWS, Look, Reader, Sample, look_at
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError, WorkError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "ENTRY_POINTS",
    "SAMPLE_ROWS",
    "Look",
    "Reader",
    "Sample",
    "get_reader",
    "look_at",
    "reader_package",
    "recognizing_readers",
]

ENTRY_POINTS = "matstrata.readers"
"""The group of entry points by which other packages add readers."""

log = logging.getLogger("matstrata.ingest")

# Modules are named, not imported: a reader's dependencies are paid for when a contract asks for it. Drafting asks the
# readers in this order.
_SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "excel": "matstrata.pipelines.ingest.readers.excel",
        "parquet": "matstrata.pipelines.ingest.readers.parquet",
        "json": "matstrata.pipelines.ingest.readers.json_records",
        "delimited": "matstrata.pipelines.ingest.readers.delimited",
        "matminer_dataset": "matstrata.pipelines.ingest.readers.matminer_dataset",
        "optimade": "matstrata.pipelines.ingest.readers.optimade",
        "refractiveindex_info": "matstrata.pipelines.ingest.readers.refractiveindex_info",
        "structure_files": "matstrata.pipelines.ingest.readers.structure_files",
    }
)


def get_reader(name: str) -> Reader:
    """The reader of that name.

    Raises:
        InputError: there is none, or the package that should bring it is broken.
    """
    if name in _SHIPPED:
        return _shipped(name)
    points = _added()
    if name not in points:
        names = ", ".join(sorted([*_SHIPPED, *points]))
        raise InputError(f"unknown reader {name!r}; a contract's reader is one of {names}")
    return _load(points[name])


def reader_package(name: str) -> str:
    """Name and version of the package that brings a reader; empty for Matstrata's own, and where there is none."""
    point = None if name in _SHIPPED else _added().get(name)
    return _package(point) if point else ""


@lru_cache(maxsize=1)
def recognizing_readers() -> tuple[Reader, ...]:
    """The readers that recognize their files, in the order in which drafting asks them; broken ones are left out."""
    readers = [_shipped(name) for name in _SHIPPED]
    for point in _added().values():
        try:
            readers.append(_load(point))
        except InputError as error:
            log.warning("%s", error)
    able = [reader for reader in readers if reader.recognize is not None and reader.sample is not None]
    return tuple(sorted(able, key=lambda reader: reader.takes_any_text))


def _shipped(name: str) -> Reader:
    reader: Reader = import_module(_SHIPPED[name]).READER
    return reader


def _added() -> Mapping[str, EntryPoint]:
    """The entry points of other packages, by name; the first of a name."""
    from importlib.metadata import entry_points  # deferred: 0.04 s

    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in _SHIPPED:
            log.error(
                "the reader %r of the package %s is not used: Matstrata has one of that name; rename the entry point",
                point.name,
                _package(point),
            )
        else:
            points.setdefault(point.name, point)
    return points


def _load(point: EntryPoint) -> Reader:
    """The reader of another package, whose own errors become sentences that name the package.

    Raises:
        InputError: it can't be imported, or is not a reader of that name.
    """
    try:
        reader = point.load()
    except Exception as error:  # whatever the import of somebody else's code raises
        raise InputError(
            f"the reader {point.name!r} of the package {_package(point)} can't be imported "
            f"({type(error).__name__}: {error}); update or remove the package"
        ) from error
    if not isinstance(reader, Reader) or reader.name != point.name:
        raise InputError(
            f"{point.value} of the package {_package(point)} is not a Reader called {point.name!r}; "
            "update or remove the package"
        )
    return _guarded(reader, _package(point))


def _guarded(reader: Reader, package: str) -> Reader:
    """The reader, with its unforeseen errors turned into sentences: reading fails, and recognizing says no."""

    def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
        try:
            records = reader.read(files, options)
            if not isinstance(records, RawRecords):
                raise TypeError(f"it gave a {type(records).__name__} instead of RawRecords")  # noqa: TRY301
        except (InputError, WorkError):
            raise
        except Exception as error:
            names = ", ".join(file.name for file in files)
            raise ReadError(
                f"the reader {reader.name!r} of the package {package} failed on {names} "
                f"({type(error).__name__}: {error}); report it to the package's authors"
            ) from error
        return records

    def recognize(look: Look) -> bool:
        try:
            return reader.recognize is not None and bool(reader.recognize(look))
        except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises must not cost the draft
            _warn(look, error)
            return False

    def sample(look: Look) -> Sequence[Sample]:
        try:
            return () if reader.sample is None else tuple(_checked(reader.sample(look)))
        except (InputError, WorkError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _warn(look, error)
            return ()

    def _checked(samples: Sequence[Sample]) -> Iterator[Sample]:
        for one in samples:
            if any(len(row) != len(one.names) for row in one.rows):
                raise ValueError("a row of its sample has more or fewer cells than there are columns")
            yield replace(one, reader=reader.name)

    def _warn(look: Look, error: Exception) -> None:
        log.warning(
            "the reader %r of the package %s failed on a look at %s (%s: %s), and is passed over",
            *(reader.name, package, look.name, type(error).__name__, error),
        )

    able = reader.recognize is not None and reader.sample is not None
    return replace(reader, read=read, recognize=recognize if able else None, sample=sample if able else None)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
