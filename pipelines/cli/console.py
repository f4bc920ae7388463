"""What the commands share: the two streams, JSON, progress, pages, the store of the settings, Dagster's home.

Not here: tables (`pipelines.cli.tables`), options (`pipelines.cli.options`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from matstrata.store.lake.lake import Lake

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value to standard output as JSON; times and paths become text."""
    import json

    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def plain(message: object) -> str:
    """Text of data as it is, nothing of it taken for markup."""
    return escape(str(message))


def get_lake() -> Lake:
    """The store of the settings, whether it exists or not."""
    from matstrata.store.lake.lake import Lake  # deferred: 0.3 s, DuckDB
    from matstrata.store.settings import Settings

    return Lake.of(Settings())


def get_writable_lake() -> Lake:
    """The store of the settings, with the tables of this version of Matstrata.

    Raises:
        InputError: there is no store.
    """
    lake = get_lake()
    lake.snapshot()
    lake.init()
    return lake


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Print what the packages log, each line with the time since the start; in a terminal, with a spinner."""
    import time

    dagster_home()
    started = time.monotonic()
    logger = logging.getLogger("matstrata")
    with err.status(text) as spinner:

        class Lines(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                message = record.getMessage()
                err.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {plain(message)}", soft_wrap=True)
                spinner.update(plain(message))

        handler = Lines(logging.INFO)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)


def open_page(page: Path) -> None:
    """Open a page in the user's browser, but never in a text browser inside the terminal."""
    import webbrowser

    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform in ("darwin", "win32") or any(map(os.environ.get, displays)):
        webbrowser.open(page.as_uri())


def dagster_home() -> str:
    """Where Dagster keeps its runs: the project's folder, unless DAGSTER_HOME names another."""
    from matstrata.store.settings import PROJECT

    home = os.environ.get("DAGSTER_HOME") or str(PROJECT / "dagster_home")
    os.environ["DAGSTER_HOME"] = home
    return home
