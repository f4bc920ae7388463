"""The readers by the name a contract gives: each turns the bytes of one source into raw records.

Not here: the readers themselves (one module each), and what their columns mean (the contract says it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from pipelines.ingest.records import RawRecords, SourceFile
from schemas.errors import InputError

Reader = Callable[[Sequence[SourceFile], Mapping[str, object]], RawRecords]

# Modules are named, not imported: a reader's dependencies are paid for when a contract asks for it.
READERS: Mapping[str, str] = MappingProxyType(
    {
        "delimited": "pipelines.ingest.readers.delimited",
        "excel": "pipelines.ingest.readers.excel",
        "json": "pipelines.ingest.readers.json_records",
        "matminer_dataset": "pipelines.ingest.readers.matminer_dataset",
        "optimade": "pipelines.ingest.readers.optimade",
        "parquet": "pipelines.ingest.readers.parquet",
        "structure_files": "pipelines.ingest.readers.structure_files",
        "refractiveindex_info": "pipelines.ingest.readers.refractiveindex_info",
    }
)


def get_reader(name: str) -> Reader:
    """The reader of that name.

    Raises:
        InputError: there is none.
    """
    if name not in READERS:
        raise InputError(f"unknown reader {name!r}; a contract's reader is one of {', '.join(sorted(READERS))}")
    reader: Reader = import_module(READERS[name]).read
    return reader
