"""The catalogue as people see it: everything counted is on it, nothing of the data is taken for markup."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from matstrata.pipelines.cli.catalog import print_catalog
from matstrata.pipelines.reports.store_page import write_store_page
from matstrata.store.lake.lake import Lake
from matstrata.store.overview import catalogue
from tests.pipelines.reports.conftest import WHEN


def test_the_page_shows_every_source_and_needs_nothing_else(filled: tuple[Lake, int]) -> None:
    lake, snapshot = filled
    with lake.reader() as con:
        found = catalogue(con)
    source = found["sources"][0]["source"]
    path = write_store_page(lake, {source: 24.0})
    text = path.read_text(encoding="utf-8")
    page = text.replace("<wbr>", "")  # where long names may be broken
    assert f"snapshot {snapshot}" in page
    for row in found["sources"]:
        assert row["source"] in page
        assert f"{row['observations']:,}" in page
    assert page.count("<small>due ") == 1
    assert "script" not in page
    assert "default-src 'none'" in page
    links = {link for link in re.findall(r'href="([^"]+)"', page) if not link.startswith("#")}
    reports = {link for link in links if not link.startswith("https://doi.org/")}
    assert reports == {"refractive_index.html"}  # beside it, as there is an ensemble
    anchors = {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)}
    assert anchors == set(re.findall(r'<section id="([^"]+)"', page))
    assert write_store_page(lake, {source: 24.0}).read_text(encoding="utf-8") == text


def test_hostile_text_is_text(filled: tuple[Lake, int], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(filled[0].root, tmp_path / "store"))
    with lake.commit("hostile") as transaction:
        transaction.con.execute("UPDATE sources SET title = '<script>alert(1)</script> {{ 7 * 7 }} [red]x'")
    page = write_store_page(lake, {}).read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }} [red]x" in page


def test_an_overdue_source_is_told(filled: tuple[Lake, int]) -> None:
    lake, _ = filled
    with lake.reader() as con:
        found = catalogue(con)
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as captured:
        print_catalog(console, found, {found["sources"][0]["source"]: 24.0}, WHEN + timedelta(days=3))
    said = captured.get()
    assert said.count("3 days ago, overdue") == 1
    assert "3 days ago" in said.replace("3 days ago, overdue", "")
