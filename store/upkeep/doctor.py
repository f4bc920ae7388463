"""Doctor: does the store agree with its catalog? Each finding says what is wrong and how to repair it.

A Parquet file's size and footer are compared with the catalog's, and its hash with the recorded one
(`store.lake.hashes`). Not here: repairs, which `matstrata maintain`, `restore` and the pipelines make.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES, feature_label
from matstrata.store.features.decoded import damaged
from matstrata.store.features.sets import ENTITIES
from matstrata.store.lake.catalogs import CATALOG, readable
from matstrata.store.lake.files import Stored
from matstrata.store.lake.hashes import is_changed, recorded_hashes
from matstrata.store.lake.inventory import (
    DataFile,
    columns_with_nan,
    data_files,
    orphaned_files,
    scheduled_files,
    size,
    unregistered_files,
)
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.lake.sql import identifier
from matstrata.store.records.checks import conservation
from matstrata.store.upkeep.releases import pins

_PARQUET = b"PAR1"
_RESTORE = "restore the newest backup ('matstrata restore', or what PostgreSQL and the bucket offer); without one, {}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be; it must be repaired where `damage` is true, and else is information."""

    check: str
    damage: bool
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The numbers of things examined, and the findings."""

    looked_at: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing needs repair."""
        return not any(finding.damage for finding in self.findings)


def examine(lake: Lake, *, deep: bool = False) -> Diagnosis:
    """Compare the catalog with the files, the frozen files with their hashes, the counts with the rows.

    Args:
        lake: The store.
        deep: Also read every row of every file.

    Raises:
        InputError: There is no store.
        WorkError: The folder's permissions keep the catalog from being opened.
    """
    if not lake.exists() and lake.catalog_lost():
        what = f"{lake.catalog_file} is missing, and {lake.data} holds the files of a store"
        return Diagnosis({"catalog": 0}, (Finding("catalog", True, what, _RESTORE.format("nothing can read them")),))
    if not lake.exists():
        raise InputError(f"there is no store in {lake.root}; set MATSTRATA_STORE, or create one with 'matstrata run'")
    broken = [] if lake.shared else list(_catalog(lake))  # PostgreSQL looks after its pages itself
    if broken:
        return Diagnosis({"catalog": 1}, tuple(broken))
    try:
        with lake.reader() as con:
            files, stored = data_files(con), lake.files.listed("")
            findings = list(_data(lake, con, files, stored, deep=deep))
            if not any(finding.damage for finding in findings):  # otherwise counting fails for the same reason
                findings += _counted(con)
                findings += _nan(con)
                findings += _caches(lake, con)
            findings += [*_pins(con), *_frozen(lake, con), *_models(lake, con), *_leftovers(lake, con, stored)]
            looked_at = {
                "files": len(files),
                "bytes": sum(file.size for file in files),
                **{table: _count(con, table) for table in ("sources", "feature_sets", "training_sets", "models")},
            }
    except (duckdb.Error, WorkError) as error:
        mend = _RESTORE.format("ask for help with this message")
        return Diagnosis({"catalog": 1}, (Finding("catalog", True, f"the catalog can't be read: {error}", mend),))
    owner = lake.lock_owner()
    if owner is not None:
        findings.append(Finding("lock", False, f"a writer is at work: {owner}", "nothing to do: it will end by itself"))
    return Diagnosis(looked_at, tuple(findings))


def _catalog(lake: Lake) -> Iterator[Finding]:
    """SQLite's own check of its pages."""
    try:
        con = sqlite3.connect(f"file:{readable(lake.catalog_file).as_posix()}?mode=ro", uri=True, timeout=60)
        try:
            results = [row[0] for row in con.execute("PRAGMA quick_check(5)").fetchall()]
        finally:
            con.close()
    except sqlite3.OperationalError as error:  # no damage: permissions forbid to read it, or to write files next to it
        raise WorkError(f"{lake.catalog_file} can't be opened: {error}; check the folder's permissions") from error
    except sqlite3.DatabaseError as error:
        results = [str(error)]
    if results != ["ok"]:
        mend = _RESTORE.format("'sqlite3 catalog.sqlite .recover' saves what is left")
        yield Finding("catalog", True, f"{lake.catalog_file} is damaged: {'; '.join(results)}", mend)


