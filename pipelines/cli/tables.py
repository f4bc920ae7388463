"""Tables in a terminal: values as cells, as many columns as fit, and a line about those that don't.

Not here: how a table is laid out (`pipelines.cli.plain`), predictions and the status (`pipelines.cli.answers`), and
results in other formats (`pipelines.serving.export`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from matstrata.pipelines.cli.plain import Column, Layout, Shape, aligned, lay_out, significant
from matstrata.schemas.display import formula_for_people
from matstrata.schemas.text import visible

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SQL_ROWS = 40
_RAW_DIGITS = 6
_EXACT_BELOW = 1e15  # whole numbers below are exact as floats
_NAMED = 5  # hidden columns that are named one by one
_LONG = 28  # a text of several words and more characters is prose
_BREAK = re.compile(r"[\r\n\t]+")


def write_result(
    result: duckdb.DuckDBPyConnection, format: str, output: Path | None, console: Console, *, wide: bool = False
) -> None:
    """Print an SQL result as a table, or write it in the given format to `output` or to standard output.

    Raises:
        InputError: Parquet would go to a terminal; or a value on the way could not be computed.
        WorkError: the file can't be written.
    """
    from matstrata.pipelines.serving.export import BATCH, export, uniquely_named  # deferred: 0.3 s, DuckDB, Arrow

    if format == "table" and output is None:
        _print_result(uniquely_named(result.to_arrow_reader(BATCH)), console, wide=wide)
    else:
        export(result, format, output)


def _print_result(reader: pa.RecordBatchReader, console: Console, *, wide: bool) -> None:
    from matstrata.pipelines.serving.export import batches

    first: list[dict[str, Any]] = []
    more = 0
    for batch in batches(reader):
        rows = batch.to_pylist()
        room = SQL_ROWS - len(first)
        first += rows[:room]
        more += max(0, len(rows) - room)
    print_grid(console, reader.schema.names, [list(row.values()) for row in first], wide=wide, raw=True)
    if more:
        console.print(f"… and {more:,} more rows; --format csv prints all")


def print_rows(
    console: Console, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], *, wide: bool, **options: Any
) -> None:
    """Print these keys of records as columns; a material's formula stands before its `material_id`.

    `options` are those of `print_grid`.
    """
    titles = list(keys)
    if "material_id" in titles:
        titles.insert(titles.index("material_id"), "formula")
        rows = [{**row, "formula": formula_for_people(row["material_id"] or "")} for row in rows]
    print_grid(console, titles, [[row[title] for title in titles] for row in rows], wide=wide, **options)


def print_grid(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    wide: bool = False,
    title: str | None = None,
    least: Sequence[str] = (),
    numeric: Sequence[str] = (),
    raw: bool = False,
) -> None:
    """Print a table: whole into a pipe or where `wide`, and otherwise as much as fits the terminal.

    Args:
        console: where it goes.
        titles: of the columns.
        rows: of values; nothing of them is taken for markup.
        wide: print every column whole.
        title: a line above the table.
        least: titles of the columns that are left out first, the least important one at the beginning; the others
            follow from the right.
        numeric: titles of columns that hold numbers as text.
        raw: data as they are: lists and numbers as in JSON, six significant digits instead of four, and long texts
            cut instead of broken between words.
    """
    if not titles:
        return
    columns = [
        _column(_line(name), [row[i] for row in rows], _rank(i, name, least), numeric=name in numeric, raw=raw)
        for i, name in enumerate(titles)
    ]
    whole = wide or not console.is_terminal
    layout = lay_out(columns, None if whole else console.width)
    lines = Text()
    if title:
        lines.append(f"{title}\n", "bold")
    lines.append("\n".join(layout.head), "bold")
    for line in layout.rows:
        lines.append(f"\n{line}")
    lines.append("\n")
    console.print(lines, soft_wrap=True, highlight=False)
    if (note := _note(layout)) is not None:
        console.print(Text(note, "dim"), highlight=False)


def _rank(position: int, title: str, least: Sequence[str]) -> int:
    return position if title not in least else 1000 - list(least).index(title)


def _column(title: str, values: Sequence[Any], rank: int, *, numeric: bool, raw: bool) -> Column:
    stated = [value for value in values if value is not None]
    cells = [_cell(value, raw=raw) for value in values]
    if numeric or (stated and all(isinstance(each, int | float) and not isinstance(each, bool) for each in stated)):
        return Column(title, aligned(cells), Shape.NUMBER, rank)
    long = not raw and any(len(cell) > _LONG and " " in cell for cell in cells)
    return Column(title, cells, Shape.PROSE if long else Shape.NAME, rank)


def _cell(value: Any, *, raw: bool) -> str:
    """A value as one line of text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value, _RAW_DIGITS, _EXACT_BELOW) if raw else significant(value)
    if raw:
        from matstrata.pipelines.serving.export import cell_text

        return _line(cell_text(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return _line(text)


def _line(text: str) -> str:
    """A text in one line, as a terminal may have it: its width is known before it is laid out."""
    return visible(_BREAK.sub(" ", text))


def _note(layout: Layout) -> str | None:
    """What to do about what was hidden or cut."""
    if layout.hidden:
        names = ", ".join(layout.hidden[:_NAMED])
        more = len(layout.hidden) - _NAMED
        rest = f" and {more} more" if more > 0 else ""
        word = "column" if len(layout.hidden) == 1 else "columns"
        return f"Hidden {word}: {names}{rest}. --wide shows every column whole."
    return "Texts that end in … are cut. --wide shows them whole." if layout.shortened else None
