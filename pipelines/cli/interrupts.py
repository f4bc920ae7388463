"""How a command ends before its time: SIGTERM unwinds it as Ctrl-C does, and only the exit code differs.

Not here: catching what is raised (`pipelines.cli.entry`).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

STOPPED = "Stopped. What was committed stays, and nothing is half-written; the same command continues from there."
INTERRUPTED, TERMINATED = 130, 143
GRACE = 5.0  # seconds to unwind after SIGTERM; service managers kill after ten or more

_received: set[int] = set()
_arrivals: list[int] = []  # a pipe: where to read the numbers of signals, and where Python writes them
_reading = threading.Lock()
_printed = threading.Event()


def terminate_like_interrupt() -> None:
    """From now on, SIGTERM does what SIGINT does at that moment, and `terminated` knows of it.

    Neither is seen by Python code during a long call into a library, such as the training of a model: then the process
    ends after `GRACE`, which a store survives as it survives SIGKILL. Dagster puts a handler of its own in the place
    of ours while it runs a job; the pipe, into which Python writes at once, is out of its reach.
    """
    _arrivals[:] = os.pipe()
    for end in _arrivals:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(_arrivals[1], warn_on_full_buffer=False)
    threading.Thread(target=_end_after_grace, daemon=True).start()
    signal.signal(signal.SIGTERM, _terminate)


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


def end() -> int:
    """Print the sentence of a command that was stopped, when all is cleaned up. Returns the exit code.

    Another signal has nothing to unwind any more, and ends the process without a word.
    """
    code = TERMINATED if terminated() else INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(code))
    _print_once()
    return code


def _so_far() -> set[int]:
    """The numbers of all signals that have arrived."""
    with _reading:
        with suppress(BlockingIOError, IndexError):
            _received.update(os.read(_arrivals[0], 1024))
        return set(_received)


def _terminate(number: int, frame: FrameType | None) -> None:
    _received.add(number)
    interrupt = signal.getsignal(signal.SIGINT)
    if callable(interrupt):
        interrupt(signal.SIGINT, frame)
    else:  # a shell starts what runs in the background with SIGINT ignored
        raise KeyboardInterrupt


def _end_after_grace() -> None:
    """In a thread of its own: wait for SIGTERM, and end the process if it does not end by itself."""
    while not terminated():
        select.select(_arrivals[:1], [], [])
    time.sleep(GRACE)
    _print_once()
    os._exit(TERMINATED)


def _print_once() -> None:
    if not _printed.is_set():
        _printed.set()
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a spinner may have hidden it
        os.write(2, f"{show_cursor}{STOPPED}\n".encode())
