"""The DuckLake catalog: a SQLite file in the embedded store, or a PostgreSQL database that several machines share.

A catalog knows how DuckDB attaches it, whether it exists, and how to hold off the writers of other machines. Not here:
its address (`store.addresses`), Parquet and other files (`store.lake.files`), nor what is written (`store.lake.lake`).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.addresses import address_parts, public_address
from matstrata.store.lake.files import DATA
from matstrata.store.lake.sql import literal

if TYPE_CHECKING:
    import psycopg

CATALOG = "lake"
_ADVISORY_LOCK = 0x4D617453  # "MatS": the lock of a database's one store
_NO_INLINING = "DATA_INLINING_ROW_LIMIT 0"  # rows in the catalog break time travel (decision 11)
_COPY_ATTEMPTS = 20  # for a catalog that other processes write to
_State = tuple[tuple[str, int, int], ...]  # names, times and sizes of files
_CREDENTIALS = "catalog"  # name of DuckDB's secret in memory


class Catalog(Protocol):
    """What the lake needs of a catalog."""

    @property
    def address(self) -> str:
        """The address that people may see: without a password."""

    @property
    def extension(self) -> str:
        """The DuckDB extension that reads it."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports of its servers."""

    def identity(self) -> Hashable | None:
        """The identity of the present catalog, not shared by another one in the same place; None without a catalog."""

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake whose Parquet files are in `data`."""

    def statement(self, data: str, options: str) -> str:
        """The SQL by which any DuckDB client attaches the lake, with credentials of its own."""

    def attach_writing(self, con: duckdb.DuckDBPyConnection, data: str) -> None:
        """Attach the lake to write to it."""

    def attach_tables(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Attach the catalog's own tables as the database `name`."""

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        """Hold off the writers of other machines."""


@dataclass(frozen=True, slots=True)
class SqliteCatalog:
    """The catalog of the embedded store: one SQLite file."""

    file: Path
    extension: str = field(default="sqlite_scanner", init=False)
    ports: tuple[int, ...] = field(default=(), init=False)

    @property
    def address(self) -> str:
        """The folder of the store."""
        return str(self.file.parent)

    def identity(self) -> Hashable | None:
        """The file's inode."""
        return self.file.stat().st_ino if self.file.exists() else None

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake in its present folder: it may have been moved or copied since the catalog recorded its path.

        Raises:
            WorkError: The folder is read-only here, and the catalog changes too fast to be copied.
        """
        catalog = SqliteCatalog(readable(self.file)) if "READ_ONLY" in options else self
        con.execute(catalog.statement(data, f"META_BUSY_TIMEOUT 60000, {_NO_INLINING}, {options}"))

    def statement(self, data: str, options: str) -> str:
        """The SQL that attaches the lake."""
        return (
            f"ATTACH {literal(f'ducklake:sqlite:{self.file.as_posix()}')} AS {CATALOG} "
            f"(DATA_PATH {literal(data)}, OVERRIDE_DATA_PATH true, {options})"
        )

    def attach_writing(self, con: duckdb.DuckDBPyConnection, data: str) -> None:
        """Attach the lake to write to it, in SQLite's WAL mode: readers and a writer don't block each other."""
        self.attach(con, data, "META_JOURNAL_MODE 'WAL'")

    def attach_tables(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Attach the catalog as a SQLite database."""
        con.execute(f"ATTACH {literal(readable(self.file).as_posix())} AS {name} (TYPE sqlite)")

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:  # noqa: ARG002 (the lake's file lock suffices)
        """Do nothing: an embedded store's file lock holds off all its writers."""
        yield


def readable(file: Path) -> Path:
    """A SQLite file that can be opened: itself, or where its folder is read-only a copy, kept until the process ends.

    Even to read a file in WAL mode, SQLite writes files next to it.

    Raises:
        WorkError: The file can't be copied, or keeps changing.
    """
    if not file.exists() or (os.access(file.parent, os.W_OK) and os.access(file, os.W_OK)):
        return file
    return _unchanged(file, lambda state: _copy(file, state))


def copied(file: Path, folder: Path) -> Path:
    """A copy of a SQLite file, with what its write-ahead log holds, in a folder of the caller's.

    Raises:
        WorkError: The file can't be copied, or keeps changing.
    """
    return _unchanged(file, lambda state: _copy_parts(file, state, folder))


def _unchanged(file: Path, copy: Callable[[_State], Path]) -> Path:
    """The copy of a file that did not change meanwhile."""
    for _ in range(_COPY_ATTEMPTS):
        state = _state(file)
        target = copy(state)
        if _state(file) == state:
            return target
    raise WorkError(
        f"the catalog of {file.parent} changed during each of {_COPY_ATTEMPTS} attempts to copy it; try again later"
    )


def _state(file: Path) -> _State:
    """Names, times and sizes of the file and of its write-ahead log."""
    parts = [part for part in (file, file.with_name(f"{file.name}-wal")) if part.exists()]
    return tuple((str(part), part.stat().st_mtime_ns, part.stat().st_size) for part in parts)


