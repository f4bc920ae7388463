"""How `matstrata sql` runs a statement: with progress where a person looks on, and stopped by Ctrl-C at once.

Not here: what SQL may do (`store.query`), how results look (`pipelines.output`), the prompt (`pipelines.sql_prompt`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import duckdb

from pipelines.console import err

_SILENT = 0.5  # seconds before progress shows


def interruptible(con: duckdb.DuckDBPyConnection, work: Callable[[], None], *, quiet: bool = False) -> None:
    """Do `work`, which runs statements on `con`, in a thread, so that this one can show progress and hear Ctrl-C.

    Args:
        con: what the work asks.
        work: asks and writes the answer.
        quiet: show no progress, because the answer itself goes to the terminal.

    Raises:
        KeyboardInterrupt: Ctrl-C; the statement was stopped.
        Exception: what `work` raises.
    """
    failed: list[BaseException] = []
    done = threading.Event()  # a KeyboardInterrupt in Thread.join lets Python 3.11 take the thread for dead

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised again below)
            failed.append(error)
        finally:
            done.set()

    started = time.monotonic()
    try:
        threading.Thread(target=run, daemon=True).start()
        if not done.wait(_SILENT) and err.is_terminal and not quiet:
            with err.status("") as status:
                while not done.wait(0.1):
                    share = con.query_progress()
                    known = f"{share:.0f} % " if share >= 0 else ""
                    status.update(f"{known}{time.monotonic() - started:.0f} s; Ctrl-C stops")
        done.wait()
    except KeyboardInterrupt:
        while not done.wait(0.1):  # again, as the first may fall between two statements
            con.interrupt()
        raise
    if failed:
        raise failed[0]
