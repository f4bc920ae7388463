"""What samples of tables share: how the first rows are told from data, which columns they name, and in which units.

Not here: how a format is cut into rows (one module each), and what a column means (`pipelines.ingest.drafting`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from matstrata.pipelines.ingest.readers.header_units import is_unit
from matstrata.pipelines.ingest.readers.interface import SAMPLE_ROWS, Sample
from matstrata.pipelines.ingest.readers.tables import OWN_COLUMNS
from matstrata.pipelines.ingest.records import SourceFile

LAYOUT_ROWS = 200
"""From which the width of a table is told."""
NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?\s*")


def with_header(
    file: SourceFile,
    reader: str,
    options: dict[str, object],
    table: Sequence[Sequence[str]],
    checks: list[str],
    *,
    whole: bool,
) -> Sample:
    """A sample of a table whose first row may name the columns, or be data already; then columns get names.

    Args:
        file: the file.
        reader: the reader's name.
        options: the reader's options; `header` and `skip_rows` are added where they are needed.
        table: the rows, as many cells in each.
        checks: what a person should look at; what is noticed here is added.
        whole: whether these are all rows.
    """
    first, rest = list(table[0]), table[1:]
    if _is_data(first, rest):
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
        options["header"] = names
        checks.append("the file has no header: name the columns in options.header")
        rest = table
    else:
        units = _units_below(rest) or [""] * len(first)
        joined = [f"{name} ({unit})" if unit else name for name, unit in zip(first, units, strict=True)]
        names = _usable(joined)
        if names != first:
            options["skip_rows"] = int(str(options.get("skip_rows", 0))) + (2 if any(units) else 1)
            options["header"] = names
        if any(units):
            rest = rest[1:]
            checks.append("the row below the header names units: options.header joins them to the names")
        if names != joined:
            checks.append("the file's header has a name twice, or one that Matstrata uses: options.header renames it")
    return Sample(file, reader, options, tuple(names), rest[:SAMPLE_ROWS], whole, tuple(checks))


def _units_below(rest: Sequence[Sequence[str]]) -> list[str]:
    """The unit of each column, if the row below the header holds units and nothing else; else nothing."""
    row = [cell.strip().strip("()[]") for cell in rest[0]] if len(rest) > 1 else []
    units_at = [at for at, cell in enumerate(row) if is_unit(cell)]
    other_cells = {cell.lower() for at, cell in enumerate(row) if at not in units_at and not cell.startswith("°")}
    # K is potassium, too: it is a unit above numbers
    above = any(all(not each[at] or NUMBER.fullmatch(each[at]) for each in rest[1:50]) for at in units_at)
    if not above or not other_cells <= {"", "-", "unit", "units"}:
        return []
    return ["" if cell.lower() in {"-", "unit", "units"} else cell for cell in row]


def _usable(names: Sequence[str]) -> list[str]:
    """The names, each once and none of Matstrata's own."""
    used: Counter[str] = Counter()
    usable: list[str] = []
    for name in names:
        used[name] += 1
        free = name if used[name] == 1 else f"{name or 'unnamed'}_{used[name]}"
        usable.append(f"{free}_of_file" if free in OWN_COLUMNS else free)
    return usable


def _is_data(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is one like the others: a number wherever they have numbers."""
    numeric = [
        at
        for at in range(len(first))
        if rest and sum(bool(NUMBER.fullmatch(row[at])) for row in rest[:50]) * 10 >= 9 * len(rest[:50])
    ]
    return bool(numeric) and all(NUMBER.fullmatch(first[at]) for at in numeric)