@lru_cache(maxsize=8)
def _copy(file: Path, state: _State) -> Path:
    folder = tempfile.mkdtemp(prefix="matstrata-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _copy_parts(file, state, Path(folder))


def _copy_parts(file: Path, state: _State, folder: Path) -> Path:
    try:
        for part in folder.glob(f"{file.name}*"):  # of an attempt during which the file changed
            part.unlink()
        for name, _, _ in state:
            shutil.copyfile(name, folder / Path(name).name)
    except OSError as error:
        raise WorkError(f"the catalog of {file.parent} can't be copied to be read: {error}") from error
    return folder / file.name


@dataclass(frozen=True, slots=True)
class PostgresCatalog:
    """The catalog of a shared store: a PostgreSQL database that holds this one store.

    The password, where the address has one, reaches DuckDB as a secret in memory and never as a part of a connection
    string, which errors and `duckdb_databases()` would show. Without one, libpq finds it: PGPASSWORD, ~/.pgpass.

    Args:
        url: `postgresql://[user[:password]@]host[:port]/database[?parameters]`.
    """

    url: str = field(repr=False)
    extension: str = field(default="postgres_scanner", init=False)

    @property
    def address(self) -> str:
        """The address without its password."""
        return public_address(self.url)

    @property
    def ports(self) -> tuple[int, ...]:
        """The address's, or libpq's own; one for each host."""
        port = address_parts(self.url).get("port") or os.environ.get("PGPORT") or "5432"
        return tuple(map(int, port.split(",")))

    def identity(self) -> Hashable | None:
        """The number of the catalog's first table in this database."""
        with self._session() as session:
            row = session.execute("SELECT to_regclass('ducklake_metadata')::oid").fetchone()
        return row[0] if row else None

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake; the data must be where the catalog has them, so that all machines write to one place.

        Raises:
            InputError: The catalog has the data in another place.
        """
        address, secret = self._unlock(con)
        try:
            con.execute(
                f"ATTACH {literal(f'ducklake:postgres:{address}')} AS {CATALOG} "
                f"(DATA_PATH {literal(data)}, META_{secret}, {_NO_INLINING}, {options})"
            )
        except duckdb.Error as error:
            if "does not match existing data path" not in str(error):
                raise
            raise InputError(
                f"MATSTRATA_DATA gives {data.removesuffix(DATA)} as the place of the store's files, but the catalog "
                f"{self.address} has them in another: {str(error).splitlines()[0]}"
            ) from error

    def statement(self, data: str, options: str) -> str:
        """The SQL that attaches the lake; libpq takes the password from PGPASSWORD or ~/.pgpass."""
        from psycopg.conninfo import make_conninfo  # deferred: 0.15 s

        parts = {name: value for name, value in address_parts(self.url).items() if name != "password"}
        address = literal(f"ducklake:postgres:{make_conninfo('', **parts)}")
        return f"ATTACH {address} AS {CATALOG} (DATA_PATH {literal(data)}, {options})"

    def attach_writing(self, con: duckdb.DuckDBPyConnection, data: str) -> None:
        """Attach the lake to write to it; make the catalog where there is none."""
        self.attach(con, data, "CREATE_IF_NOT_EXISTS true")

    def attach_tables(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Attach the catalog as a PostgreSQL database."""
        address, secret = self._unlock(con)
        con.execute(f"ATTACH {literal(address)} AS {name} (TYPE postgres, {secret})")

    def _unlock(self, con: duckdb.DuckDBPyConnection) -> tuple[str, str]:
        """A connection string without the password, and the option of ATTACH that adds the password."""
        from psycopg.conninfo import make_conninfo  # deferred: 0.15 s, which an embedded store saves

        parts = address_parts(self.url)
        password = parts.pop("password", None)
        option = "" if password is None else f", PASSWORD {literal(password)}"
        con.execute(f"CREATE OR REPLACE SECRET {_CREDENTIALS} (TYPE postgres{option})")
        return make_conninfo("", **parts), f"SECRET '{_CREDENTIALS}'"

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Hold an advisory lock, which dies with its session.

        Raises:
            WorkError: Another writer held it too long.
        """
        import psycopg  # deferred: 0.15 s

        with self._session() as session:
            started = time.monotonic()
            # the server gives a vanished machine up after a minute instead of two hours
            session.execute(
                "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
            )
            session.execute(f"SET lock_timeout = {max(1, round(timeout * 1000))}")
            try:
                session.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            except psycopg.errors.LockNotAvailable as error:
                raise WorkError(
                    f"a writer on this or another machine has held {self.address} for "
                    f"{time.monotonic() - started:.0f} s; wait for it to end, or raise MATSTRATA_LOCK_TIMEOUT"
                ) from error
            yield

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        import psycopg  # deferred: 0.15 s
        from psycopg.conninfo import make_conninfo

        try:
            session = psycopg.connect(make_conninfo("", **address_parts(self.url)), autocommit=True, connect_timeout=20)
        except psycopg.OperationalError as error:
            raise WorkError(
                f"the catalog {self.address} can't be reached: {str(error).strip()}; check MATSTRATA_CATALOG, "
                "and that the password is in it, in PGPASSWORD or in ~/.pgpass"
            ) from error
        try:
            yield session
        finally:
            session.close()
