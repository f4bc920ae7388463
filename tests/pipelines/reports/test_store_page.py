"""The overview as a page: everything counted is on it, and no data become markup."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from matstrata.pipelines.reports.store_page import write_store_page
from matstrata.store.lake.lake import Lake
from matstrata.store.overview import store_overview


def test_the_page_shows_every_source_and_needs_nothing_else(filled: tuple[Lake, int]) -> None:
    lake, snapshot = filled
    with lake.reader() as con:
        overview = store_overview(con)
    source = overview["sources"][0]["source"]
    path = write_store_page(lake, {source: 24.0})
    text = path.read_text(encoding="utf-8")
    page = text.replace("<wbr>", "")  # where long names may be broken
    assert f"snapshot {snapshot}" in page
    for row in overview["sources"]:
        assert row["source"] in page
        assert f"{row['observations']:,}" in page
    assert page.count("<small>due ") == 1
    assert "script" not in page
    assert "default-src 'none'" in page
    links = {link for link in re.findall(r'href="([^"]+)"', page) if not link.startswith("#")}
    reports = {link for link in links if not link.startswith("https://doi.org/")}
    assert reports == {"refractive_index.html"}  # in the same folder, as there is an ensemble
    anchors = {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)}
    assert anchors == set(re.findall(r'<section id="([^"]+)"', page))
    assert write_store_page(lake, {source: 24.0}).read_text(encoding="utf-8") == text


def test_hostile_text_is_text(filled: tuple[Lake, int], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(filled[0].root, tmp_path / "store"))
    with lake.commit("hostile") as transaction:
        transaction.con.execute("UPDATE sources SET title = '<script>alert(1)</script> {{ 7 * 7 }} [red]x'")
    page = write_store_page(lake, {}).read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }} [red]x" in page
