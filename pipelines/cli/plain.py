"""How tables look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table


def plain_table(titles: Sequence[str], *, numeric: Sequence[int] = (), title: str | None = None) -> Table:
    """A table without frames, numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for position, name in enumerate(titles):
        table.add_column(name, justify="right" if position in numeric else "left", overflow="fold")
    return table
