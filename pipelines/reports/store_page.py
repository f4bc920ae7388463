"""The overview of the store as a page in the folder of the reports.

Not here: counting what it shows (`store.overview`), and the same in a terminal (`pipelines.cli.catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import WorkError
from matstrata.schemas.units import NO_UNIT
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.lake import Lake
from matstrata.store.overview import store_overview


def freshness_hours(contracts: Iterable[Contract]) -> Mapping[str, float]:
    """How old each source may grow, in hours, where its contract says so."""
    return {each.source: hours for each in contracts if (hours := each.refresh.freshness_hours) is not None}


def store_page_path(lake: Lake) -> Path:
    """The file of the page."""
    return lake.root / "reports" / "catalog.html"


def write_store_page(lake: Lake, fresh_for: Mapping[str, float]) -> Path:
    """Write the overview of the store as a page that links to the reports of the properties.

    Args:
        lake: The store.
        fresh_for: How old each source may grow, in hours; from this follows when its refresh is due.

    Returns:
        The file.

    Raises:
        InputError: There is no store.
        WorkError: The file can't be written; the old page stays.
    """
    from matstrata.pipelines.reports.html import render_plain  # deferred: 0.1 s

    with lake.reader() as con:
        overview = store_overview(con)
    due = {
        row["source"]: row["refreshed_at"] + timedelta(hours=fresh_for[row["source"]])
        for row in overview["sources"]
        if row["source"] in fresh_for and row["refreshed_at"] is not None
    }
    reports = sorted({row["property"] for row in overview["models"] if row["source"] is None and row["serving"]})
    text = render_plain("store_page.html", {"overview": overview, "due": due, "reports": reports, "no_unit": NO_UNIT})
    path = store_page_path(lake)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise WorkError(f"the page {path} can't be written: {error}") from error
    return path
