"""What the commands share: the two streams, JSON, progress, pages, the store of the settings, Dagster's home.

Not here: tables (`pipelines.cli.tables`), options (`pipelines.cli.options`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from matstrata.schemas.text import to_json, visible

if TYPE_CHECKING:
    from matstrata.store.lake.lake import Lake


class _SafeConsole(Console):
    """A console that shows what is stored: none of the text that it prints is obeyed by the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


def make_console(**options: Any) -> Console:
    """A console for data: ':Cl:' is not an emoji, numbers are not colored, terminal escapes are written out."""
    return _SafeConsole(highlight=False, emoji=False, **options)


out = make_console()
err = make_console(stderr=True)


def print_json(value: object) -> None:
    """Print a value to standard output as JSON; times and paths become text."""
    sys.stdout.write(to_json(value, indent=2) + "\n")


def write(text: str) -> None:
    """Write a text to standard output as it is, for other programs; into a terminal, without what that would obey."""
    written = visible(text) if sys.stdout.isatty() else text
    sys.stdout.write(written.encode(errors="backslashreplace").decode())


def plain(message: object) -> str:
    """Text of data as it is: nothing of it is taken for markup, or obeyed by a terminal."""
    return escape(visible(str(message)))


def marked(markup: str) -> Text:
    """Text with markup, for those of rich's parts that would read emoji codes in it: titles of panels, spinners."""
    return Text.from_markup(markup, emoji=False)


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
    with err.status(marked(plain(text))) as spinner:

        class Lines(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                message = record.getMessage()
                err.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {plain(message)}", soft_wrap=True)
                spinner.update(marked(plain(message)))

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
