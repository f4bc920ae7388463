"""The page in a real browser: everything is drawn, nothing is asked of the network, nothing complains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from matstrata.pipelines.reports.report_page import build
from matstrata.store.lake.lake import Lake

CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs the program 'chromium' to draw the page")
def test_page_draws_all_its_plots_offline(filled: tuple[Lake, int], tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright  # deferred: 0.3 s, and only where there is a browser

    lake, snapshot = filled
    file = tmp_path / "report.html"
    with lake.reader() as con:
        file.write_text(build(con, "refractive_index", snapshot=snapshot), encoding="utf-8")
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        drawn = page.locator(".plot.js-plotly-plot").count()
        cells = page.locator("#elements .heatmaplayer .heatmap-label").count()
        points = page.locator("#parity .scatterlayer .point").count()
        too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        shares = page.locator("[data-title^='Share']").count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function("document.querySelector('.main-svg').getAttribute('width') === '680'")
        page.wait_for_function("document.querySelector('.pair .main-svg').getAttribute('width') === '330'")
        browser.close()
    figures = file.read_text(encoding="utf-8").count('<script type="application/json">')
    assert figures == 21  # of them 4 single predictions and 3 maps
    assert complaints == []
    assert requests == [file.as_uri()]
    assert drawn == figures
    assert cells == 118
    assert points == 87
    assert not too_wide
    assert shares == 0  # the button that would upload the chart
