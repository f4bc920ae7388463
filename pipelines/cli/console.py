"""What the commands share: the two streams, progress on the second, pages, and where Dagster keeps its runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

out = Console()
err = Console(stderr=True, highlight=False)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Print what the packages log, each line with the time since the start; a spinner where a person looks on."""
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
    """Open a page in the user's browser, where there is one to be seen: never a text browser in the terminal."""
    import webbrowser

    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform in ("darwin", "win32") or any(map(os.environ.get, displays)):
        webbrowser.open(page.as_uri())


def dagster_home() -> str:
    """Where Dagster keeps its runs: the project's folder, unless DAGSTER_HOME says otherwise."""
    from matstrata.store.settings import PROJECT

    home = os.environ.get("DAGSTER_HOME") or str(PROJECT / "dagster_home")
    os.environ["DAGSTER_HOME"] = home
    return home


def plain(message: object) -> str:
    """Text of data as it is, nothing of it taken for markup."""
    return escape(str(message))
