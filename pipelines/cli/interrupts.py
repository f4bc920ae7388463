"""How a command ends before its time: SIGTERM unwinds it as Ctrl-C does, and only the exit code differs.

Not here: the sentence that it ends with (`pipelines.cli.entry`).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143

_received: set[int] = set()
_arrivals: list[int] = []  # where Python writes the number of each signal, and where to read it


def terminate_like_interrupt() -> None:
    """From now on, SIGTERM does what SIGINT does at that moment, and `terminated` knows of it.

    Dagster puts a handler of its own in the place of ours while it runs a job; what has arrived is noted, too, where
    it can't reach.
    """
    signal.signal(signal.SIGTERM, _terminate)
    _arrivals[:] = os.pipe()
    os.set_blocking(_arrivals[1], False)
    os.set_blocking(_arrivals[0], False)
    signal.set_wakeup_fd(_arrivals[1], warn_on_full_buffer=False)


def terminated() -> bool:
    """Whether SIGTERM has arrived."""
    return signal.SIGTERM in _so_far()


def stop_if_signaled() -> None:
    """Begin nothing new after a signal that something else took.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM has arrived.
    """
    if _so_far() & {signal.SIGINT, signal.SIGTERM}:
        raise KeyboardInterrupt


def stop_if_terminated() -> None:
    """Begin nothing new after SIGTERM, where Ctrl-C ends less than the command.

    Raises:
        KeyboardInterrupt: SIGTERM has arrived.
    """
    if terminated():
        raise KeyboardInterrupt


def end_at_once_from_now_on() -> None:
    """Everything is cleaned up: another signal has nothing to unwind, and ends the process without a word."""
    code = TERMINATED if terminated() else INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(code))


def _so_far() -> set[int]:
    """The numbers of all signals that have arrived."""
    with suppress(BlockingIOError, IndexError):
        _received.update(os.read(_arrivals[0], 1024))
    return _received


def _terminate(number: int, frame: FrameType | None) -> None:
    _received.add(number)
    interrupt = signal.getsignal(signal.SIGINT)
    if callable(interrupt):
        interrupt(signal.SIGINT, frame)
    else:  # a shell starts what runs in the background with SIGINT ignored
        raise KeyboardInterrupt
