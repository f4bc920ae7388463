"""The command `matstrata stats`: how columns are distributed, and what has moved since the last release.

Not here: counting it (`store.records.statistics`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from matstrata.pipelines.cli.console import get_lake, out, plain, print_json
from matstrata.pipelines.cli.options import AsJson, Wide
from matstrata.pipelines.cli.tables import print_grid


def stats(
    subject: Annotated[
        str | None,
        typer.Argument(metavar="SUBJECT", help="A feature set's version (magpie_v1) or a source.", show_default="all"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Compare with this snapshot, release or time.", show_default="the last release"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many columns to print.")] = 20,
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show each column's count, missing values, range and median, and its drift: the columns that moved most first.

    Drift is the Kolmogorov-Smirnov distance: 0 for equal distributions, 1 for disjoint ones.
    """
    from dataclasses import asdict

    from matstrata.schemas.errors import InputError
    from matstrata.store.records.statistics import DRIFT_THRESHOLD, drift, last_release, statistics

    lake = get_lake()
    rows = statistics(lake, subject)
    if not rows:
        subjects = sorted({row["subject"] for row in statistics(lake)})
        raise InputError(f"no statistics of {subject or 'anything'}; there are: {', '.join(subjects) or 'none yet'}")
    with lake.reader() as con:
        release = last_release(con)
    reference = since or (release[0] if release else None)
    moved = {(each.subject, each.column): each for each in drift(lake, subject, since)}
    rows.sort(key=lambda row: -moved[key].distance if (key := (row["subject"], row["column"])) in moved else 0.0)
    if as_json:
        columns = [
            {**row, "drift": asdict(moved[key]) if (key := (row["subject"], row["column"])) in moved else None}
            for row in rows
        ]
        print_json({"since": reference, "columns": columns})
        return
    table = []
    for row in rows[:limit]:
        drifted = moved.get((row["subject"], row["column"]))
        median = row["quantiles"][len(row["quantiles"]) // 2] if row["quantiles"] else None
        facts = [row["subject"], row["column"], row["rows"], row["missing"], row["lowest"], median, row["highest"]]
        compared = drifted.reference if drifted is not None and drifted.reference != row["subject"] else None
        table.append([*facts, None if drifted is None else round(drifted.distance, 3), compared])
    keys = ["subject", "column", "rows", "missing", "lowest", "median", "highest", "drift", "from"]
    width = len(keys) if any(row[-1] for row in table) else -1  # 'from' only where a version is compared with another
    least = ("from", "rows", "missing", "subject" if subject else "lowest")
    print_grid(out, keys[:width], [row[:width] for row in table], wide=wide, least=least)
    if len(rows) > limit:
        out.print(f"… and {len(rows) - limit:,} more columns; --limit or --json shows them")
    if reference is None:
        out.print("There is no release yet to compare with; --since takes a snapshot or a time.")
    else:
        n_drifted = sum(each.drifted for each in moved.values())
        out.print(
            f"{n_drifted:,} of {len(moved):,} columns have drifted by more than "
            f"{DRIFT_THRESHOLD:g} since {plain(reference)}."
        )
