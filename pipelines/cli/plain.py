"""How a table is laid out in lines of text: which columns fit a width, how wide each is, how its cells are cut.

All of it is pure: cells in, lines out. Not here: what the cells hold and where the lines go (`pipelines.cli.tables`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from rich.cells import cell_len, set_cell_size

GAP = "  "
RULE = "─"
MORE = "…"
NAME_WIDTH = 22  # a name or an id is cut no shorter while a less important column can be left out
PROSE_WIDTH = 20  # nor does prose get narrower lines


class Shape(Enum):
    """How the cells of a column take to a narrow terminal."""

    NUMBER = auto()  # never cut, to the right
    NAME = auto()  # cut at the end
    PROSE = auto()  # broken between words


@dataclass(frozen=True, slots=True)
class Column:
    """A title and the cells below it; of two columns, the one with the higher `rank` is left out first."""

    title: str
    cells: Sequence[str]
    shape: Shape = Shape.NAME
    rank: int = 0

    @property
    def natural(self) -> int:
        """The width at which nothing is cut or broken."""
        return max(map(cell_len, (self.title, *self.cells)))

    @property
    def least(self) -> int:
        """The width below which it is rather left out. A title breaks between words only."""
        title = max(map(cell_len, self.title.split()), default=0)
        content = max(map(cell_len, self.cells), default=0)
        if self.shape is Shape.NAME:
            content = min(content, NAME_WIDTH)
        elif self.shape is Shape.PROSE:
            content = min(content, PROSE_WIDTH)
        return max(title, content)


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of a table: the head, with a rule under it, then the rows; and what had to give way."""

    head: tuple[str, ...]
    rows: tuple[str, ...]
    hidden: tuple[str, ...]
    shortened: bool


def lay_out(columns: Sequence[Column], width: int | None) -> Layout:
    """Lay columns out side by side.

    Columns are left out, the least important first, until the others fit; a name that is still too long ends in '…',
    and prose goes on in the next line.

    Args:
        columns: in their order, at least one, all with as many cells.
        width: of the terminal; None for as wide as it takes.
    """
    fitting = _fitting(columns, width)
    widths = [column.natural for column in fitting] if width is None else _widths(fitting, width)
    sized = list(zip(fitting, widths, strict=True))
    cells = [[_broken(column, cell, size) for cell in column.cells] for column, size in sized]
    titles = [_wrapped(column.title, size) for column, size in sized]
    height = max(map(len, titles))
    bottomed = [[""] * (height - len(lines)) + lines for lines in titles]
    rows = [line for row in zip(*cells, strict=True) for line in _lines(fitting, row, widths)]
    return Layout(
        head=(*_lines(fitting, bottomed, widths), GAP.join(RULE * size for size in widths)),
        rows=tuple(rows),
        hidden=tuple(column.title for column in columns if column not in fitting),
        shortened=any(
            column.shape is not Shape.PROSE and size < max(map(cell_len, column.cells), default=0)
            for column, size in sized
        ),
    )


def significant(value: float, digits: int = 4, power_from: float = 1e7) -> str:
    """A number with so many significant digits, but all of those before the point, and no zeros at its end.

    Args:
        value: the number.
        digits: how many are significant.
        power_from: from this size on, and below 0.0001, a number has a power of ten.

    >>> [significant(value) for value in (0.1 + 0.2, 2010.53, 1.30000, 6.626e-34)]
    ['0.3', '2011', '1.3', '6.626e-34']
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    size = math.floor(math.log10(abs(value)))
    if size < -4 or abs(value) >= power_from:
        number, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{_trimmed(number)}e{power}"
    return _trimmed(f"{value:.{max(0, digits - 1 - size)}f}")


def aligned(texts: Sequence[str]) -> list[str]:
    """Numbers with their decimal points in one line, by blanks after those with fewer decimals."""
    decimals = [len(text) - len(_whole(text)) for text in texts]
    longest = max(decimals, default=0)
    return [text + " " * (longest - after) if text else "" for text, after in zip(texts, decimals, strict=True)]


def _whole(text: str) -> str:
    """What stands before the decimal point, or before the power of ten."""
    return text.partition(".")[0].partition("e")[0]


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _fitting(columns: Sequence[Column], width: int | None) -> list[Column]:
    """The columns that fit beside each other; the most important one always does."""
    fitting = list(columns)
    while width is not None and len(fitting) > 1 and _total([column.least for column in fitting]) > width:
        last = max(range(len(fitting)), key=lambda place: (fitting[place].rank, place))
        del fitting[last]
    return fitting


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """The widths of columns that fit: what is left goes to numbers, then to names, then to prose, evenly in each."""
    widths = [min(column.least, width) for column in columns]
    for shape in Shape:
        while True:
            left = width - _total(widths)
            growing = [i for i, c in enumerate(columns) if c.shape is shape and widths[i] < c.natural]
            if left <= 0 or not growing:
                break
            widths[min(growing, key=lambda place: widths[place])] += 1
    return widths


def _broken(column: Column, cell: str, width: int) -> list[str]:
    """The lines of one cell."""
    if cell_len(cell) <= width:
        return [cell]
    if column.shape is Shape.PROSE:
        return _wrapped(cell, width)
    return [_cut(cell, width)]


def _wrapped(text: str, width: int) -> list[str]:
    """Lines broken between words; a word that is longer than a line is cut."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [_cut(line, width) for line in lines] or [""]


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + MORE


def _lines(columns: Sequence[Column], row: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """One row of cells as lines; none ends in blanks."""
    lines = []
    for line in range(max(map(len, row))):
        parts = []
        for column, cell, width in zip(columns, row, widths, strict=True):
            text = cell[line] if line < len(cell) else ""
            blanks = " " * (width - cell_len(text))
            parts.append(blanks + text if column.shape is Shape.NUMBER else text + blanks)
        lines.append(GAP.join(parts).rstrip())
    return lines
