"""Each source's last validation is a page that needs no network, and no page that fails harms a refresh."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import webbrowser
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from matstrata.pipelines.cli.app import app
from matstrata.pipelines.ingest.documented import refresh_documented
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.refresh import Ingested
from matstrata.pipelines.ingest.validating import data_docs
from matstrata.pipelines.ingest.validating.data_docs import docs_page, find_page, refused_page, write_page
from matstrata.pipelines.ingest.validating.validation import validate
from matstrata.schemas.contracts import Contract, load_contract
from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake

CONTRACT = """
source: {source}
title: Gaps of <the> lab
description: Optical gaps measured in the lab.
kind: experiment
method: absorption
licence: CC0-1.0
citation: {{bibtex: "@misc{{lab}}"}}
files: [{{path: {source}.csv}}]
reader: delimited
columns: {{formula: formula, kind: kind}}
values: [{{column: gap, property: band_gap, unit: eV}}]
"""
GOOD = ["GaN,3.4", "Si,1.12", "ZnO,3.3", "Ge,0.66", "CdS,2.4", "GaAs,1.4", "InP,1.3", "GaP,2.3", "ZnS,3.6", "AlN,6"]
IN_MEV = [f"{line}000" if "." not in line else line.replace(".", "") + "00" for line in GOOD]
HOSTILE = "<img src='http://example.org/x.png' onerror='document.title=1'>"
CHROMIUM = shutil.which("chromium")
Ingest = Callable[..., Ingested]


@pytest.fixture
def ingest(lake: Lake, tmp_path: Path) -> Ingest:
    def ingest(lines: Sequence[str] = GOOD, *, source: str = "lab") -> Ingested:
        rows = [line if line.count(",") == 2 else f"{line},experiment" for line in lines]
        (tmp_path / f"{source}.csv").write_text("\n".join(["formula,gap,kind", *rows]) + "\n")
        (tmp_path / f"{source}.yaml").write_text(CONTRACT.format(source=source))
        contract = load_contract(tmp_path / f"{source}.yaml")
        return refresh_documented(lake, contract, locate(contract.files, cache=tmp_path / "cache", mirrors=()))

    return ingest


def index(lake: Lake) -> str:
    return find_page(lake).read_text(encoding="utf-8")


def outcomes(lake: Lake) -> list[tuple[str, str]]:
    found = re.findall(r'<a href="([^"]+)">.*?<b class="[^"]*">([^<]+)</b>', index(lake), flags=re.DOTALL)
    assert all((lake.root / "docs" / page).exists() for page, _ in found)
    return found


def test_a_refresh_writes_page_and_index(lake: Lake, ingest: Ingest) -> None:
    ingest()
    text = find_page(lake, "lab").read_text(encoding="utf-8")
    for expected in (
        "band_gap",
        "value.out_of_bounds",
        "table.unique_observations",
        "Gaps of &lt;the&gt; lab",
        "lab.csv",
    ):
        assert expected in text
    assert outcomes(lake) == [("lab.html", "passed")]
    assert "Gaps of &lt;the&gt; lab" in index(lake)
    assert {path.name for path in (lake.root / "docs").iterdir()} <= {"lab.html", "lab.json", "index.html", ".lock"}


def test_an_unchanged_source_is_not_drawn_again(lake: Lake, ingest: Ingest) -> None:
    ingest()
    docs_page(lake, "lab").write_text("as it was")
    assert not ingest().changed
    assert docs_page(lake, "lab").read_text() == "as it was"


def test_refused_records_are_counted_by_rule(lake: Lake, ingest: Ingest) -> None:
    ingest([*GOOD, "MgO,-3", "BN,600"], source="other")
    ingest()
    assert outcomes(lake) == [("lab.html", "passed"), ("other.html", "records refused")]
    assert "value.out_of_bounds (band_gap): 2 of 12" in index(lake)
    text = find_page(lake, "other").read_text(encoding="utf-8")
    assert "; check value and unit" in text
    assert "-3.0" in text


def write_hostile(lake: Lake, contract: Contract) -> None:
    """The page of observations of which one carries HTML; readers refuse such a kind, so it is put in here."""
    schema = TABLES["observations"].arrow_schema
    sound = dict.fromkeys(schema.names) | {
        "source": contract.source,
        "property": "band_gap",
        "value": 3.4,
        "unit": "eV",
        "kind": "experiment",
    }
    rows = [sound | {"observation_id": str(i), "source_record": f"row {i}"} for i in range(12)]
    rows[7]["kind"] = HOSTILE
    rows[8]["kind"] = "x" * 10_000
    validation = validate(pa.Table.from_pylist(rows, schema=schema), contract)
    write_page(lake, contract, (), validation, datetime.now(UTC))


def test_data_are_shown_not_obeyed(lake: Lake, ingest: Ingest, tmp_path: Path) -> None:
    ingest()
    write_hostile(lake, load_contract(tmp_path / "lab.yaml"))
    text = find_page(lake, "lab").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in text
    assert "x" * 300 + "…" in text
    assert "x" * 301 not in text
    assert "kind.unknown (kind): 2 of 12" in index(lake)


def test_a_refused_source_gets_a_page_until_it_is_sound(lake: Lake, ingest: Ingest) -> None:
    with pytest.raises(WorkError, match="plausible_unit"):
        ingest(IN_MEV)
    assert outcomes(lake) == [("lab.refused.html", "refused")]
    assert find_page(lake, "lab") == refused_page(lake, "lab")
    ingest()
    assert outcomes(lake) == [("lab.html", "passed")]
    with pytest.raises(WorkError):
        ingest(IN_MEV)
    assert outcomes(lake) == [("lab.html", "passed"), ("lab.refused.html", "refused")]
    text = find_page(lake, "lab").read_text(encoding="utf-8")
    assert "divide by 1000" in text
    assert "Traceback" not in text
    assert not ingest().changed  # the old file again: nothing to read, and nothing to complain of
    assert outcomes(lake) == [("lab.html", "passed")]


def test_a_page_that_fails_does_not_fail_the_refresh(
    lake: Lake, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data_docs, "write_atomically", full)
    with caplog.at_level(logging.WARNING, "matstrata"):
        assert ingest().inserted == len(GOOD)
    assert "lab: the page of its validation could not be written: [Errno 28]" in caplog.text
    with pytest.raises(InputError, match="no page of source 'lab'"):
        find_page(lake, "lab")


def test_a_source_may_be_called_index(lake: Lake, ingest: Ingest) -> None:
    ingest(source="index")
    assert outcomes(lake) == [("index.source.html", "passed")]
    assert find_page(lake, "index") != find_page(lake)


def test_what_is_not_there_is_said(lake: Lake, tmp_path: Path, ingest: Ingest) -> None:
    with pytest.raises(InputError, match="MATSTRATA_STORE"):
        find_page(Lake(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="matstrata refresh"):
        find_page(lake)
    ingest()
    with pytest.raises(InputError, match="there are pages of lab"):
        find_page(lake, "../../etc/passwd")


@pytest.mark.parametrize(("words", "display", "opens"), [([], ":0", 1), ([], "", 0), (["--no-browser"], ":0", 0)])
def test_the_command_prints_the_path_and_opens_the_page(
    lake: Lake, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, words: list[str], display: str, opens: int
) -> None:
    ingest()
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("MATSTRATA_STORE", str(lake.root))
    said = CliRunner().invoke(app, ["docs", "lab", *words], catch_exceptions=False)
    assert said.stdout.strip() == str(docs_page(lake, "lab"))
    assert opened == [docs_page(lake, "lab").as_uri()] * opens


def test_facts_are_json_without_nan(lake: Lake, ingest: Ingest) -> None:
    def forbidden(constant: str) -> None:
        raise AssertionError(constant)

    ingest([*GOOD, "MgO,nan"])
    facts = json.loads((lake.root / "docs" / "lab.json").read_text(), parse_constant=forbidden)
    assert facts["expectations"] == len(facts["rules"])


@pytest.mark.skipif(CHROMIUM is None, reason="needs the program 'chromium' to draw the page")
def test_pages_ask_nothing_of_the_network(lake: Lake, ingest: Ingest, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright  # deferred: 0.3 s, and only where there is a browser

    ingest()
    write_hostile(lake, load_contract(tmp_path / "lab.yaml"))
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(find_page(lake).as_uri())
        page.click("text=lab")
        page.wait_for_selector("text=Gaps of <the> lab")
        shown = page.locator("main tr:visible").count()
        notes = page.locator("text=value.out_of_bounds").first.is_visible()
        too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        page.check("#failed-only")
        failed = page.locator("main tr:visible").count()
        page.click("text=Show more info")
        more = page.locator("text=Run Time").first.is_visible()
        page.click("text=All sources")
        page.wait_for_selector("text=Validation of the sources")
        browser.close()
    assert complaints == []
    assert set(requests) == {find_page(lake).as_uri(), docs_page(lake, "lab").as_uri()}
    assert notes
    assert more
    assert not too_wide
    assert 0 < failed < shown
