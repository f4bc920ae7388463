"""The lock between the writers of one machine: a file lock with a turn, and a note of its owner.

It dies with the process that holds it. Not here: the lock between machines, which is the catalog's
(`store.lake.catalogs`), nor what is written under it (`store.lake.lake`).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from matstrata.schemas.errors import WorkError

log = logging.getLogger("matstrata.store")

SILENT_WAIT = 2.0  # seconds for which a wait for the lock is not logged
LOCK, TURN, OWNER = "write.lock", "write.turn", "write.owner"
LOCK_FILES = (LOCK, TURN, OWNER)


@dataclass(frozen=True, slots=True)
class WriteLock:
    """The one lock of a store's writers on this machine, threads and processes.

    Attributes:
        folder: Folder of the store, in which the lock's files lie.
        timeout: Seconds to wait for another writer.
    """

    folder: Path
    timeout: float

    @contextmanager
    def holding(self, purpose: str) -> Iterator[None]:
        """Hold the lock. After `SILENT_WAIT` seconds of waiting, log which process holds it, since when, and why.

        Args:
            purpose: What the lock is held for, as waiting processes report it.

        Raises:
            WorkError: Another writer held the lock too long, or the folder can't be written.
        """
        owner = self.folder / OWNER
        moment = min(SILENT_WAIT, self.timeout)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock = self._acquire(moment)
            except Timeout:
                log.warning("waiting for another writer: %s", self._description())
                lock = self._acquire(self.timeout - moment)
        except Timeout as error:
            raise WorkError(
                f"another writer has held {self.folder} for {self.timeout:g} s: {self._description()}; wait for it "
                "to end, or raise MATSTRATA_LOCK_TIMEOUT"
            ) from error
        except OSError as error:
            raise WorkError(f"the store folder {self.folder} can't be written: {error}") from error
        try:
            with suppress(OSError):  # it informs, no more
                owner.write_text(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {purpose}")
            yield
        finally:
            with suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    def _acquire(self, timeout: float) -> FileLock:
        """The lock, once it is free. A process that waits for it holds the turn, so that the lock goes round.

        Without the turn, of 16 busy writers one waited for ten minutes while the others took the lock again and again.
        """
        began = time.monotonic()
        turn, lock = FileLock(self.folder / TURN), FileLock(self.folder / LOCK)
        turn.acquire(timeout=timeout)
        try:
            lock.acquire(timeout=max(0, timeout - (time.monotonic() - began)), poll_interval=0.01)
        finally:
            turn.release()
        return lock

    def owner(self) -> str | None:
        """Which process holds the lock, since when and for what; None where the lock is free."""
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return self._description()
        except OSError:  # where nothing can be written, nobody writes
            return None
        lock.release()
        return None

    def _description(self) -> str:
        """What the holder of the lock wrote into its note, if it came to that."""
        unnamed = "a process that left no note"
        try:
            return (self.folder / OWNER).read_text(encoding="utf-8") or unnamed
        except OSError:
            return unnamed
