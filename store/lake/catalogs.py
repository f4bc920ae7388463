"""Where the DuckLake catalog lies: in the embedded store's SQLite file, or in a PostgreSQL that several machines share.

A catalog knows how DuckDB attaches it, whether a store is there, and what holds off other writers. Not here: Parquet
and other files (`store.lake.files`), nor what is written (`store.lake.lake`).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.extensions import escaped

if TYPE_CHECKING:
    import psycopg

CATALOG = "lake"
_LOCK = 0x4D617453  # "MatS": the advisory lock of a database's one store
_NO_INLINING = "DATA_INLINING_ROW_LIMIT 0"  # rows in the catalog break time travel (decision 11)
_TRIES = 20  # to copy a catalog that others write to
_KEY = "catalog"  # name of the secret in memory


class Catalog(Protocol):
    """What the lake asks of a catalog."""

    @property
    def address(self) -> str:
        """For people: without a password."""

    @property
    def extension(self) -> str:
        """The DuckDB extension that reads it."""

    def identity(self) -> Hashable | None:
        """Which catalog is there now: another one in the same place is another; None where there is none."""

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake whose Parquet files lie in `data`."""

    def statement(self, data: str, options: str) -> str:
        """The SQL by which any DuckDB client attaches the lake; it brings its own keys."""

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

    @property
    def address(self) -> str:
        """For people."""
        return str(self.file.parent)

    def identity(self) -> Hashable | None:
        """The file's inode."""
        return self.file.stat().st_ino if self.file.exists() else None

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake as it lies now: it may have been moved or copied, whatever path its catalog recalls.

        Raises:
            WorkError: its folder can't be written, and others write to it too fast to be copied.
        """
        there = SqliteCatalog(readable(self.file)) if "READ_ONLY" in options else self
        con.execute(there.statement(data, f"META_BUSY_TIMEOUT 60000, {_NO_INLINING}, {options}"))

    def statement(self, data: str, options: str) -> str:
        """The SQL that attaches the lake."""
        return (
            f"ATTACH 'ducklake:sqlite:{escaped(self.file.as_posix())}' AS {CATALOG} "
            f"(DATA_PATH '{escaped(data)}', OVERRIDE_DATA_PATH true, {options})"
        )

    def attach_writing(self, con: duckdb.DuckDBPyConnection, data: str) -> None:
        """Readers go on beside a writer in SQLite's WAL mode."""
        self.attach(con, data, "META_JOURNAL_MODE 'WAL'")

    def attach_tables(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """As a SQLite database."""
        con.execute(f"ATTACH '{escaped(readable(self.file).as_posix())}' AS {name} (TYPE sqlite)")

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:  # noqa: ARG002 (the lake's file lock is all it takes)
        """The store's own file lock holds off all writers there can be."""
        yield


def readable(file: Path) -> Path:
    """A SQLite file that can be opened: itself, or where its folder can't be written a copy, kept until the end.

    SQLite writes beside a file in WAL mode even to read it.

    Raises:
        WorkError: the file can't be copied, or changes all the time.
    """
    if not file.exists() or (os.access(file.parent, os.W_OK) and os.access(file, os.W_OK)):
        return file
    for _ in range(_TRIES):
        state = _state(file)
        copy = _copy(file, state)
        if _state(file) == state:
            return copy
    raise WorkError(f"{file.parent} can't be written, and others write to it all the time; try again later")


def _state(file: Path) -> tuple[tuple[str, int, int], ...]:
    """The file and what SQLite has not yet put into it, by name, time and size."""
    parts = [part for part in (file, file.with_name(f"{file.name}-wal")) if part.exists()]
    return tuple((str(part), part.stat().st_mtime_ns, part.stat().st_size) for part in parts)


@lru_cache(maxsize=8)
def _copy(file: Path, state: tuple[tuple[str, int, int], ...]) -> Path:
    try:
        folder = tempfile.mkdtemp(prefix="matstrata-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for part, _, _ in state:
            shutil.copyfile(part, Path(folder) / Path(part).name)
    except OSError as error:
        raise WorkError(f"{file.parent} can't be written, so its catalog is copied to be read: {error}") from error
    return Path(folder) / file.name


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
        """For people: the address without its password."""
        return public_address(self.url)

    def identity(self) -> Hashable | None:
        """The number of the catalog's first table in this database."""
        with self._session() as session:
            row = session.execute("SELECT to_regclass('ducklake_metadata')::oid").fetchone()
        return row[0] if row else None

    def attach(self, con: duckdb.DuckDBPyConnection, data: str, options: str) -> None:
        """Attach the lake; the data must lie where the catalog says, lest two machines write to two places.

        Raises:
            InputError: the catalog says that the data lie elsewhere.
        """
        address, secret = self._unlock(con)
        try:
            con.execute(
                f"ATTACH 'ducklake:postgres:{address}' AS {CATALOG} "
                f"(DATA_PATH '{escaped(data)}', META_{secret}, {_NO_INLINING}, {options})"
            )
        except duckdb.Error as error:
            if "does not match existing data path" not in str(error):
                raise
            raise InputError(
                f"MATSTRATA_DATA says that the store's files lie in {data.removesuffix('data/')}, but by the catalog "
                f"{self.address} they lie elsewhere: {str(error).splitlines()[0]}"
            ) from error

    def statement(self, data: str, options: str) -> str:
        """The SQL that attaches the lake; the password comes from PGPASSWORD or ~/.pgpass."""
        from psycopg.conninfo import make_conninfo  # deferred: 0.15 s

        parts = {name: value for name, value in _parts(self.url).items() if name != "password"}
        address = escaped(make_conninfo("", **parts))
        return f"ATTACH 'ducklake:postgres:{address}' AS {CATALOG} (DATA_PATH '{escaped(data)}', {options})"

    def attach_writing(self, con: duckdb.DuckDBPyConnection, data: str) -> None:
        """As `attach`, making the catalog where there is none."""
        self.attach(con, data, "CREATE_IF_NOT_EXISTS true")

    def attach_tables(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """As a PostgreSQL database."""
        address, secret = self._unlock(con)
        con.execute(f"ATTACH '{address}' AS {name} (TYPE postgres, {secret})")

    def _unlock(self, con: duckdb.DuckDBPyConnection) -> tuple[str, str]:
        """A connection string without the password, quoted for SQL, and the option that brings the password."""
        from psycopg.conninfo import make_conninfo  # deferred: 0.15 s, which the embedded store does without

        parts = _parts(self.url)
        password = parts.pop("password", None)
        given = "" if password is None else f", PASSWORD '{escaped(password)}'"
        con.execute(f"CREATE OR REPLACE SECRET {_KEY} (TYPE postgres{given})")
        return escaped(make_conninfo("", **parts)), f"SECRET '{_KEY}'"

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Hold an advisory lock, which dies with its session.

        Raises:
            WorkError: another writer held it too long.
        """
        import psycopg  # deferred: 0.15 s

        with self._session() as session:
            started = time.monotonic()
            # the server gives up a vanished machine after a minute, not after its default of two hours
            session.execute(
                "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
            )
            session.execute(f"SET lock_timeout = {max(1, round(timeout * 1000))}")
            try:
                session.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
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
            session = psycopg.connect(make_conninfo("", **_parts(self.url)), autocommit=True, connect_timeout=20)
        except psycopg.OperationalError as error:
            raise WorkError(
                f"the catalog {self.address} can't be reached: {str(error).strip()}; look at MATSTRATA_CATALOG, "
                "and whether the password is in it, in PGPASSWORD or in ~/.pgpass"
            ) from error
        try:
            yield session
        finally:
            session.close()


def public_address(url: str) -> str:
    """An address of a catalog as it may be shown: without its password.

    Raises:
        InputError: it is no such address; the message does not repeat it, since it may hold a password.
    """
    parts = _parts(url)
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts['dbname']}"


def _parts(url: str) -> dict[str, str]:
    from psycopg import ProgrammingError  # deferred: 0.15 s
    from psycopg.conninfo import conninfo_to_dict

    wanted = "MATSTRATA_CATALOG must read postgresql://user@host:5432/database"
    if not url.startswith(("postgresql://", "postgres://")):
        raise InputError(wanted)
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        parts = {}
    # a password with '/' or '@' in it shifts its rest to where it would be shown
    whole = {"host", "dbname"} <= parts.keys() and parts.get("port", "1").replace(",", "").isdigit()
    if not whole or any("@" in parts.get(name, "") for name in ("host", "dbname")):
        raise InputError(
            f"{wanted}; special characters of a password are written %40 for @, %2F for / and so on"
        ) from None
    return parts
