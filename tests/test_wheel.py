"""The wheel, built and installed outside the clone: whole, under the one name `matstrata`, and able to work there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("schemas", "store", "pipelines")
IMPORT_SECONDS = 0.05


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=PROJECT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment with Matstrata from the wheel, and all else from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", wheel], check=True)
    paths = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(packages, "of_the_tests.pth").write_text("\n".join(paths), encoding="utf-8")
    return folder / "bin"


@pytest.fixture
def occupied(tmp_path: Path) -> Path:
    """A folder in which a user's own files have the names of our packages."""
    for file in ("store.py", "schemas.py", "pipelines/__init__.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("raise RuntimeError('the file of the user')\n", encoding="utf-8")
    return tmp_path


def run(folder: Path, *command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MATSTRATA_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_all_files_of_the_packages_and_nothing_else(wheel: Path) -> None:
    files = {
        f"matstrata/{path.relative_to(PROJECT)}"
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(files) > 200
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files | {"matstrata/__init__.py", "matstrata/py.typed"}


def test_it_is_imported_beside_files_of_the_same_names(installed: Path, occupied: Path) -> None:
    program = (
        "from matstrata import FeatureStore, Predictor, parse_formula; import matstrata; "
        "print(matstrata.__file__, matstrata.__version__, parse_formula('PbI2').material_id)"
    )
    file, version, material_id = run(occupied, installed / "python", "-W", "error", "-c", program).split()
    assert Path(file).is_relative_to(installed.parent)
    assert version == "0.1.0"
    assert material_id == "I2Pb"


def test_its_command_works_beside_files_of_the_same_names(installed: Path, occupied: Path) -> None:
    assert "predict" in run(occupied, installed / "matstrata", "--help")
    assert "No store" in run(occupied, installed / "matstrata", "status")


def test_to_import_it_costs_next_to_nothing(installed: Path, occupied: Path) -> None:
    program = "import time; t = time.process_time(); import matstrata; print(time.process_time() - t)"
    assert min(float(run(occupied, installed / "python", "-c", program)) for _ in range(3)) <= IMPORT_SECONDS


def test_all_of_its_public_names_can_be_imported(installed: Path, occupied: Path) -> None:
    program = "from matstrata import *; print(*sorted(set(dir()) & set(__import__('matstrata').__all__)))"
    names = run(occupied, installed / "python", "-c", program).split()
    assert {"FeatureStore", "Predictor", "Settings", "InputError", "WorkError", "parse_formula"} <= set(names)
