"""The catalog in a terminal: a source that is overdue stands out."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console

from matstrata.pipelines.cli.catalog import print_catalog
from matstrata.store.lake.lake import Lake
from matstrata.store.overview import store_overview
from tests.pipelines.reports.conftest import WHEN, plausible_rows, write


def test_an_overdue_source_is_marked(lake: Lake) -> None:
    write(lake, plausible_rows())
    with lake.reader() as con:
        overview = store_overview(con)
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as captured:
        print_catalog(console, overview, {overview["sources"][0]["source"]: 24.0}, WHEN + timedelta(days=3))
    text = captured.get()
    assert text.count("3 days ago, overdue") == 1
    assert "3 days ago" in text.replace("3 days ago, overdue", "")
