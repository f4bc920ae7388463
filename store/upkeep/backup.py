"""Backup and restore: a consistent copy of the store while other processes read and write, and its way back.

Both appear whole or not at all. The catalog is copied by SQLite under the write lock, in a moment; the files that it
names never change, so they are copied afterwards, without the lock. A manifest holds the hash of each.

Not here: looking for damage (`store.upkeep.doctor`).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.features.decoded import CACHE_FOLDER
from matstrata.store.lake.atomic import PARTIAL, appearing, write_atomically
from matstrata.store.lake.inventory import data_files
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.lake.lock import LOCK_FILES

MANIFEST = "manifest.json"
_BACKUP_FORMAT = 1
_LIVE = ("catalog.sqlite-wal", "catalog.sqlite-shm", *LOCK_FILES)  # belong to running processes
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup made or restored."""

    place: Path
    snapshot: int
    files: int
    bytes: int


def backup(lake: Lake, target: Path) -> Copied:
    """Copy the store to a new folder, which appears whole or not at all.

    Raises:
        InputError: There is no store, or `target` is not empty.
        WorkError: The disk refuses, or a file of the store is missing.
    """
    lake.snapshot()  # raises where there is no store
    target = target.resolve()
    if target.is_relative_to(lake.root):
        raise InputError(f"a backup can't be inside the store itself; choose a folder outside {lake.root}")
    with _appearing(target) as partial:
        with lake.locked("backup: copy the catalog"):
            _copy_catalog(lake.catalog_file, partial / lake.catalog_file.name)
        copy = Lake(partial)
        copy.data.mkdir()
        with copy.reader() as con:
            named = {Path(copy.data.name, file.path) for file in data_files(con)}
            snapshot = current_snapshot(con)
        for name in copy.root.glob("catalog.sqlite-*"):
            name.unlink()
        files = [_entry(partial, lake.catalog_file.relative_to(lake.root))]
        for path in sorted(named | _further_files(lake)):
            try:
                files.append(_copy(lake.root / path, partial / path, path))
            except FileNotFoundError as error:
                raise WorkError(
                    f"{lake.root / path} is missing; if maintenance ran meanwhile, start the backup again, "
                    "otherwise run 'matstrata doctor'"
                ) from error
        manifest = {
            "format": _BACKUP_FORMAT,
            "snapshot": snapshot,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        write_atomically(partial / MANIFEST, json.dumps(manifest, indent=1))
    return Copied(target, snapshot, len(files), sum(file["bytes"] for file in files))


def restore(source: Path, target: Path) -> Copied:
    """Copy a backup to the folder of a new store; each file's hash is compared on the way.

    Args:
        source: The backup.
        target: The folder of the store: absent or empty.

    Raises:
        InputError: `source` is not a backup, or `target` is not empty.
        WorkError: A file of the backup is missing or damaged, or the disk refuses.
    """
    try:
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        files: list[dict[str, Any]] = manifest["files"]
        if manifest["format"] != _BACKUP_FORMAT:
            raise InputError(f"{source} was made by another version (format {manifest['format']})")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source} is not a backup of a store: its {MANIFEST} can't be read: {error}") from error
    target = target.resolve()
    with _appearing(target) as partial:
        for file in files:
            path = Path(file["path"])
            if path.is_absolute() or ".." in path.parts:
                raise InputError(f"{source / MANIFEST} names {path}, which is outside the backup")
            try:
                copied = _copy(source / path, partial / path, path)
            except FileNotFoundError as error:
                raise WorkError(f"the backup lacks {source / path}; use another backup") from error
            if copied != file:
                raise WorkError(f"the backup is damaged: {source / path} is not the file of its manifest; use another")
        Lake(partial).data.mkdir(exist_ok=True)
    return Copied(target, manifest["snapshot"], len(files), sum(file["bytes"] for file in files))


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends without an error; after one it is gone."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty, and is never overwritten: move it away, or choose another folder")
    try:
        with appearing(target) as partial:
            yield partial
    except (OSError, sqlite3.Error) as error:
        raise WorkError(
            f"the copy to {target} failed, and nothing of it is left: {error}; check free space and permissions"
        ) from error


def _copy_catalog(source: Path, target: Path) -> None:
    """A consistent copy, with what SQLite still has in its log."""
    with closing(sqlite3.connect(source, timeout=60)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _further_files(lake: Lake) -> set[Path]:
    """The files of a store that are not the catalog's: frozen sets, models, contracts, reports."""
    excluded = {lake.catalog_file.name, *_LIVE}
    return {
        file.relative_to(lake.root)
        for file in lake.root.rglob("*")
        if file.is_file()
        and not file.is_relative_to(lake.data)
        and not file.is_relative_to(lake.root / CACHE_FOLDER)  # made again from the data
        and file.relative_to(lake.root).as_posix() not in excluded
        and not file.name.endswith(PARTIAL)
    }


def _copy(source: Path, target: Path, name: Path) -> dict[str, Any]:
    """Copy a file, which is on the disk when this returns; its entry of the manifest."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as old:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as new:
            while chunk := old.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                new.write(chunk)
            new.flush()
            os.fsync(new.fileno())
    return {"path": name.as_posix(), "bytes": size, "sha256": digest.hexdigest()}


def _entry(root: Path, name: Path) -> dict[str, Any]:
    """The manifest's entry of a file that is already in the backup."""
    with (root / name).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"path": name.as_posix(), "bytes": (root / name).stat().st_size, "sha256": digest}
