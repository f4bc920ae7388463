"""The DuckLake store itself: where it lies, how it is opened, and the one way to change it, `Lake.commit`.

Not here: what any table holds (`schemas.tables`), nor the SQL that fills them (the other modules of this package).
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import time
from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from filelock import FileLock, Timeout

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES, Column, Table
from matstrata.store.lake.catalogs import CATALOG, Catalog, PostgresCatalog, SqliteCatalog
from matstrata.store.lake.extensions import connect, escaped
from matstrata.store.lake.files import Files, LocalFiles, files_at
from matstrata.store.lake.signatures import signature
from matstrata.store.lake.views import VIEWS, WIDE, wide_view

if TYPE_CHECKING:
    import pyarrow as pa

    from matstrata.store.settings import Settings

log = logging.getLogger("matstrata.store")

SILENT_WAIT = 2.0  # seconds for which a wait for the lock needs no words
_COMPLETE: set[Hashable] = set()  # catalogs that this process found complete; looking takes 70 ms
_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "list<item: string>": "VARCHAR[]",
    "list<item: double>": "DOUBLE[]",
}


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
        """Append `rows` to `table`, column by name."""
        self.con.register("rows_to_insert", rows)
        self.con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_to_insert")
        self.con.unregister("rows_to_insert")


@dataclass(frozen=True, slots=True)
class Shared:
    """Where a store lies that several machines share."""

    catalog: str = field(repr=False)  # postgresql://…, perhaps with a password
    data: str  # s3://bucket/prefix, or a folder that all of them see


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
            InputError: of the two variables of a shared store one is missing.
        """
        shared = None
        if (settings.catalog is None) != (settings.data is None):
            raise InputError("a shared store needs both MATSTRATA_CATALOG and MATSTRATA_DATA; an embedded one, neither")
        if settings.catalog is not None and settings.data is not None:
            shared = Shared(settings.catalog.get_secret_value(), settings.data)
        return cls(settings.store, settings.lock_timeout, shared)

    @property
    def catalog(self) -> Catalog:
        """Where the tables are listed."""
        return PostgresCatalog(self.shared.catalog) if self.shared else SqliteCatalog(self.catalog_file)

    @property
    def files(self) -> Files:
        """Where Parquet, frozen training sets and models lie."""
        return files_at(self.shared.data) if self.shared else LocalFiles(self.root)

    @property
    def address(self) -> str:
        """Where the store lies, for people: no password in it."""
        return f"{self.catalog.address} with {self.files.address}" if self.shared else str(self.root)

    @property
    def catalog_file(self) -> Path:
        """The SQLite catalog of the embedded store."""
        return self.root / "catalog.sqlite"

    @property
    def data(self) -> Path:
        """The folder of Parquet files of the embedded store."""
        return self.root / "data"

    def exists(self) -> bool:
        """Whether a store lies here."""
        return self.catalog.identity() is not None

    def init(self) -> None:
        """Create the store with all its tables; nothing happens where they exist already.

        All tables are made here, at once, because concurrent DDL conflicts (DuckLake issues 1248 and 1404).

        Raises:
            WorkError: the folder can't be written, the catalog or the bucket not reached.
        """
        if self._identity() in _COMPLETE:
            return
        self.files.prepare()
        if not self._complete():
            with self.commit("create the store's tables") as transaction:
                for statement in _wanting(transaction.con):  # another process may have made them meanwhile
                    transaction.con.execute(statement)
        _COMPLETE.add(self._identity())

    def _identity(self) -> Hashable:
        """Which catalog lies here: another one in the same place is another store."""
        return self.address, self.catalog.identity()

    def _complete(self) -> bool:
        """Whether all is there; it is not where a process died while it made the store, or an older version made it."""
        try:
            with self.reader() as con:
                return not _wanting(con)
        except InputError:
            return False

    @contextmanager
    def reader(self, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection, on the newest snapshot or on the one given.

        Raises:
            InputError: there is no store here, or no such snapshot.
            WorkError: the store can't be opened, or lacks its catalog.
        """
        con = self.connect_reader(snapshot)
        try:
            yield con
        finally:
            con.close()

    def connect_reader(self, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
        """As `reader`, but the caller closes the connection."""
        if not self.shared and not self.exists():  # PostgreSQL tells when it is asked for the catalog
            raise self._nowhere()
        if snapshot is not None and snapshot < 0:
            raise InputError(f"the store has no snapshot {snapshot}; they count from 0")
        con = self._connect()
        try:
            self._attach(con, "READ_ONLY" if snapshot is None else f"READ_ONLY, SNAPSHOT_VERSION {int(snapshot)}")
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
        """Whether the folder holds the files of an embedded store; asked where its catalog is missing or empty."""
        return not self.shared and any(self.data.rglob("*.parquet"))

    def _nowhere(self) -> InputError | WorkError:
        if self.catalog_lost():  # a new catalog would know none of them, and maintenance would delete them
            return WorkError(
                f"{self.catalog_file} is missing or empty, and without it {self.data} can't be read: restore "
                f"the newest backup ('matstrata restore'); to begin a new store here, move {self.data} away"
            )
        return InputError(f"there is no store in {self.address}; make one with 'matstrata run', or set MATSTRATA_STORE")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        con = connect(self.catalog.extension, *self.files.extensions, "ducklake")
        self.files.unlock(con)
        return con

    def _attach(self, con: duckdb.DuckDBPyConnection, options: str | None) -> None:
        """Attach the lake to read it with these options; without, to write."""
        data = self.files.url("data/")
        if options is None:
            self.catalog.attach_writing(con, data)
        else:
            self.catalog.attach(con, data, options)
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
            message: what the snapshot is for; shown by `matstrata status` and the report.
            facts: goes to the snapshot's JSON `extra_info`.

        Raises:
            WorkError: another writer held the lock too long, or the disk refused.
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
                    from matstrata.store.lake.hashes import record_hashes  # it needs this module

                    record_hashes(self, con)
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
        """Keep every other writer off; `commit` does so itself.

        A wait of more than a moment is logged, with who holds the lock, since when and for what.

        Args:
            purpose: what the waiting others are told.

        Raises:
            WorkError: another writer held the lock too long, or the folder can't be written.
        """
        owner = self.root / "write.owner"
        moment = min(SILENT_WAIT, self.lock_timeout)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock = self._acquire(moment)
            except Timeout:
                log.warning("waiting for another writer: %s", _description(owner))
                lock = self._acquire(self.lock_timeout - moment)
        except Timeout as error:
            raise WorkError(
                f"another writer has held {self.root} for {self.lock_timeout:g} s: {_description(owner)}; wait for it "
                "to end, or raise MATSTRATA_LOCK_TIMEOUT"
            ) from error
        except OSError as error:
            raise WorkError(f"the store folder {self.root} can't be written: {error}") from error
        try:
            with suppress(OSError):  # it informs, no more
                owner.write_text(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {purpose}")
            with self.catalog.locked(self.lock_timeout):
                yield
        finally:
            with suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    def _acquire(self, timeout: float) -> FileLock:
        """The lock, once it is free. Who waits for it holds the turn, so that nobody gets it twice while others wait.

        Without the turn, of 16 busy writers one waited for ten minutes while the others took the lock again and again.
        """
        began = time.monotonic()
        turn, lock = FileLock(self.root / "write.turn"), FileLock(self.root / "write.lock")
        turn.acquire(timeout=timeout)
        try:
            lock.acquire(timeout=max(0, timeout - (time.monotonic() - began)), poll_interval=0.01)
        finally:
            turn.release()
        return lock

    def lock_owner(self) -> str | None:
        """Who writes just now, since when and for what; None where nobody does."""
        lock = FileLock(self.root / "write.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _description(self.root / "write.owner")
        except OSError:  # where nothing can be written, nobody writes
            return None
        lock.release()
        return None


def _description(owner: Path) -> str:
    """What the holder of the lock wrote beside it, if it came to that."""
    try:
        return owner.read_text(encoding="utf-8") or "a process that does not say which"
    except OSError:
        return "a process that does not say which"


def _is_refusal(error: duckdb.Error) -> bool:
    """Whether the disk or the catalog refused, and not the SQL was wrong. SQLite's errors come without a class."""
    return isinstance(error, duckdb.IOException | duckdb.TransactionException) or type(error) is duckdb.Error


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The snapshot that `con` sees."""
    row = con.execute(f"SELECT id FROM {CATALOG}.current_snapshot()").fetchone()
    assert row is not None
    return int(row[0])


def newest_change(con: duckdb.DuckDBPyConnection, but: Collection[str]) -> tuple[int, datetime]:
    """The newest snapshot that changed anything else than some tables, and its time: all others are as it left them."""
    listed = ", ".join(f"'{name}'" for name in but)
    found = con.execute(
        f"""SELECT snapshot_id, snapshot_time FROM {CATALOG}.snapshots(), (
            SELECT list(table_id::VARCHAR) AS passed_over FROM ducklake_table_info('{CATALOG}')
            WHERE table_name IN ({listed})
        ) ORDER BY list_has_all(passed_over, flatten(map_values(changes))), snapshot_id DESC LIMIT 1"""
    ).fetchall()
    return int(found[0][0]), found[0][1]


def _wanting(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The DDL by which a store gets what it lacks: tables, columns, the schema of features, the view of labels."""
    there = con.execute(
        f"SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = '{CATALOG}' "
        "AND schema_name = 'main'"
    ).fetchall()
    tables = {table for table, _ in there}
    statements: list[str] = []
    for table in TABLES.values():
        if table.name not in tables:
            statements += create_statements(table)
            continue
        for column in table.columns:
            if (table.name, column.name) not in there:
                kind = _DUCKDB_TYPES[str(column.type)]
                statements += [
                    f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}',
                    create_column_comment(table.name, column),
                ]
    schemas = con.execute(f"SELECT schema_name FROM duckdb_schemas() WHERE database_name = '{CATALOG}'").fetchall()
    if ("features",) not in schemas:
        statements.append("CREATE SCHEMA features")
    views = _views(con)
    for name, (row, definition) in VIEWS.items():
        statements += _replace_view(views, name, row, definition)
    if WIDE not in views:
        statements += _replace_view(views, WIDE, *wide_view(_methods(con) if "observations" in tables else []))
    return statements


