"""What the tests of the whole share: a fresh workplace, the main job run once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from tests.end_to_end.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, {})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, str]:
    """The main job, run once from nothing, whichever test process needs it first; with what it printed."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    place, printed = Workplace(shared / "main_job", {}), shared / "main_job.txt"
    with FileLock(shared / "main_job.lock"):
        if not printed.exists():
            place.folder.mkdir(exist_ok=True)
            said = place.run("run")
            printed.write_text(said, encoding="utf-8")
    return place, printed.read_text(encoding="utf-8")
