"""What the tests of the whole share: a fresh workplace, the mirror of pinned files, the main job run once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.end_to_end.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, {})


@pytest.fixture(scope="session")
def mirror() -> str:
    folders = os.environ.get("MATSTRATA_MIRROR")
    if not folders:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must set MATSTRATA_MIRROR")
        pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
    return os.pathsep.join(str(Path(folder).resolve()) for folder in folders.split(os.pathsep))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, str]:
    """The main job, run once from nothing; with what it printed."""
    place = Workplace(tmp_path_factory.mktemp("main_job"), {})
    return place, place.run("run")
