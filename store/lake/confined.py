"""A connection that can only read the store, whatever SQL it is given: the wall that does not depend on parsing.

The embedded store's catalog is a copy of the connection's own, and all work is done by threads that have given up
(`store.lake.landlock`) every file but the store's Parquet files and the copy, and the network but for the ports of a
shared store's two servers. DuckDB's own locks stand in front: alone they are not enough, because its extension for
SQLite opens files past them, and because they let a folder that may be read be written too. Not here: which SQL is let
through (`store.lake.query`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import pyarrow as pa

from matstrata.schemas.errors import WorkError
from matstrata.store.lake import landlock
from matstrata.store.lake.catalogs import SqliteCatalog, copied
from matstrata.store.lake.files import DATA
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.sql import literal

_MEMORY = Path("/dev/shm")  # noqa: S108 (where there is room when the disk is full)
_LIBRARIES = (Path("/usr"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache"), Path("/etc/localtime"))

T = TypeVar("T")


class Confined:
    """A DuckDB connection, each call of which is made by its own confined thread.

    It offers the methods of `duckdb.DuckDBPyConnection` that readers use.

    Args:
        lake: the store.
        snapshot: the snapshot to read; by default the newest.
    """

    def __init__(self, lake: Lake, snapshot: int | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, "matstrata-reader")
        folder = _private_folder(None if lake.shared else lake.catalog_file)
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            self._con = self._run(_open, lake, snapshot, folder)
        except BaseException:
            self._thread.shutdown(wait=False)
            self._remove()
            raise

    def sql(self, query: str) -> _Relation:
        """A query, computed by all threads when it is fetched."""
        return _Relation(lambda: self._run(lambda: self._con.sql(query).to_arrow_table()))

    def execute(self, query: str | duckdb.Statement, parameters: object = None) -> Self:
        """Run a statement; its result is fetched from what is returned."""
        self._run(self._con.execute, query, *(() if parameters is None else (parameters,)))
        return self

    def extract_statements(self, query: str) -> list[duckdb.Statement]:
        """The statements of a text."""
        return self._run(self._con.extract_statements, query)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        return self._run(self._con.fetchone)

    def fetchmany(self, size: int = 1) -> list[Any]:
        """The next rows."""
        return self._run(self._con.fetchmany, size)

    def fetchall(self) -> list[Any]:
        """All rows."""
        return self._run(self._con.fetchall)

    def to_arrow_table(self, batch_size: int = 1_000_000) -> pa.Table:
        """All rows as an Arrow table."""
        return self._run(self._con.to_arrow_table, batch_size)

    def to_arrow_reader(self, batch_size: int = 1_000_000) -> pa.RecordBatchReader:
        """All rows, a batch at a time, each computed when it is asked for."""
        reader = self._run(self._con.to_arrow_reader, batch_size)

        def batches() -> Iterator[pa.RecordBatch]:
            while (batch := self._run(next, reader, None)) is not None:
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def register(self, view_name: str, python_object: object) -> Self:
        """Show an Arrow table as a view."""
        self._run(self._con.register, view_name, python_object)
        return self

    def unregister(self, view_name: str) -> Self:
        """Remove such a view."""
        self._run(self._con.unregister, view_name)
        return self

    @property
    def description(self) -> list[Any]:
        """Names and types of the result's columns."""
        return self._con.description

    def interrupt(self) -> None:
        """Stop what the connection does; from any thread."""
        self._con.interrupt()

    def query_progress(self) -> float:
        """How much of the statement is done, in percent; negative where unknown."""
        return self._con.query_progress()

    def close(self) -> None:
        """Close the connection and delete its copy of the catalog."""
        if self._remove.alive:
            self._run(self._con.close)
            self._thread.shutdown()
            self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Callable[..., T], *arguments: object) -> T:
        future: Future[T] = self._thread.submit(work, *arguments)
        try:
            return future.result()
        except KeyboardInterrupt:
            while not future.done():
                self._con.interrupt()
                wait([future], timeout=0.1)
            raise


@dataclass(frozen=True, slots=True)
class _Relation:
    to_arrow_table: Callable[[], pa.Table]


def _open(lake: Lake, snapshot: int | None, folder: Path) -> duckdb.DuckDBPyConnection:
    """Open the store in this thread, then confine the thread; those of DuckDB start after that, and so within."""
    copy = folder / lake.catalog_file.name
    catalog = SqliteCatalog(copy) if not lake.shared and copy.exists() else None  # without, the lake tells what to do
    con = lake.connect_reader(snapshot, catalog)
    try:
        row = con.execute("SELECT current_setting('threads')").fetchone()
        con.execute("SET threads = 1")
        con.execute(f"SET temp_directory = {literal(str(folder / 'spilled'))}")
        con.execute(f"SET allowed_directories = [{literal(lake.files.url(DATA))}]")
        con.execute("SET python_enable_replacements = false")
        con.execute("SET enable_external_access = false")
        readable = None if lake.shared else [lake.data, *_LIBRARIES, *_packages()]
        landlock.confine(readable=readable, writable=[folder], ports=[*lake.catalog.ports, *lake.files.ports])
        con.execute(f"SET threads = {row[0] if row else 1}")
        con.execute("SET lock_configuration = true")
    except BaseException:
        con.close()
        raise
    return con


def _packages() -> list[Path]:
    """Where Python's own modules and those of installed packages are: fetching a result may import some."""
    folders = [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return [Path(sys.prefix), Path(sys.base_prefix), *folders]


def _private_folder(catalog: Path | None) -> Path:
    """A folder for what does not fit into memory, with a copy of the catalog, where there is one.

    Raises:
        WorkError: There is no room for it, or the catalog keeps changing.
    """
    failure: OSError | WorkError | None = None
    for parent in (None, _MEMORY):
        try:
            folder = Path(tempfile.mkdtemp(prefix="matstrata-", dir=parent))
        except OSError as error:
            failure = error
            continue
        try:
            if catalog is not None and catalog.exists():
                copied(catalog, folder)
        except WorkError as error:
            failure = error
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return folder
    raise WorkError(
        f"no temporary copy of the catalog can be made, so the store can't be read: {failure}; free some space, or set "
        "TMPDIR to a folder with room"
    ) from failure
