"""The command `matstrata stats`: how columns are distributed, and what has moved since the last release."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from matstrata.pipelines.cli.console import out, plain


def stats(
    subject: Annotated[
        str | None, typer.Argument(metavar="[SUBJECT]", help="A feature set's version (magpie_v1) or a source.  [all]")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Compare with this snapshot, release or time.  [default: the last release]"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many columns to print.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all columns, quantiles and histograms.")] = False,
) -> None:
    """Show each column's count, missing values, range and median, and its drift: the columns that moved most first.

    Drift is the Kolmogorov-Smirnov distance: 0 for equal distributions, 1 for disjoint ones.
    """
    from dataclasses import asdict

    from matstrata.pipelines.cli.tables import grid
    from matstrata.schemas.errors import InputError
    from matstrata.store.lake.lake import Lake
    from matstrata.store.records.statistics import THRESHOLD, drift, last_release, statistics
    from matstrata.store.settings import Settings

    lake = Lake.of(Settings())
    rows = statistics(lake, subject)
    if not rows:
        known = sorted({row["subject"] for row in statistics(lake)})
        raise InputError(f"no statistics of {subject or 'anything'}; there are: {', '.join(known) or 'none yet'}")
    with lake.reader() as con:
        release = last_release(con)
    reference = since or (release[0] if release else None)
    moved = {(each.subject, each.column): each for each in drift(lake, subject, since)}
    rows.sort(key=lambda row: -moved[key].distance if (key := (row["subject"], row["column"])) in moved else 0.0)
    if as_json:
        shown = [
            {**row, "drift": asdict(moved[key]) if (key := (row["subject"], row["column"])) in moved else None}
            for row in rows
        ]
        sys.stdout.write(json.dumps({"since": reference, "columns": shown}, indent=2, default=str) + "\n")
        return
    table = []
    for row in rows[:limit]:
        each = moved.get((row["subject"], row["column"]))
        median = row["quantiles"][len(row["quantiles"]) // 2] if row["quantiles"] else None
        facts = [row["subject"], row["column"], row["rows"], row["missing"], row["lowest"], median, row["highest"]]
        since_what = each.reference if each is not None and each.reference != row["subject"] else None
        table.append([*facts, None if each is None else round(each.distance, 3), since_what])
    keys = ["subject", "column", "rows", "missing", "lowest", "median", "highest", "drift", "from"]
    width = len(keys) if any(row[-1] for row in table) else -1  # 'from' only where a version is compared with another
    out.print(grid(keys[:width], [row[:width] for row in table]))
    if len(rows) > limit:
        out.print(f"… and {len(rows) - limit:,} more columns; --limit or --json shows them")
    if reference is None:
        out.print("There is no release yet to compare with; --since takes a snapshot or a time.")
    else:
        drifted = sum(each.drifted for each in moved.values())
        out.print(
            f"{drifted:,} of {len(moved):,} columns have drifted by more than {THRESHOLD:g} since {plain(reference)}."
        )