def _data(
    lake: Lake, con: duckdb.DuckDBPyConnection, files: list[DataFile], stored: Mapping[str, Stored], *, deep: bool
) -> Iterator[Finding]:
    newest, hashes = current_snapshot(con), recorded_hashes(lake.root)
    for file in files:
        wrong = _wrong_with(lake, file, stored, hashes, deep=deep)
        if wrong is None:
            continue
        readers = (
            "the newest snapshot"
            if file.seen_by(newest)
            else f"snapshots {file.begin} to {(file.end or newest + 1) - 1} only, not the newest,"
        )
        yield Finding(
            "data",
            True,
            f"{lake.files.url(file.name)} ({file.table}, {file.rows:,} rows) {wrong}; {readers} needs it",
            _RESTORE.format("put the file back from any copy of it, or build the store again"),
        )


def _wrong_with(
    lake: Lake, file: DataFile, stored: Mapping[str, Stored], hashes: Mapping[str, str], *, deep: bool
) -> str | None:
    """What is wrong with a Parquet file, or None."""
    if file.name not in stored:
        return "is missing"
    size_now = stored[file.name].size
    if size_now != file.size:
        return f"has {size_now:,} bytes instead of {file.size:,}: it was cut or changed"
    try:
        with lake.files.open(file.name) as stream:
            stream.seek(-8, 2)
            tail = stream.read()
        changed = is_changed(lake.root, file.path, hashes)
    except OSError as error:
        return f"can't be read: {error}"
    if tail[4:] != _PARQUET or int.from_bytes(tail[:4], "little") != file.footer:
        return "has a damaged footer"
    if changed:
        return "was changed since it was written: its SHA-256 is not the recorded one"
    return _unreadable(lake, file) if deep else None


def _unreadable(lake: Lake, file: DataFile) -> str | None:
    import pyarrow as pa  # deferred: 0.1 s
    import pyarrow.parquet as pq

    try:
        with lake.files.open(file.name) as stream, pq.ParquetFile(stream) as parquet:
            rows = sum(batch.num_rows for batch in parquet.iter_batches())
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"can't be read to the end: {str(error).splitlines()[0]}"
    return None if rows == file.rows else f"holds {rows:,} rows instead of {file.rows:,}"


