"""What the tests of the whole share: a fresh workplace, and the main job, run once for all test processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.end_to_end.part import write_part
from tests.end_to_end.workplace import Workplace

SMALL_MODELS = Path(__file__).with_name("small_models")


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, {})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, str]:
    """The main job, run from nothing, with what it printed."""
    folder, printed = _once(tmp_path_factory, "main_job", lambda folder: Workplace(folder, {}).run("run"))
    return Workplace(folder, {}), printed


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The main job on a part of its data (`part`) with small models (`small_models`), for tests that run it again.

    A test that changes it copies it.
    """

    def make(folder: Path) -> str:
        (folder / "contracts").mkdir()
        write_part(folder / "contracts")
        return place(folder).run("run")

    def place(folder: Path) -> Workplace:
        return Workplace(folder, {"MATSTRATA_CONTRACTS": str(folder / "contracts"), "PYTHONPATH": str(SMALL_MODELS)})

    return place(_once(tmp_path_factory, "small_job", make)[0])


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str]) -> tuple[Path, str]:
    """A folder that is made by whichever test process needs it first; with what it printed."""
    shared = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    folder, printed = shared / name, shared / f"{name}.txt"
    with FileLock(shared / f"{name}.lock"):
        if not printed.exists():
            folder.mkdir()
            printed.write_text(make(folder), encoding="utf-8")
    return folder, printed.read_text(encoding="utf-8")
