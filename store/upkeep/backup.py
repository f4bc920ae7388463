"""Backup and restore: a consistent copy of the store while others read and write, and its way back.

Both appear whole or not at all. The catalog is copied by SQLite under the write lock, in a moment; the files it names
never change, so they are copied after, without it. A manifest holds the hash of each.

Not here: looking for damage (`store.upkeep.doctor`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.features.decoded import FOLDER as DECODED
from matstrata.store.lake.inventory import data_files
from matstrata.store.lake.lake import Lake, current_snapshot

MANIFEST = "manifest.json"
_FORMAT = 1
_LIVE = (
    "catalog.sqlite-wal",
    "catalog.sqlite-shm",
    "write.lock",
    "write.turn",
    "write.owner",
)  # belong to running processes
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup made or restored."""

    place: Path
    snapshot: int
    files: int
    bytes: int


def backup(lake: Lake, target: Path) -> Copied:
    """Copy the store to a folder that does not exist yet; it appears whole or not at all.

    Raises:
        InputError: there is no store, or something lies in `target`.
        WorkError: the disk refuses, or a file of the store is missing.
    """
    lake.snapshot()  # without a store, the sentence that says so
    target = target.resolve()
    if target.is_relative_to(lake.root):
        raise InputError(f"a backup does not belong into the store itself; name a folder outside {lake.root}")
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
        for path in sorted(named | _beside(lake)):
            try:
                files.append(_copy(lake.root / path, partial / path, path))
            except FileNotFoundError as error:
                raise WorkError(
                    f"{lake.root / path} is missing; if maintenance ran meanwhile, start the backup again, "
                    "else 'matstrata doctor' says more"
                ) from error
        manifest = {
            "format": _FORMAT,
            "snapshot": snapshot,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return Copied(target, snapshot, len(files), sum(file["bytes"] for file in files))


def restore(source: Path, target: Path) -> Copied:
    """Copy a backup to where a store shall be; each file's hash is compared on the way.

    Args:
        source: the backup.
        target: the folder of the store: absent or empty. What lies elsewhere is not touched.

    Raises:
        InputError: `source` is no backup, or something lies in `target`.
        WorkError: a file of the backup is missing or damaged, or the disk refuses.
    """
    try:
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        files: list[dict[str, Any]] = manifest["files"]
        if manifest["format"] != _FORMAT:
            raise InputError(f"{source} was made by another version (format {manifest['format']})")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source} is no backup of a store: its {MANIFEST} can't be read: {error}") from error
    target = target.resolve()
    with _appearing(target) as partial:
        for file in files:
            path = Path(file["path"])
            if path.is_absolute() or ".." in path.parts:
                raise InputError(f"{source / MANIFEST} names {path}, which lies outside the backup")
            try:
                found = _copy(source / path, partial / path, path)
            except FileNotFoundError as error:
                raise WorkError(f"the backup lacks {source / path}; take another") from error
            if found != file:
                raise WorkError(f"the backup is damaged: {source / path} is not the file of its manifest; take another")
        Lake(partial).data.mkdir(exist_ok=True)
    return Copied(target, manifest["snapshot"], len(files), sum(file["bytes"] for file in files))


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder beside `target` to fill, which takes its place at the end; after an error nothing is left of it.

    What a killed process left of it is removed.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"something lies in {target}, and it is never overwritten: move it away, or name another")
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise WorkError(
            f"the copy to {target} failed, and nothing of it is left: {error}; check free space and permissions"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _copy_catalog(source: Path, target: Path) -> None:
    """A consistent copy, with what SQLite still has in its log."""
    with closing(sqlite3.connect(source, timeout=60)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _beside(lake: Lake) -> set[Path]:
    """The files of a store that are not the catalog's: frozen sets, models, contracts, reports."""
    mine = {lake.catalog_file.name, *_LIVE}
    return {
        file.relative_to(lake.root)
        for file in lake.root.rglob("*")
        if file.is_file()
        and not file.is_relative_to(lake.data)
        and not file.is_relative_to(lake.root / DECODED)  # made again from the data
        and file.relative_to(lake.root).as_posix() not in mine
        and not file.name.endswith(".partial")
    }


def _copy(source: Path, target: Path, name: Path) -> dict[str, Any]:
    """Copy a file, on the disk before this returns, and say what it is."""
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
    """What a file is that lies there already."""
    with (root / name).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"path": name.as_posix(), "bytes": (root / name).stat().st_size, "sha256": digest}
