"""The walls between the packages hold: import-linter fails on a copy of the code in which one of them is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("lint-imports")

BROKEN = [
    ("schemas", "store.settings"),
    ("schemas", "pipelines.entities"),
    ("store", "pipelines.entities"),
    ("store", "pipelines.ingest"),
    ("store.lake", "store.records"),
    ("store.records", "store.features"),
    ("store.features", "store.datasets"),
    ("store.datasets", "store.upkeep"),
    ("store.upkeep", "store.overview"),
    ("pipelines.entities", "store.settings"),
    ("pipelines.entities", "pipelines.ingest"),
    ("pipelines.ingest", "pipelines.descriptors"),
    ("pipelines.ingest", "pipelines.learning"),
    ("pipelines.ingest.fetching", "pipelines.ingest.readers"),
    ("pipelines.ingest.readers", "pipelines.ingest.drafting"),
    ("pipelines.ingest.drafting", "pipelines.ingest.validating"),
    ("pipelines.descriptors", "pipelines.learning"),
    ("pipelines.descriptors", "pipelines.ingest"),
    ("pipelines.learning", "pipelines.ingest"),
    ("pipelines.learning", "pipelines.descriptors"),
    ("pipelines.learning", "pipelines.reports"),
    ("pipelines.learning.models", "pipelines.learning.stack"),
    ("pipelines.learning.stack", "pipelines.learning.evaluation"),
    ("pipelines.learning.evaluation", "pipelines.learning.methods"),
    ("pipelines.learning.methods", "pipelines.learning.evaluation"),
    ("pipelines.learning.stack", "store.settings"),
    ("pipelines.learning.methods", "pipelines.learning.jobs"),
    ("pipelines.reports", "pipelines.ingest"),
    ("pipelines.reports", "pipelines.descriptors"),
    ("pipelines.reports", "pipelines.benchmarks"),
    ("pipelines.benchmarks", "pipelines.serving"),
    ("pipelines.serving", "pipelines.defs"),
    ("pipelines.defs", "pipelines.definitions"),
    ("pipelines.defs", "pipelines.cli"),
    *((package, "dagster") for package in ("schemas", "store", "pipelines.entities", "pipelines.ingest")),
    *((f"pipelines.{package}", "dagster") for package in ("descriptors", "learning", "reports", "benchmarks", "serving")),
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code with its rules."""
    shutil.copytree(PROJECT / "matstrata", tmp_path / "matstrata", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "--config", "pyproject.toml", "--no-cache", "--no-logo"]
    environment = os.environ | {"COLUMNS": "200"}  # no name is broken in the middle
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_the_code_as_it_stands_passes(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("importer", "imported"), BROKEN, ids=[" -> ".join(pair) for pair in BROKEN])
def test_a_forbidden_import_fails_even_in_a_function(tree: Path, importer: str, imported: str) -> None:
    file = tree / "matstrata" / importer.replace(".", "/") / "__init__.py"
    name = imported if imported == "dagster" else f"matstrata.{imported}"
    with file.open("a", encoding="utf-8") as module:
        module.write(f"\n\ndef deferred() -> None:\n    import {name}\n")
    done = lint(tree)
    assert done.returncode == 1
    assert f"matstrata.{importer} -> {name}" in done.stdout


def test_each_package_has_its_place_in_the_layers() -> None:
    """A new folder would otherwise import and be imported freely."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layered = {
        f"{container}.{name}" if container else name
        for contract in contracts
        for container in contract.get("containers", [""])
        for layer in contract.get("layers", ())
        for name in layer.split(" | ")
    }
    parents = [PROJECT / "store", PROJECT / "pipelines"]
    packages = [f"{parent.name}.{path.parent.name}" for parent in parents for path in parent.glob("*/__init__.py")]
    assert len(packages) > 12
    assert {f"matstrata.{package}" for package in packages} <= layered
