"""Where the `matstrata` command begins: errors become a sentence and an exit code, whenever they come.

Not here: the subcommands (`pipelines.cli.app`), which are imported inside `main`, so that Ctrl-C and SIGTERM end the
command in a sentence while imports are still running.
"""

from __future__ import annotations

import gc
import os
import sys

from matstrata.pipelines.cli import interrupts


def main() -> None:
    """Run the command."""
    gc.set_threshold(100_000, 50, 100)  # imported modules stay; scanning them again and again cost 10 %
    try:
        interrupts.terminate_like_interrupt()
        _run()
    except BaseException as error:
        if not _stopped(error):
            raise
        sys.exit(interrupts.end())
    finally:
        gc.freeze()  # nor are they scanned once more at the end


def _stopped(error: BaseException) -> bool:
    """Whether a signal ended the command; Typer makes an exit of Ctrl-C."""
    exited = isinstance(error, SystemExit) and error.code == interrupts.INTERRUPTED
    return exited or isinstance(error, KeyboardInterrupt) or interrupts.terminated()


def _run() -> None:
    from matstrata.pipelines.cli.app import app
    from matstrata.pipelines.cli.console import err, plain
    from matstrata.schemas.errors import InputError, WorkError

    try:
        app()
    except (InputError, WorkError) as error:
        interrupts.stop_if_terminated()  # that is why it failed
        word, code = ("error", 2) if isinstance(error, InputError) else ("failed", 1)
        err.print(f"[bold red]{word}:[/] {plain(error)}", soft_wrap=True)
        sys.exit(code)
    except BrokenPipeError:  # 'matstrata sql … | head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