def refresh_wide_view(con: duckdb.DuckDBPyConnection) -> None:
    """Give `labels_wide` the columns of the properties and methods that there are now."""
    for statement in _replace_view(_views(con), WIDE, *wide_view(_methods(con))):
        con.execute(statement)


def _methods(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return con.execute("SELECT DISTINCT property, kind, method FROM observations WHERE method <> ''").fetchall()


def _views(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    found = con.execute(f"SELECT view_name, comment FROM duckdb_views() WHERE database_name = '{CATALOG}'").fetchall()
    return dict(found)


def _replace_view(views: Mapping[str, str], name: str, row: str, definition: str) -> list[str]:
    """The DDL of a view, where it is another than the one there; its comment ends with a hash that tells."""
    comment = f"{row} ({signature(definition)[:8]})"
    if views.get(name) == comment:
        return []
    return [
        f"CREATE OR REPLACE VIEW {name} AS {definition}",
        f"COMMENT ON VIEW {name} IS '{escaped(comment)}'",
    ]


def create_statements(table: Table) -> list[str]:
    """The DDL of a table, with units and definitions as comments."""
    columns = ", ".join(f'"{column.name}" {_DUCKDB_TYPES[str(column.type)]}' for column in table.columns)
    statements = [f"CREATE TABLE {table.name} ({columns})"]
    if table.partitioned_by:
        statements.append(f"ALTER TABLE {table.name} SET PARTITIONED BY ({table.partitioned_by})")
    statements.append(f"COMMENT ON TABLE {table.name} IS '{escaped('One row is ' + table.row)}'")
    return statements + [create_column_comment(table.name, column) for column in table.columns]


def create_column_comment(table: str, column: Column) -> str:
    """The statement that puts a column's definition and unit where any SQL client finds them."""
    return f"COMMENT ON COLUMN {table}.\"{column.name}\" IS '{escaped(column.comment)}'"


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
