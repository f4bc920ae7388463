"""Which files a store consists of: those that its catalog names, and those in its folders.

Not here: what is wrong with them (`store.upkeep.doctor`), nor what may go (`store.upkeep.maintenance`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from matstrata.store.lake.atomic import PARTIAL
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.files import DATA, Stored

META = f"__ducklake_metadata_{CATALOG}"  # where DuckLake attaches its catalog's own tables
FROZEN = ("training_sets", "models")  # tables, and the folders of the files that their rows name


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file that the catalog names: rows (`data`) or positions of deleted rows (`deletes`).

    `number` is that of the file of rows, also for its deletes. `path` is relative to the data folder. Snapshots from
    `begin` up to, not including, `end` read it.
    """

    table: str
    kind: str
    number: int
    path: str
    rows: int
    size: int
    footer: int
    begin: int
    end: int | None

    @property
    def name(self) -> str:
        """The file's name in the store."""
        return DATA + self.path

    def seen_by(self, snapshot: int) -> bool:
        """Whether a snapshot reads this file."""
        return self.begin <= snapshot and (self.end is None or snapshot < self.end)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A Parquet file that no snapshot reads any more, and since when: older queries may still read it."""

    number: int
    path: str
    since: datetime

    @property
    def name(self) -> str:
        """The file's name in the store."""
        return DATA + self.path


def data_files(con: duckdb.DuckDBPyConnection) -> list[DataFile]:
    """All Parquet files that some snapshot reads."""
    selects = [
        f"SELECT s.schema_name || '.' || t.table_name, '{kind}', f.data_file_id, {_path('f')}, f.{rows}, "
        f"f.file_size_bytes, f.footer_size, f.begin_snapshot, f.end_snapshot FROM {META}.{table} f "
        f"JOIN (SELECT table_id, any_value(table_name ORDER BY begin_snapshot DESC) AS table_name, "
        f"any_value(schema_id) AS schema_id, any_value(path) AS path FROM {META}.ducklake_table GROUP BY table_id) t "
        "USING (table_id) JOIN (SELECT schema_id, any_value(schema_name) AS schema_name, any_value(path) AS path "
        f"FROM {META}.ducklake_schema GROUP BY schema_id) s USING (schema_id)"
        for kind, table, rows in (
            ("data", "ducklake_data_file", "record_count"),
            ("deletes", "ducklake_delete_file", "delete_count"),
        )
    ]
    return [DataFile(*row) for row in con.execute(f"{' UNION ALL '.join(selects)} ORDER BY ALL").fetchall()]


def _path(file: str) -> str:
    """The SQL of a file's path below the data folder; all paths that Matstrata writes are relative."""
    return f"concat(s.path, t.path, {file}.path)"


def scheduled_files(con: duckdb.DuckDBPyConnection) -> list[Scheduled]:
    """The Parquet files that wait to be deleted."""
    rows = con.execute(
        f"SELECT data_file_id, path, schedule_start::TIMESTAMPTZ FROM {META}.ducklake_files_scheduled_for_deletion "
        "ORDER BY ALL"
    ).fetchall()
    return [Scheduled(*row) for row in rows]


def forget_scheduled(con: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> None:
    """Take deleted files off the list of those that wait to be deleted."""
    listed = ", ".join(f"{number:d}" for number in numbers)
    con.execute(f"DELETE FROM {META}.ducklake_files_scheduled_for_deletion WHERE data_file_id IN ({listed})")


def orphaned_files(con: duckdb.DuckDBPyConnection, stored: Mapping[str, Stored]) -> list[str]:
    """Parquet files that the catalog does not name: of a process that died before its commit, or of one at work now.

    Args:
        con: A connection to the store.
        stored: The store's files, by name.
    """
    named = {file.name for file in data_files(con)} | {file.name for file in scheduled_files(con)}
    return sorted(name for name in stored if name.startswith(DATA) and name.endswith(".parquet") and name not in named)


def unregistered_files(con: duckdb.DuckDBPyConnection, stored: Mapping[str, Stored]) -> list[str]:
    """Frozen training sets and models without a row, and half-written files, whose process died or is at work now.

    Args:
        con: A connection to the store.
        stored: The store's files, by name.
    """
    unregistered = {name for name in stored if name.endswith(PARTIAL) and not name.startswith(DATA)}
    for table in FROZEN:
        registered = {
            path.partition(".")[0] for (path,) in con.execute(f"SELECT DISTINCT path FROM {table}").fetchall()
        }
        unregistered |= {
            name for name in stored if name.startswith(f"{table}/") and name.partition(".")[0] not in registered
        }
    return sorted(unregistered)


def size(names: Iterable[str], stored: Mapping[str, Stored]) -> int:
    """Bytes of the stored files among `names`."""
    return sum(stored[name].size for name in names if name in stored)


def columns_with_nan(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """The tables whose present files hold NaN, and in how many columns: by the catalog's statistics of files."""
    return con.execute(
        "SELECT if(s.schema_name = 'main', '', s.schema_name || '.') || t.table_name AS name, "
        f"count(DISTINCT c.column_id) FROM {META}.ducklake_file_column_stats c "
        f"JOIN {META}.ducklake_data_file f USING (data_file_id) "
        f"JOIN {META}.ducklake_table t ON t.table_id = f.table_id JOIN {META}.ducklake_schema s USING (schema_id) "
        "WHERE c.contains_nan::BOOLEAN AND f.end_snapshot IS NULL AND t.end_snapshot IS NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
