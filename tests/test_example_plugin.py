"""A package of somebody else, built and installed: its reader and its feature set work as Matstrata's own do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.workplace import Workplace

PLUGIN = Path(__file__).parent / "example_plugin"
CARDS = """%CARDS

formula: PbI2
band_gap: 2.4

formula: GaN
band_gap: 3.4

a line without its colon

formula: CoCrFeMnNi
band_gap: 0
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the example package is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    source = Path(shutil.copytree(PLUGIN, folder / "source"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", folder / "installed", source], check=True)
    return folder / "installed"


@pytest.fixture(scope="module")
def place(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A place where the package is installed, with a file in its format."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "ours.cards").write_text(CARDS)
    return Workplace(folder, {"PYTHONPATH": str(target)})


@pytest.fixture(scope="module")
def added(place: Workplace) -> Workplace:
    """The same place, after a source in the format was drafted, checked and added."""
    place.run("sources", "draft", "ours.cards", "-o", "ours.yaml")
    contract = (place.folder / "ours.yaml").read_text()
    assert "reader: cards" in contract
    for field, text in (
        ("kind", "experiment"),
        ("description", "Gaps."),
        ("method", "optical"),
        ("licence", "CC0-1.0"),
    ):
        contract = contract.replace(f"{field}: unknown", f"{field}: {text}")
    (place.folder / "ours.yaml").write_text(contract.replace("bibtex: unknown", 'bibtex: "@misc{ours}"'))
    place.run("sources", "check", "ours.yaml")
    place.run("sources", "add", "ours.yaml")
    return place


def test_a_source_in_its_format_is_drafted_checked_and_added(added: Workplace) -> None:
    rows = added.rows("SELECT formula_reported AS formula, value FROM observations ORDER BY value")
    assert [(row["formula"], row["value"]) for row in rows] == [("CoCrFeMnNi", 0), ("PbI2", 2.4), ("GaN", 3.4)]
    (refused,) = added.rows("SELECT source_record, rule_id, reason FROM rejections")
    assert (refused["source_record"], refused["rule_id"]) == ("card 3", "record.malformed")
    assert "'a line without its colon' without a colon; write 'key: value'" in refused["reason"]


def test_its_feature_set_is_listed_computed_and_queried(added: Workplace) -> None:
    assert "mixing" in added.run("features", "list")
    assert "3 computed, 0 failed" in added.run("features", "materialize", "mixing")
    entropy = added.value(
        "SELECT mixing_entropy FROM features.mixing_v1 JOIN materials USING (material_id) WHERE n_elements = 5"
    )
    assert entropy == pytest.approx(1.609, abs=1e-3)  # ln 5
    assert "0 computed" in added.run("features", "materialize", "mixing")


def test_what_it_brought_stays_readable_without_it(added: Workplace) -> None:
    without = Workplace(added.folder, {})
    assert "mixing_v1" in without.run("features", "list")
    refused = without.attempt("sources", "check", "ours.yaml")
    assert (refused.returncode, "unknown reader 'cards'" in refused.stderr) == (2, True)
    assert len(added.rows("FROM features.mixing_v1")) == 3
