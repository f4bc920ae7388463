"""The readers by the name a contract gives: each turns the bytes of one source into raw records.

Not here: the readers themselves (one module each), and what their columns mean (the contract says it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from matstrata.pipelines.ingest.records import RawRecords, SourceFile
from matstrata.schemas.errors import InputError

Reader = Callable[[Sequence[SourceFile], Mapping[str, object]], RawRecords]

# Modules are named, not imported: a reader's dependencies are paid for when a contract asks for it.
READERS: Mapping[str, str] = MappingProxyType(
    {
        "delimited": "matstrata.pipelines.ingest.readers.delimited",
        "excel": "matstrata.pipelines.ingest.readers.excel",
        "json": "matstrata.pipelines.ingest.readers.json_records",
        "matminer_dataset": "matstrata.pipelines.ingest.readers.matminer_dataset",
        "optimade": "matstrata.pipelines.ingest.readers.optimade",
        "parquet": "matstrata.pipelines.ingest.readers.parquet",
        "structure_files": "matstrata.pipelines.ingest.readers.structure_files",
        "refractiveindex_info": "matstrata.pipelines.ingest.readers.refractiveindex_info",
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
