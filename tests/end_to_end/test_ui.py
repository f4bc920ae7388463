"""The Dagster UI in a real browser, on the store that the command made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.workplace import COMMAND, Workplace

pytestmark = pytest.mark.slow

LAUNCH = """
mutation ($job: String!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "matstrata.pipelines.definitions", repositoryName: "__repository__", jobName: $job}
    runConfigData: {}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
ASSETS = """
query { assetNodes { assetKey { path } isMaterializable assetMaterializations(limit: 1) { runId }
  assetChecksOrError { ... on AssetChecks { checks { name blocking executionForLatestMaterialization { status } } } } } }
"""


class Ui:
    """A running UI: its address, and questions to its GraphQL."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.address}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def serve(place: Workplace) -> Iterator[Ui]:
    """The UI of a place, on a free port, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = place.folder / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(COMMAND), "ui", "--port", str(port)],
            env=place.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Ui(port)
    try:
        deadline = time.monotonic() + 180
        while not served.up():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(1)
        yield served
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def ui(small: Workplace) -> Iterator[Ui]:
    with serve(small) as served:
        yield served


def test_what_the_command_did_is_shown_as_materialized_and_checked(ui: Ui) -> None:
    nodes = {"/".join(node["assetKey"]["path"]): node for node in ui.ask(ASSETS)["assetNodes"]}
    chain = {
        "observations/refractiveindex_info", "observations/ricci_transport", "materials", "features/magpie",
        "features/stoichiometry", "training_sets/refractive_index", "ensembles/refractive_index",
        "source_models/refractive_index/refractiveindex_info", "source_models/refractive_index/ricci_transport",
        "predictions/refractive_index", "reports/refractive_index",
    }  # fmt: skip
    assert chain <= set(nodes)
    assert {"sources/refractiveindex_info", "observations/zhuo_2018_gaps", "ensembles/band_gap"} <= set(nodes)
    assert all(nodes[key]["assetMaterializations"] for key in chain)
    for source in ("refractiveindex_info", "ricci_transport"):
        checks = {c["name"]: c for c in nodes[f"observations/{source}"]["assetChecksOrError"]["checks"]}
        assert {name: check["blocking"] for name, check in checks.items()} == {
            "conservation": True,
            "validation": True,
            "drift": False,
        }
        assert {c["executionForLatestMaterialization"]["status"] for c in checks.values()} == {"SUCCEEDED"}


def test_the_job_launched_there_finds_nothing_to_do(ui: Ui, small: Workplace) -> None:
    before = small.snapshot()
    assert _launch(ui, "refractive_index") == "SUCCESS"
    assert small.snapshot() == before


def _launch(ui: Ui, job: str) -> str:
    """Launch a job as the button in the UI does, and return how it ended."""
    launched = ui.ask(LAUNCH, job=job)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    deadline = time.monotonic() + 900
    while True:
        status = ui.ask(STATUS, run=launched["run"]["runId"])["runOrError"]["status"]
        if status in ("SUCCESS", "FAILURE", "CANCELED"):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(2)


def test_the_job_launched_there_makes_the_store_that_the_command_makes(small: Workplace, tmp_path: Path) -> None:
    by_command, by_ui = small, Workplace(tmp_path, small.variables)
    with serve(by_ui) as served:
        assert _launch(served, "refractive_index") == "SUCCESS"
    assert (by_ui.store / "reports" / "refractive_index.html").stat().st_size > 100_000
    for table in ("observations", "materials", "rejections", "features.magpie_v1", "features.stoichiometry_v1"):
        everything = f"SELECT count(*) AS n, bit_xor(hash(t)) AS content FROM {table} t"
        assert by_ui.rows(everything) == by_command.rows(everything), table
    for statement in (
        "SELECT training_set_id, source, rows FROM training_sets ORDER BY ALL",
        "SELECT model_id, source, serving FROM models ORDER BY ALL",
        "SELECT material_id, round(value, 9) AS v, round(lower_90, 9) AS l, in_domain FROM predictions ORDER BY 1",
    ):
        assert by_ui.rows(statement) == by_command.rows(statement), statement


def test_the_graph_is_drawn_in_a_browser(ui: Ui) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must install Chromium")
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1800, "height": 1000})
        page.goto(f"{ui.address}/asset-groups", wait_until="domcontentloaded")
        page.get_by_text("refractive_index", exact=False).first.wait_for(timeout=120_000)
        page.goto(f"{ui.address}/assets/ensembles/refractive_index", wait_until="domcontentloaded")
        page.get_by_text("errors out of fold, by group", exact=False).first.wait_for(timeout=120_000)
        page.get_by_text("known_dft", exact=False).first.wait_for(timeout=120_000)
        browser.close()
