"""How `matstrata sql` runs a statement: with progress in a terminal, and stopped by Ctrl-C at once.

Not here: what SQL may do (`store.lake.query`), how results look (`pipelines.cli.tables`), the prompt
(`pipelines.cli.sql_prompt`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import duckdb

from matstrata.pipelines.cli.console import err
from matstrata.pipelines.serving.export import batches
from matstrata.schemas.errors import InputError
from matstrata.store.lake.query import query

_SILENT = 0.5  # seconds before progress shows
_INTERRUPTED = "INTERRUPT Error"
_TRIES = 20


def ask(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    write: Callable[[duckdb.DuckDBPyConnection], None],
    *,
    quiet: bool = False,
) -> None:
    """Run one reading statement on `con` and `write` its result, with progress unless `quiet`.

    In about one of 500 failures, DuckDB 1.5 reports that it was interrupted instead of the cause (its pull request
    25902); then the statement is run again to find the cause.

    Raises:
        KeyboardInterrupt: Ctrl-C; the statement was stopped.
        InputError: the statement is wrong, or fails.
    """
    try:
        interruptible(con, lambda: write(query(con, sql)), quiet=quiet)
    except InputError as error:
        if _INTERRUPTED in str(error):
            interruptible(con, lambda: _find_cause(con, sql))
        raise


def _find_cause(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run a statement without its result until it fails for a reason of its own."""
    for _ in range(_TRIES):
        try:
            for _batch in batches(query(con, sql).to_arrow_reader()):
                pass
        except InputError as error:
            if _INTERRUPTED not in str(error):
                raise


def interruptible(con: duckdb.DuckDBPyConnection, work: Callable[[], None], *, quiet: bool = False) -> None:
    """Do `work`, which runs statements on `con`, in a thread, so that this one can show progress and receive Ctrl-C.

    Args:
        con: the connection that the work uses.
        work: runs statements and writes their results.
        quiet: show no progress, because the result itself goes to the terminal.

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
                    done_so_far = f"{share:.0f} % " if share >= 0 else ""
                    status.update(f"{done_so_far}{time.monotonic() - started:.0f} s; Ctrl-C stops")
        done.wait()
    except KeyboardInterrupt:
        while not done.wait(0.1):  # again, as the first may fall between two statements
            con.interrupt()
        raise
    if failed:
        raise failed[0]
