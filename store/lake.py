"""The DuckLake store itself: where it lies, how it is opened, and the one way to change it, `Lake.commit`.

Not here: what any table holds (`schemas.tables`), nor the SQL that fills them (the other modules of this package).
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from filelock import FileLock, Timeout

from schemas.errors import InputError, WorkError
from schemas.tables import TABLES, Column, Table
from store.extensions import connect
from store.signatures import signature

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("matstrata.store")

CATALOG = "lake"
SILENT_WAIT = 2.0  # seconds for which a wait for the lock needs no words
_COMPLETE: set[tuple[Path, int]] = set()  # catalogs that this process found complete; looking takes 70 ms
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
class Lake:
    """An embedded DuckLake in one folder: a SQLite catalog beside a folder of Parquet."""

    root: Path
    lock_timeout: float = field(default=600)

    @property
    def catalog_file(self) -> Path:
        """The SQLite catalog."""
        return self.root / "catalog.sqlite"

    @property
    def data(self) -> Path:
        """The folder of Parquet files."""
        return self.root / "data"

    def exists(self) -> bool:
        """Whether a store lies here."""
        return self.catalog_file.exists()

    def init(self) -> None:
        """Create the store with all its tables; nothing happens where they exist already.

        All tables are made here, at once, because concurrent DDL conflicts (DuckLake issues 1248 and 1404).

        Raises:
            WorkError: the folder can't be written.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(
                f"the store folder {self.root} can't be created: {error}; set MATSTRATA_STORE to another"
            ) from error
        if self._identity() in _COMPLETE:
            return
        if not self._complete():
            with self.commit("create the store's tables") as transaction:
                for statement in _wanting(transaction.con):  # another process may have made them meanwhile
                    transaction.con.execute(statement)
        _COMPLETE.add(self._identity())

    def _identity(self) -> tuple[Path, int]:
        """Which catalog lies here: another one in the same place is another store."""
        return self.catalog_file, self.catalog_file.stat().st_ino if self.exists() else 0

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
        """
        con = self.connect_reader(snapshot)
        try:
            yield con
        finally:
            con.close()

    def connect_reader(self, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
        """As `reader`, but the caller closes the connection."""
        nowhere = f"there is no store in {self.root}; make one with 'matstrata run', or set MATSTRATA_STORE"
        if not self.exists():
            raise InputError(nowhere)
        if snapshot is not None and snapshot < 0:
            raise InputError(f"the store has no snapshot {snapshot}; they count from 0")
        con = connect()
        try:
            self._attach(con, "READ_ONLY" if snapshot is None else f"READ_ONLY, SNAPSHOT_VERSION {int(snapshot)}")
        except duckdb.Error as error:
            con.close()
            if "creating a new DuckLake is explicitly disabled" in str(error):  # its maker died before its first commit
                raise InputError(nowhere) from error
            if snapshot is not None and "snapshot" in str(error).lower():
                raise InputError(
                    f"the store has no snapshot {snapshot}; 'matstrata status' shows the newest"
                ) from error
            raise WorkError(f"the store in {self.root} can't be opened: {error}") from error
        return con

    def _attach(self, con: duckdb.DuckDBPyConnection, options: str) -> None:
        """Attach the lake as it lies now: it may have been moved or copied, whatever path its catalog recalls."""
        con.execute(
            f"ATTACH 'ducklake:sqlite:{_quoted(self.catalog_file)}' AS {CATALOG} "
            f"(DATA_PATH '{_quoted(self.data)}/', OVERRIDE_DATA_PATH true, META_BUSY_TIMEOUT 60000, "
            f"DATA_INLINING_ROW_LIMIT 0, {options})"  # rows in the catalog break time travel (decision 11)
        )
        con.execute(f"USE {CATALOG}")

    def snapshot(self) -> int:
        """The number of the newest snapshot."""
        with self.reader() as con:
            return current_snapshot(con)

    @contextmanager
    def commit(self, message: str, facts: Mapping[str, Any] | None = None) -> Iterator[Transaction]:
        """The one way to write: lock, begin, let the caller write, label the snapshot, commit.

        The lock is a file lock: it holds off threads and processes alike, and dies with its owner. An exception in the
        block, or a crash, leaves the store as it was. A block that changes nothing makes no snapshot.

        Args:
            message: what the snapshot is for; shown by `matstrata status` and the report.
            facts: goes to the snapshot's JSON `extra_info`.

        Raises:
            WorkError: another writer held the lock too long, or the disk refused.
        """
        if not message.strip():
            raise InputError("a commit needs a message")
        with self.locked(message):
            con = connect()
            try:
                self._attach(con, "META_JOURNAL_MODE 'WAL'")
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
            except duckdb.Error as error:
                if not _is_refusal(error):
                    raise
                raise WorkError(
                    f"the commit {message!r} to {self.root} failed and left the store as it was: {error}; "
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
    comments = dict(
        con.execute(f"SELECT view_name, comment FROM duckdb_views() WHERE database_name = '{CATALOG}'").fetchall()
    )
    for name, (row, definition) in VIEWS.items():
        comment = f"{row} ({signature(definition)[:8]})"
        if comments.get(name) != comment:
            statements += [f"CREATE OR REPLACE VIEW {name} AS {definition}", f"COMMENT ON VIEW {name} IS '{comment}'"]
    return statements


def create_statements(table: Table) -> list[str]:
    """The DDL of a table, with units and definitions as comments."""
    columns = ", ".join(f'"{column.name}" {_DUCKDB_TYPES[str(column.type)]}' for column in table.columns)
    statements = [f"CREATE TABLE {table.name} ({columns})"]
    if table.partitioned_by:
        statements.append(f"ALTER TABLE {table.name} SET PARTITIONED BY ({table.partitioned_by})")
    statements.append(f"COMMENT ON TABLE {table.name} IS '{_escaped('One row is ' + table.row)}'")
    return statements + [create_column_comment(table.name, column) for column in table.columns]


def create_column_comment(table: str, column: Column) -> str:
    """The statement that puts a column's definition and unit where any SQL client finds them."""
    return f"COMMENT ON COLUMN {table}.\"{column.name}\" IS '{_escaped(column.comment)}'"


