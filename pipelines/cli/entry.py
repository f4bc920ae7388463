"""Where the `matstrata` command begins: errors become a sentence and an exit code, whenever they come.

Not here: the subcommands (`pipelines.cli.app`), which are imported inside, so that Ctrl-C is heard meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys

STOPPED = "stopped; what was committed stays, nothing is half-written. The same command carries on."


def main() -> None:
    """Run the command."""
    gc.set_threshold(100_000, 50, 100)  # what is imported stays; looking through it again and again cost 10 %
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write(f"{STOPPED}\n")
        sys.exit(130)
    except BrokenPipeError:  # 'matstrata sql … | head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    finally:
        gc.freeze()  # nor is it looked through once more at the end


def _run() -> None:
    from matstrata.pipelines.cli.app import app
    from matstrata.pipelines.cli.console import err, plain
    from matstrata.schemas.errors import InputError, WorkError

    try:
        app()
    except InputError as error:
        err.print(f"[bold red]error:[/] {plain(error)}", soft_wrap=True)
        sys.exit(2)
    except WorkError as error:
        err.print(f"[bold red]failed:[/] {plain(error)}", soft_wrap=True)
        sys.exit(1)
