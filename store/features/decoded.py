"""Feature tables as Arrow files that are mapped, not read: what large requests take their rows from.

To decode 132 columns of Parquet takes longer than all the rest of a request. A copy is named by the data files that the
table consists of at a snapshot, so that it can't be out of date; one that is lost is made again. Not here: which rows a
request wants (`store.features.retrieval`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.lake import current_snapshot
from matstrata.store.lake.signatures import signature

FOLDER = "decoded"
WORTH = 20_000  # rows from which on mapping is quicker than decoding


def decoded(con: duckdb.DuckDBPyConnection, root: Path, label: str) -> pa.Table:
    """A version of a feature set as `con` sees it, from its copy; that of a large table is made where it is not.

    Args:
        con: a reader of the store.
        root: the folder of the store on this machine.
        label: name and version, such as 'magpie_v1'.

    Returns:
        The whole table, each column in one piece.
    """
    path = root / FOLDER / f"{label}-{_content(con, label, current_snapshot(con))}.arrow"
    with suppress(OSError, pa.ArrowInvalid):
        return _mapped(path)
    table = con.sql(f"FROM features.{label}").to_arrow_table().combine_chunks()
    if table.num_rows < WORTH:
        return table
    try:
        _keep(table, path)
        return _mapped(path)
    except OSError:  # a disk that is full or can't be written costs speed, no more
        return table


def damaged(
    con: duckdb.DuckDBPyConnection, root: Path, labels: Iterable[str], snapshots: Iterable[int]
) -> Iterator[Path]:
    """The copies that hold something else than their table did on one of the snapshots. Reads them whole."""
    for label in labels:
        for path in sorted((root / FOLDER).glob(f"{label}-*.arrow")):
            of = next((each for each in snapshots if path.stem == f"{label}-{_content(con, label, each)}"), None)
            if of is not None and not _equal(con, path, f"features.{label} AT (VERSION => {of:d})"):
                yield path


def _equal(con: duckdb.DuckDBPyConnection, path: Path, table: str) -> bool:
    """Whether a copy has the rows of a table, in any order."""
    try:
        copy = _mapped(path)
        copy.validate(full=True)  # else a damaged length would lead DuckDB astray
    except (OSError, pa.ArrowInvalid):
        return False
    con.register("copy_of_table", copy)
    found = [
        con.execute(f"SELECT count(*), sum(hash(t)) FROM (FROM {each}) t").fetchone()
        for each in ("copy_of_table", table)
    ]
    con.unregister("copy_of_table")
    return found[0] == found[1]


def _content(con: duckdb.DuckDBPyConnection, label: str, snapshot: int) -> str | None:
    """What the data files are that make up the table on a snapshot; None where there was no such table."""
    try:
        files = con.execute(
            "SELECT data_file, delete_file FROM ducklake_list_files("
            f"'{CATALOG}', '{label}', schema => 'features', snapshot_version => {snapshot:d}) ORDER BY ALL"
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return signature(files)[:16]


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _keep(table: pa.Table, path: Path) -> None:
    """Write the copy, all or nothing; the copies of what the table was before go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    for other in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.arrow"):
        if other != path:
            other.unlink(missing_ok=True)