def _counted(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    findings: list[Finding] = []
    try:
        for finding in chain(_keys(con), _counts(con)):
            findings.append(finding)  # noqa: PERF402 (those before an error count)
    except duckdb.Error as error:
        if not findings:  # a doubled source can't be counted, and is reported as such
            mend = "'matstrata doctor --deep' names the file; " + _RESTORE.format("build the store again")
            findings.append(Finding("data", True, f"a table can't be read: {str(error).splitlines()[0]}", mend))
    return findings


def _counts(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    for (source,) in con.execute("SELECT source FROM sources ORDER BY source").fetchall():
        counts = conservation(con, source)
        if not counts.holds:
            yield Finding(
                "conservation",
                True,
                f"source {source}: {counts.rows_in:,} records were read, {counts.accepted:,} are accepted, "
                f"{counts.rejected:,} rejected, {counts.in_both:,} both",
                f"matstrata refresh {source}; if that does not help, restore the newest backup",
            )
    for name, version, rows in con.execute("SELECT name, version, rows FROM feature_sets ORDER BY ALL").fetchall():
        table = f"features.{feature_label(name, version)}"
        counted = _count(con, table)
        if counted != rows:
            yield Finding(
                "features",
                True,
                f"{table} holds {counted:,} rows, and feature_sets says {rows:,}",
                _RESTORE.format(f"drop its rows and materialize {name} again"),
            )


def _keys(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """DuckLake has no keys, so doubled rows are looked for here."""
    keys = {table.name: table.key for table in TABLES.values() if table.key}
    for name, version, entity in con.execute("SELECT name, version, entity FROM feature_sets ORDER BY ALL").fetchall():
        keys[f"features.{feature_label(name, version)}"] = (ENTITIES[entity].key,)
    for table, key in keys.items():
        columns = ", ".join(map(identifier, key))
        complete = " AND ".join(f"{identifier(column)} IS NOT NULL" for column in key)
        surplus = _count(con, table) - _count(con, f"(SELECT DISTINCT {columns} FROM {table} WHERE {complete})")
        if surplus:
            what = f"{table}: {surplus:,} row(s) repeat the {', '.join(key)} of another, or lack it"
            yield Finding("keys", True, what, _RESTORE.format("report this: a write must have gone wrong"))


def _nan(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Missing numbers of a store that an older version filled: learning takes NaN for missing, SQL for the largest."""
    for table, columns in columns_with_nan(con):
        what = f"{table} holds NaN in {columns:,} column(s), as versions before wrote a missing number"
        mend = "matrices are not affected; in SQL, write nullif(column, 'nan'), or 'WHERE NOT isnan(column)'"
        yield Finding("missing numbers", False, what, mend)


def _pins(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    rows = con.execute(f"SELECT snapshot_id FROM {CATALOG}.snapshots()").fetchall()
    snapshots = {snapshot for (snapshot,) in rows}
    for snapshot, names in pins(con).items():
        if snapshot not in snapshots:
            what = f"snapshot {snapshot} is gone, and {', '.join(names)} needs it"
            yield Finding("pins", True, what, _RESTORE.format("the store can't be read as of that snapshot any more"))


def _caches(lake: Lake, con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    labels = [
        label for (label,) in con.execute("SELECT name || '_v' || version FROM feature_sets ORDER BY 1").fetchall()
    ]
    for path in damaged(con, lake.root, labels, [current_snapshot(con), *pins(con)]):
        what = f"{path} is the memory-mapped cache of a feature table, and differs from it"
        yield Finding("caches", True, what, "delete the file; it is made again from the table, which is sound")


def _frozen(lake: Lake, con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    from matstrata.store.datasets.frozen import read_frozen  # deferred: 0.1 s, numpy and pyarrow

    for row in _rows(con, "SELECT * FROM training_sets ORDER BY training_set_id, ensemble"):
        manifest = json.loads(row["manifest"] or "{}")  # none where an older version froze it
        frozen = read_frozen(lake, row["training_set_id"], manifest.get("file_sha256"))
        if isinstance(frozen, str):
            whose = row["name"] or f"{row['ensemble']}/{row['source']}"
            what = f"training set {whose} {row['training_set_id'][:12]}: its file {row['path']} is {frozen}"
            mend = "delete the file if it is there; 'matstrata run' or 'matstrata dataset build' freezes the set again"
            yield Finding("training sets", True, what, mend)


def _models(lake: Lake, con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    for row in _rows(con, "SELECT * FROM models ORDER BY model_id"):
        wrong = None
        try:
            with lake.files.open(row["path"]) as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != row["file_sha256"]:
                wrong = f"has SHA-256 {digest[:12]}… instead of {row['file_sha256'][:12]}…"
        except OSError as error:
            wrong = f"can't be read: {error.strerror or error}"
        if wrong:
            what = f"model {row['model_id']} ({row['property']}, {row['source'] or 'ensemble'}): "
            what += f"{lake.files.url(row['path'])} {wrong}"
            mend = f"delete the file if it is there, then 'matstrata run {row['property']}' trains it again"
            yield Finding("models", bool(row["serving"]), what, mend)


def _leftovers(lake: Lake, con: duckdb.DuckDBPyConnection, stored: Mapping[str, Stored]) -> Iterator[Finding]:
    kinds = {
        "data files that the catalog does not name, left by processes that died": orphaned_files(con, stored),
        "frozen or half-written files without a row": unregistered_files(con, stored),
        "files that no snapshot needs any more": [file.name for file in scheduled_files(con)],
    }
    for what, names in kinds.items():
        if names:
            message = f"{len(names):,} {what}, {size(names, stored):,} bytes, e.g. {lake.files.url(names[0])}"
            yield Finding(
                "leftovers", False, message, "nothing is wrong; 'matstrata maintain' deletes them after a day"
            )


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    return con.execute(statement).to_arrow_table().to_pylist()
