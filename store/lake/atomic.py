"""Files and folders that appear whole or not at all, whenever the process dies.

Not here: which files a store consists of (`store.lake.inventory`), and files in S3 (`store.lake.files`).
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".partial"  # what is left of a write whose process died; the doctor finds it, maintenance deletes it


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path next to `path` to write a file to; it takes the place of `path` when the block ends without an error.

    The content is on the disk before it has the name. Two processes that write the same file don't disturb each other:
    the last one to end wins.

    Raises:
        OSError: the disk refuses; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):  # a folder that can't be written holds no such file
            partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file as `replacing` does; text as UTF-8.

    Raises:
        OSError: the disk refuses; `path` is as it was.
    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder next to `folder` to fill; it gets the name when the block ends without an error.

    Raises:
        OSError: the disk refuses, or `folder` exists and is not empty; nothing of the new content stays.
    """
    partial = folder.with_name(f".{folder.name}{PARTIAL}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
