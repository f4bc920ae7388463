"""Memory-mapped caches of feature tables: Arrow files from which large requests take their rows.

To decode 132 columns of Parquet takes longer than all the rest of a request. A cache is named by the data files of the
table at a snapshot, so that it can't be out of date; a lost one is made again. Not here: which rows a request needs
(`store.features.retrieval`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from matstrata.store.features.versions import described
from matstrata.store.lake.atomic import replacing
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.lake import current_snapshot
from matstrata.store.lake.signatures import signature
from matstrata.store.lake.sql import literal

CACHE_FOLDER = "decoded"
MIN_CACHED_ROWS = 20_000  # from which on mapping is quicker than decoding


def decoded(con: duckdb.DuckDBPyConnection, root: Path, label: str) -> pa.Table:
    """A version of a feature set as `con` sees it, from its cache, which is made for a large table that has none.

    Args:
        con: A reader of the store.
        root: The folder of the store on this machine.
        label: Name and version, such as 'magpie_v1'.

    Returns:
        The whole table, each column in one piece.
    """
    path = root / CACHE_FOLDER / f"{label}-{_content(con, label, current_snapshot(con))}.arrow"
    with suppress(OSError, pa.ArrowInvalid):
        return _mapped(path)
    table = con.sql(f"FROM {described(label)}").to_arrow_table().combine_chunks()
    if table.num_rows < MIN_CACHED_ROWS:
        return table
    try:
        _write(table, path)
        return _mapped(path)
    except OSError:  # a full or read-only disk costs speed, no more
        return table


def damaged(
    con: duckdb.DuckDBPyConnection, root: Path, labels: Iterable[str], snapshots: Iterable[int]
) -> Iterator[Path]:
    """The caches that differ from their table on one of the snapshots. Reads them whole."""
    for label in labels:
        for path in sorted((root / CACHE_FOLDER).glob(f"{label}-*.arrow")):
            of = next((each for each in snapshots if path.stem == f"{label}-{_content(con, label, each)}"), None)
            if of is not None and not _equal(con, path, described(f"{label} AT (VERSION => {of:d})")):
                yield path


def _equal(con: duckdb.DuckDBPyConnection, path: Path, table: str) -> bool:
    """Whether a cache has the rows of a table, in any order."""
    try:
        cache = _mapped(path)
        cache.validate(full=True)  # else a damaged length would lead DuckDB astray
    except (OSError, pa.ArrowInvalid):
        return False
    con.register("cache", cache)
    in_cache, in_table = (
        con.execute(f"SELECT count(*), sum(hash(t)) FROM (FROM {each}) t").fetchone() for each in ("cache", table)
    )
    con.unregister("cache")
    return bool(in_cache == in_table)


def _content(con: duckdb.DuckDBPyConnection, label: str, snapshot: int) -> str | None:
    """A hash of the names of the table's data files on a snapshot; None where there was no such table."""
    try:
        files = con.execute(
            "SELECT data_file, delete_file FROM ducklake_list_files("
            f"'{CATALOG}', {literal(label)}, schema => 'features', snapshot_version => {snapshot:d}) ORDER BY ALL"
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return signature(files)[:16]


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _write(table: pa.Table, path: Path) -> None:
    """Write the cache, all or nothing, and delete those of earlier states of the table."""
    with (
        replacing(path) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    for other in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.arrow"):
        if other != path:
            other.unlink(missing_ok=True)