_LABELS = """
WITH candidates AS (
    SELECT o.material_id, o.property, o.source, o.kind, o.method, o.unit, o.value, o.rank, s.policy,
        (s.label_min_temperature_k IS NULL OR o.temperature_k IS NULL
            OR o.temperature_k BETWEEN s.label_min_temperature_k AND s.label_max_temperature_k) AS preferred
    FROM observations o JOIN sources s ON o.source = s.source AND (o.kind = s.kind OR o.method <> s.method)
), chosen AS (
    SELECT *, preferred = max(preferred) OVER (PARTITION BY material_id, property, source, kind, method) AS taken
    FROM candidates
)
SELECT material_id, property, source, kind, method, any_value(unit) AS unit,
    coalesce(CASE any_value(policy)
        WHEN 'mean' THEN avg(value) WHEN 'min' THEN min(value) WHEN 'max' THEN max(value)
        WHEN 'lowest_energy' THEN arg_min(value, rank) WHEN 'newest' THEN arg_max(value, rank)
    END, median(value)) AS value,
    count(*) AS n_observations, max(value) - min(value) AS spread, any_value(policy) AS policy
FROM chosen WHERE taken GROUP BY material_id, property, source, kind, method
"""

# Pooled over materials with at least two observations: sqrt(sum of squared deviations / sum of (n - 1)). Where
# structures or molecules are known, those of one composition are no replicates of each other.
_NOISE = """
SELECT source, property, kind, method, unit, sqrt(sum(squares) / sum(n - 1)) AS pooled_sd,
    count(*) AS materials, sum(n) AS observations
FROM (
    SELECT source, property, kind, method, any_value(unit) AS unit, count(*) AS n, var_pop(value) * count(*) AS squares
    FROM observations GROUP BY source, property, kind, method, material_id, structure_id
)
WHERE n > 1 GROUP BY source, property, kind, method, unit
"""

# name -> what a row is, and the query
VIEWS = {
    "labels": ("reconciled values, one for each material, property, source and method", _LABELS),
    "replicate_noise": ("how far repeated observations of one material scatter, by source, property, method", _NOISE),
}


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def _quoted(path: Path) -> str:
    return _escaped(path.as_posix())
