"""Moving a store, with all its snapshots, from the embedded form to the shared one, or back.

Files are copied first, under their own names; then the catalog's tables, row by row, in one transaction. So snapshot
numbers, releases, training sets and models stay valid, and an interrupted migration resumes where it ended.
Not here: backups of a store in the same form.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.extensions import connect
from matstrata.store.lake.files import DATA
from matstrata.store.lake.inventory import FROZEN
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.sql import identifier, literal

log = logging.getLogger("matstrata.store")

_FOLDERS = (DATA, *FROZEN)
_COPY_THREADS = 8
# How DuckLake keeps small inserts inside the catalog, by the type of their column: in SQLite, in PostgreSQL
_INLINED = {
    "varchar": ("VARCHAR", "BLOB"),
    "int64": ("BIGINT", "BIGINT"),
    "float64": ("VARCHAR", "DOUBLE"),
    "boolean": ("BIGINT", "BOOLEAN"),
    "timestamptz": ("VARCHAR", "VARCHAR"),
    "list": ("VARCHAR", "VARCHAR"),
}


@dataclass(frozen=True, slots=True)
class Migrated:
    """The result of a migration, or of a dry run."""

    source: str
    target: str
    snapshot: int
    snapshots: int
    files: int
    bytes: int
    copied: int  # files that the target lacked
    rows: Mapping[str, int]  # of each table, by name with schema


def migrate(source: Lake, target: Lake, *, dry_run: bool = False) -> Migrated:
    """Copy a store into an empty place of the other form, and compare both row by row. The source stays as it is.

    Both are locked meanwhile. An interrupted migration leaves no visible store; the next one copies what is missing.

    Args:
        source: The store to copy; its root is the target's.
        target: The empty place.
        dry_run: Change nothing, and report what would be done.

    Raises:
        InputError: There is no store to copy, or the target is not empty.
        WorkError: A place can't be reached, or the copy differs from the source; the target is then emptied.
    """
    if not source.exists():
        raise InputError(f"there is no store in {source.address}: nothing to migrate")
    with source.locked("migrate the store"), target.catalog.locked(target.lock_timeout):
        rows = _digests(source)
        done = target.catalog.identity() is not None and not _is_bare(target)
        if done and _digests(target) != rows:
            raise InputError(f"{target.address} holds a store already; migrate into an empty database and folder")
        target.files.prepare()
        sizes, copied = _sizes(source), _sizes(target)
        foreign = sorted(copied.keys() - sizes.keys())
        if foreign:
            raise InputError(
                f"{target.files.address} holds {len(foreign)} files that are not of this store, e.g. {foreign[0]}; "
                "migrate into an empty place"
            )
        missing = sorted(name for name, size in sizes.items() if copied.get(name) != size)
        if not dry_run and not done:
            log.info("copying %d of %d files to %s", len(missing), len(sizes), target.files.address)
            with ThreadPoolExecutor(_COPY_THREADS) as pool:
                for _ in pool.map(lambda name: target.files.write(name, source.files.read(name)), missing):
                    pass
            log.info("copying the catalog to %s", target.catalog.address)
            _copy_catalog(source, target)
            log.info("comparing %d tables", len(rows))
            _compare(target, rows)
        with source.reader() as con:
            snapshots = con.execute(f"SELECT count(*), max(snapshot_id) FROM {CATALOG}.snapshots()").fetchall()[0]
    return Migrated(
        source.address,
        target.address,
        snapshots[1],
        snapshots[0],
        len(sizes),
        sum(sizes.values()),
        len(missing),
        {name: count for name, (count, _) in rows.items()},
    )


def _sizes(lake: Lake) -> dict[str, int]:
    return {name: file.size for folder in _FOLDERS for name, file in lake.files.listed(folder).items()}


def _compare(target: Lake, rows: Mapping[str, tuple[int, int]]) -> None:
    """Raise, and empty the target's catalog, where it does not hold these rows."""
    arrived = None
    try:
        arrived = _digests(target)
    finally:
        if arrived != rows:
            _clear(target)
    if arrived != rows:
        different = ", ".join(sorted(name for name in rows if arrived.get(name) != rows[name]))
        raise WorkError(f"the copy in {target.address} differs from the source in {different}, and was emptied again")


