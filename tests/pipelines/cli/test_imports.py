"""What the command imports: ours under the one name, whatever lies in the user's folder, and nothing heavy for help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("matstrata"))
HEAVY = (
    "dagster", "duckdb", "great_expectations", "matminer", "matplotlib", "numpy", "pandas", "pint", "plotly",
    "prompt_toolkit", "pyarrow", "pydantic", "pymatgen", "scipy", "sklearn", "xgboost", "yaml",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder whose modules have the names of our folders."""
    for name in ("store.py", "schemas.py", "pipelines/__init__.py", "pipelines/definitions.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise RuntimeError(f'{__name__} of the user was imported')\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        [COMMAND, "--help"],
        [COMMAND, "status"],
        [sys.executable, "-c", "from matstrata import FeatureStore, Predictor, parse_formula; parse_formula('GaN')"],
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "matstrata.pipelines.definitions"],
    ],
    ids=["help", "status", "import", "dagster"],
)
def test_a_users_modules_of_the_same_names_are_not_imported(folder: Path, monkeypatch, words: list[str]) -> None:
    monkeypatch.setenv("MATSTRATA_STORE", str(folder / "warehouse"))
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was imported" not in done.stdout + done.stderr


def test_the_users_modules_would_be_seen(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import store"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "store of the user was imported" in done.stderr


def imported(statement: str) -> set[str]:
    """The top-level modules that are imported after this statement."""
    program = (
        f"import sys\n{statement}\nimport json\nprint(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


HELP = """
from matstrata.pipelines.cli.app import app
try:
    app(['--help'])
except SystemExit:
    pass
"""


@pytest.mark.parametrize("statement", ["import matstrata", HELP], ids=["matstrata", "help"])
def test_nothing_heavy_is_imported(statement: str) -> None:
    modules = imported(statement)
    assert "matstrata" in modules
    assert modules & set(HEAVY) == set()


def test_the_package_imports_nothing_but_itself() -> None:
    assert imported("import matstrata") - imported("pass") <= {"matstrata", "__future__", "typing"}


def test_what_is_heavy_would_be_seen() -> None:
    assert {"duckdb", "pyarrow"} <= imported("from matstrata import FeatureStore")
