"""The overview of the store as a page beside the reports.

Not here: counting what it says (`store.overview`), and the same in a terminal (`pipelines.cli.catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import WorkError
from matstrata.store.lake.lake import Lake
from matstrata.store.overview import catalogue


def windows(contracts: Iterable[Contract]) -> Mapping[str, float]:
    """How old each source may grow, in hours, where its contract says so."""
    return {each.source: hours for each in contracts if (hours := each.refresh.freshness_hours) is not None}


def catalogue_path(lake: Lake) -> Path:
    """Where the page lies."""
    return lake.root / "reports" / "catalogue.html"


def write_catalogue(lake: Lake, fresh_for: Mapping[str, float]) -> Path:
    """Write the catalogue as a page, beside the reports of the properties.

    Raises:
        InputError: there is no store.
        WorkError: the disk refuses.
    """
    from matstrata.pipelines.reports.html import render_plain

    with lake.reader() as con:
        found = catalogue(con)
    due = {
        row["source"]: row["refreshed_at"] + timedelta(hours=fresh_for[row["source"]])
        for row in found["sources"]
        if row["source"] in fresh_for and row["refreshed_at"] is not None
    }
    reports = sorted({row["property"] for row in found["models"] if row["source"] is None and row["serving"]})
    text = render_plain("store_page.html", {"found": found, "due": due, "reports": reports})
    path = catalogue_path(lake)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise WorkError(f"the page {path} can't be written: {error}") from error
    return path