def _digests(lake: Lake) -> dict[str, tuple[int, int]]:
    """Of each table of the newest snapshot, the number of its rows and a hash that knows no order."""
    with lake.reader() as con:
        tables = con.execute(
            f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = '{CATALOG}' ORDER BY ALL"
        ).fetchall()
        digests = {}
        for schema, table in tables:
            name = f"{schema}.{identifier(table)}"
            count, digest = con.execute(f"SELECT count(*), sum(hash(t)) FROM {name} t").fetchall()[0]
            digests[name] = (count, digest or 0)
        return digests


@contextmanager
def _attached(*lakes: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of catalogs themselves, as databases `source` and `target`."""
    con = connect(*(lake.catalog.extension for lake in lakes))
    try:
        con.execute("SET TimeZone = 'UTC'")
        if not lakes[0].shared and len(lakes) > 1:  # SQLite keeps a type per value, over which DuckDB would stumble
            con.execute("SET sqlite_all_varchar = true")
        for lake, name in zip(reversed(lakes), ("target", "source"), strict=False):
            lake.catalog.attach_tables(con, name)
        yield con
    finally:
        con.close()


def _is_bare(lake: Lake) -> bool:
    """Whether a catalog holds no table: it was made, and nothing more."""
    with _attached(lake) as con:
        return con.execute("SELECT count(*) FROM target.ducklake_table").fetchall() == [(0,)]


def _clear(lake: Lake) -> None:
    """Remove the catalog, so that there is no store; its files stay for the next attempt."""
    with _attached(lake) as con:
        con.execute("BEGIN")
        for table in _tables(con, "target"):
            con.execute(f"DROP TABLE target.{table}")
        con.execute("COMMIT")


def _copy_catalog(source: Lake, target: Lake) -> None:
    target.make_catalog()
    with _attached(source, target) as con:
        absolute = con.execute(
            "SELECT (SELECT count(*) FROM source.ducklake_data_file WHERE NOT path_is_relative::BOOLEAN) "
            "+ (SELECT count(*) FROM source.ducklake_delete_file WHERE NOT path_is_relative::BOOLEAN)"
        ).fetchall()
        if absolute != [(0,)]:
            raise InputError(f"{source.address} refers to files outside itself, which can't be migrated")
        con.execute("BEGIN")
        made = _tables(con, "target")
        for table, columns in _tables(con, "source").items():
            if table in made:
                con.execute(f"DELETE FROM target.{table}")
            else:
                made[table] = _create_inlined(con, table, columns, shared=target.shared is not None)
            listed = ", ".join(map(identifier, columns))
            values = ", ".join(_converted(name, columns[name], made[table][name]) for name in columns)
            con.execute(f"INSERT INTO target.{table} ({listed}) SELECT {values} FROM source.{table}")
        data = literal(target.files.url(DATA))
        con.execute(f"UPDATE target.ducklake_metadata SET value = {data} WHERE key = 'data_path'")
        con.execute("COMMIT")


def _tables(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, dict[str, str]]:
    """Of each table of a catalog, the columns with their types."""
    rows = con.execute(
        f"SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = {literal(database)} "
        "AND starts_with(table_name, 'ducklake_') ORDER BY table_name, column_index"
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def _create_inlined(
    con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], *, shared: bool
) -> dict[str, str]:
    """Make the table of small inserts, or of single deletions, that DuckLake keeps for one table of the lake."""
    number = table.removeprefix("ducklake_inlined_data_").removeprefix("ducklake_inlined_delete_").split("_")[0]
    kinds = dict(
        con.execute(
            f"SELECT column_name, column_type FROM source.ducklake_column WHERE table_id = {int(number)} "
            "AND parent_column IS NULL"
        ).fetchall()
    )
    own = columns.keys() - kinds.keys()  # row_id, begin_snapshot, end_snapshot, file_id
    unknown = {kinds[name] for name in columns.keys() - own} - _INLINED.keys()
    if unknown:
        raise WorkError(f"{table} holds small inserts of a type that can't be migrated: {', '.join(sorted(unknown))}")
    types = {name: "BIGINT" if name in own else _INLINED[kinds[name]][shared] for name in columns}
    listed = ", ".join(f"{identifier(name)} {kind}" for name, kind in types.items())
    con.execute(f"CREATE TABLE target.{table} ({listed})")
    return types


def _converted(name: str, old: str, new: str) -> str:
    """The SQL that converts a column from its type in the source to that in the target."""
    quoted = identifier(name)
    if old == new:
        return quoted
    if (old, new) == ("VARCHAR", "BLOB"):
        return f"encode({quoted})"
    if (old, new) == ("BLOB", "VARCHAR"):
        return f"decode({quoted})"
    return f"CAST({quoted} AS {new})"
