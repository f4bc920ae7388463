"""The DuckLake store itself: where it lies, how it is opened, and the one way to change it, `Lake.commit`.

Not here: its tables (`schemas.tables`, `store.lake.tables`), its lock (`store.lake.lock`), nor the SQL that fills it.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.catalogs import CATALOG, Catalog, PostgresCatalog, SqliteCatalog
from matstrata.store.lake.extensions import connect
from matstrata.store.lake.files import DATA, Files, LocalFiles, files_at
from matstrata.store.lake.hashes import record_hashes
from matstrata.store.lake.lock import WriteLock
from matstrata.store.lake.sql import literals
from matstrata.store.lake.tables import missing_statements

if TYPE_CHECKING:
    import pyarrow as pa

    from matstrata.store.settings import Settings

_COMPLETE: set[Hashable] = set()  # catalogs that this process has seen complete; looking takes 70 ms


@dataclass(slots=True)
class Transaction:
    """A write transaction: what is done on `con` becomes one snapshot, or nothing.

    `snapshot` and `changed` are known once the `with` block of `Lake.commit` has ended.
    """

    con: duckdb.DuckDBPyConnection
    facts: dict[str, Any]
    snapshot: int = -1
    changed: bool = False

    def insert(self, table: str, rows: pa.Table) -> None:
        """Append `rows` to `table`, column by name; a number that is NaN is stored as NULL."""
        self.con.register("rows_to_insert", _null_for_nan(rows))
        self.con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_to_insert")
        self.con.unregister("rows_to_insert")


def _null_for_nan(rows: pa.Table) -> pa.Table:
    """The same rows without NaN: DuckDB takes it for the largest of all numbers."""
    import pyarrow as pa  # deferred: 0.1 s, which a reader saves
    import pyarrow.compute as pc

    columns = [
        pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pa.types.is_floating(column.type)
        else column
        for column in rows.columns
    ]
    return pa.table(columns, schema=rows.schema)


@dataclass(frozen=True, slots=True)
class Shared:
    """The two addresses of a store that several machines share."""

    catalog: str = field(repr=False)  # postgresql://…, perhaps with a password
    data: str  # s3://bucket/prefix, or a folder that all machines see


@dataclass(frozen=True, slots=True)
class Lake:
    """A DuckLake: embedded in the folder `root`, or shared, and then `root` holds this machine's pages and lock."""

    root: Path
    lock_timeout: float = field(default=600)
    shared: Shared | None = field(default=None)

    @classmethod
    def of(cls, settings: Settings) -> Lake:
        """The store that the settings name.

        Raises:
            InputError: One of the two variables of a shared store is missing.
        """
        shared = None
        if (settings.catalog is None) != (settings.data is None):
            raise InputError("a shared store needs both MATSTRATA_CATALOG and MATSTRATA_DATA; an embedded one, neither")
        if settings.catalog is not None and settings.data is not None:
            shared = Shared(settings.catalog.get_secret_value(), settings.data)
        return cls(settings.store, settings.lock_timeout, shared)

    @property
    def catalog(self) -> Catalog:
        """The catalog: in SQLite, or of a shared store in PostgreSQL."""
        return PostgresCatalog(self.shared.catalog) if self.shared else SqliteCatalog(self.catalog_file)

    @property
    def files(self) -> Files:
        """The place of Parquet files, frozen training sets and models."""
        return files_at(self.shared.data) if self.shared else LocalFiles(self.root)

    @property
    def address(self) -> str:
        """The store's address, as people may see it: without a password."""
        return f"{self.catalog.address} with {self.files.address}" if self.shared else str(self.root)

    @property
    def catalog_file(self) -> Path:
        """The SQLite catalog of the embedded store."""
        return self.root / "catalog.sqlite"

    @property
    def data(self) -> Path:
        """The folder of Parquet files of the embedded store."""
        return self.root / DATA

    def exists(self) -> bool:
        """Whether there is a store here."""
        return self.catalog.identity() is not None

    def init(self) -> None:
        """Create the store with all its tables; nothing happens where they exist already.

        All tables are made here, at once, because concurrent DDL conflicts (DuckLake issues 1248 and 1404).

        Raises:
            WorkError: The folder can't be written, or the catalog or the bucket can't be reached.
        """
        if self._identity() in _COMPLETE:
            return
        self.files.prepare()
        if not self._complete():
            with self.commit("create the store's tables") as transaction:
                for statement in missing_statements(transaction.con):  # another process may have made them meanwhile
                    transaction.con.execute(statement)
        _COMPLETE.add(self._identity())

    def _identity(self) -> Hashable:
        """The identity of the catalog: another catalog in the same place is another store."""
        return self.address, self.catalog.identity()

    def _complete(self) -> bool:
        """Whether no table is missing, as where the process that made the store died, or was an older version."""
        try:
            with self.reader() as con:
                return not missing_statements(con)
        except InputError:
            return False

    @contextmanager
    def reader(self, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection, on the newest snapshot or on the one given.

        Raises:
            InputError: There is no store here, or no such snapshot.
            WorkError: The store can't be opened, or its catalog is missing.
        """
        con = self.connect_reader(snapshot)
        try:
            yield con
        finally:
            con.close()

    def connect_reader(self, snapshot: int | None = None, catalog: Catalog | None = None) -> duckdb.DuckDBPyConnection:
        """As `reader`, but the caller closes the connection; and `catalog` may be a copy of the store's."""
        if not self.shared and not self.exists():  # of a shared store, attaching the catalog tells
            raise self._nowhere()
        if snapshot is not None and snapshot < 0:
            raise InputError(f"the store has no snapshot {snapshot}; snapshots are numbered from 0")
        con = self._connect()
        try:
            options = "READ_ONLY" if snapshot is None else f"READ_ONLY, SNAPSHOT_VERSION {int(snapshot)}"
            self._attach(con, options, catalog)
        except duckdb.Error as error:
            con.close()
            if "creating a new DuckLake is explicitly disabled" in str(error):  # its maker died before its first commit
                raise self._nowhere() from error
            if snapshot is not None and "snapshot" in str(error).lower():
                raise InputError(
                    f"the store has no snapshot {snapshot}; 'matstrata status' shows the newest"
                ) from error
            raise WorkError(f"the store in {self.address} can't be opened: {error}") from error
        return con

    def catalog_lost(self) -> bool:
        """Whether the folder holds the files of an embedded store; asked when the catalog is missing or empty."""
        return not self.shared and any(self.data.rglob("*.parquet"))

    def _nowhere(self) -> InputError | WorkError:
        if self.catalog_lost():  # a new catalog would name none of them, and maintenance would delete them
            return WorkError(
                f"{self.catalog_file} is missing or empty, and without it {self.data} can't be read: restore "
                f"the newest backup ('matstrata restore'); to begin a new store here, move {self.data} away"
            )
        return InputError(f"there is no store in {self.address}; make one with 'matstrata run', or set MATSTRATA_STORE")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        con = connect(self.catalog.extension, *self.files.extensions, "ducklake")
        self.files.unlock(con)
        return con

    def _attach(self, con: duckdb.DuckDBPyConnection, options: str | None, catalog: Catalog | None = None) -> None:
        """Attach the lake to read it with these options; without, to write."""
        data = self.files.url(DATA)
        if options is None:
            self.catalog.attach_writing(con, data)
        else:
            (catalog or self.catalog).attach(con, data, options)
        con.execute(f"USE {CATALOG}")

    def make_catalog(self) -> None:
        """Make a catalog without any table, where there is none."""
        con = self._connect()
        try:
            self._attach(con, None)
        finally:
            con.close()

    def snapshot(self) -> int:
        """The number of the newest snapshot."""
        with self.reader() as con:
            return current_snapshot(con)

    @contextmanager
    def commit(self, message: str, facts: Mapping[str, Any] | None = None) -> Iterator[Transaction]:
        """The one way to write: lock, begin, let the caller write, label the snapshot, commit.

        A file lock holds off this machine's threads and processes; on a shared store an advisory lock of PostgreSQL
        holds off other machines. Both die with their owner. An exception in the block, or a crash, leaves the store as
        it was. A block that changes nothing makes no snapshot.

        Args:
            message: What the snapshot is for; `matstrata status` and the report show it.
            facts: Details, for the snapshot's JSON `extra_info`.

        Raises:
            WorkError: Another writer held the lock too long, or the disk refused.
        """
        if not message.strip():
            raise InputError("a commit needs a message")
        with self.locked(message):
            con = self._connect()
            try:
                self._attach(con, None)
                before = current_snapshot(con)
                con.execute("BEGIN")
                transaction = Transaction(con, dict(facts or {}))
                yield transaction
                con.execute(
                    f"CALL {CATALOG}.set_commit_message(?, ?, extra_info => ?)",
                    [_author(), message, json.dumps(transaction.facts, sort_keys=True)],
                )
                con.execute("COMMIT")
                transaction.snapshot = current_snapshot(con)
                transaction.changed = transaction.snapshot != before
                if transaction.changed and not self.shared:
                    record_hashes(self.root, con)
            except duckdb.Error as error:
                if not _is_refusal(error):
                    raise
                raise WorkError(
                    f"the commit {message!r} to {self.address} failed and left the store as it was: {error}; "
                    "check free space and permissions, then run again"
                ) from error
            finally:
                con.close()

    @contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        """Keep every other writer off, also those of other machines; `commit` does so itself.

        Args:
            purpose: What the lock is held for, as waiting processes report it.

        Raises:
            WorkError: Another writer held the lock too long, or the folder can't be written.
        """
        with self._write_lock.holding(purpose), self.catalog.locked(self.lock_timeout):
            yield

    def lock_owner(self) -> str | None:
        """Which process of this machine writes just now, since when and for what; None where none does."""
        return self._write_lock.owner()

    @property
    def _write_lock(self) -> WriteLock:
        return WriteLock(self.root, self.lock_timeout)


def _is_refusal(error: duckdb.Error) -> bool:
    """Whether the disk or the catalog refused, and the SQL is not to blame; SQLite's errors have no class."""
    return isinstance(error, duckdb.IOException | duckdb.TransactionException) or type(error) is duckdb.Error


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The snapshot that `con` sees."""
    row = con.execute(f"SELECT id FROM {CATALOG}.current_snapshot()").fetchone()
    assert row is not None
    return int(row[0])


def newest_change(con: duckdb.DuckDBPyConnection, but: Collection[str]) -> tuple[int, datetime]:
    """The newest snapshot that changed any table outside `but`, and its time: those tables are as it left them."""
    rows = con.execute(
        f"""SELECT snapshot_id, snapshot_time FROM {CATALOG}.snapshots(), (
            SELECT list(table_id::VARCHAR) AS passed_over FROM ducklake_table_info('{CATALOG}')
            WHERE table_name IN ({literals(but)})
        ) ORDER BY list_has_all(passed_over, flatten(map_values(changes))), snapshot_id DESC LIMIT 1"""
    ).fetchall()
    return int(rows[0][0]), rows[0][1]


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
