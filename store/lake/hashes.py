"""The hash of each Parquet file of an embedded store, in a file beside the catalog: DuckLake records sizes only.

A file that the catalog names never changes: another hash is damage. Not here: looking for it (`store.upkeep.doctor`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from matstrata.store.lake.inventory import data_files

if TYPE_CHECKING:
    import duckdb

    from matstrata.store.lake.lake import Lake

_FILE = "hashes.json"


def recorded_hashes(lake: Lake) -> Mapping[str, str]:
    """SHA-256 of files, by their path below the data folder; none where there is no record that can be read."""
    with suppress(OSError, ValueError):
        known = json.loads((lake.root / _FILE).read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else {}
    return {}


def record_hashes(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Hash the files that have no record yet, and drop the records of files that are gone. Call it under the lock.

    Where the disk refuses, or the process dies before, the next commit does it.
    """
    known = recorded_hashes(lake)
    with suppress(OSError):
        now = {path: known.get(path) or _sha256(lake, path) for path in sorted({file.path for file in data_files(con)})}
        if now != known:
            partial = lake.root / f"{_FILE}.partial"
            partial.write_text(json.dumps(now, indent=0), encoding="utf-8")
            partial.replace(lake.root / _FILE)


def _sha256(lake: Lake, path: str) -> str:
    with (lake.data / path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_changed(lake: Lake, path: str, known: Mapping[str, str]) -> bool:
    """Whether a file is another than the one that was recorded.

    Raises:
        OSError: it can't be read.
    """
    return path in known and known[path] != _sha256(lake, path)
