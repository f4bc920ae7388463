"""The hash of each Parquet file of an embedded store, in a file next to the catalog: DuckLake records sizes only.

A file that the catalog names never changes, so a different hash means damage. Not here: the search for damage
(`store.upkeep.doctor`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import duckdb

from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.files import DATA
from matstrata.store.lake.inventory import data_files

_FILE = "hashes.json"


def recorded_hashes(root: Path) -> Mapping[str, str]:
    """SHA-256 of files, by their path below the data folder of the store in `root`; empty without a readable record."""
    with suppress(OSError, ValueError):
        record = json.loads((root / _FILE).read_text(encoding="utf-8"))
        return record if isinstance(record, dict) else {}
    return {}


def record_hashes(root: Path, con: duckdb.DuckDBPyConnection) -> None:
    """Hash the files that have no record yet, and drop the records of files that are gone. Call it under the lock.

    Where the disk refuses, or the process dies before, the next commit does it.

    Args:
        root: The folder of the store.
        con: A connection that sees its newest snapshot.
    """
    recorded = recorded_hashes(root)
    with suppress(OSError):
        paths = sorted({file.path for file in data_files(con)})
        hashes = {path: recorded.get(path) or _sha256(root, path) for path in paths}
        if hashes != recorded:
            write_atomically(root / _FILE, json.dumps(hashes, indent=0))


def _sha256(root: Path, path: str) -> str:
    with (root / DATA / path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_changed(root: Path, path: str, recorded: Mapping[str, str]) -> bool:
    """Whether a file differs from the one that was recorded.

    Args:
        root: The folder of the store.
        path: The file, below the data folder.
        recorded: What `recorded_hashes` gives.

    Raises:
        OSError: The file can't be read.
    """
    return path in recorded and recorded[path] != _sha256(root, path)
