"""What tests of several packages share: real, empty stores, and the mirror of pinned files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from matstrata.store.lake.lake import Lake
from tests.unit import is_unit

# how long an example takes says more of the machine than of the code
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


FIRST = ("test_main_job.py", "test_all_sources.py", "test_band_gap.py")  # minutes each; others wait for the main job
THEN = ("end_to_end", "stress", "shared_store")  # folders of tests that start servers and whole jobs


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark unit tests; long files first, so that no test process waits for another's at the end."""
    for item in items:
        if is_unit(item):
            item.add_marker(pytest.mark.unit)

    def place(item: pytest.Item) -> tuple[int, bool]:
        name, folder = item.path.name, item.path.parent.name
        return FIRST.index(name) if name in FIRST else len(FIRST), folder not in THEN

    items.sort(key=place)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an initialised, empty store; copy it, don't write to it."""
    root = tmp_path_factory.mktemp("pristine") / "store"
    Lake(root).init()
    return root


@pytest.fixture
def lake(pristine: Path, tmp_path: Path) -> Lake:
    """An empty store of the test's own."""
    return Lake(Path(shutil.copytree(pristine, tmp_path / "store")))


@pytest.fixture(scope="session")
def mirror() -> str:
    """The folders of the mirror, as in MATSTRATA_MIRROR."""
    folders = os.environ.get("MATSTRATA_MIRROR")
    if not folders:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must set MATSTRATA_MIRROR")
        pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
    return os.pathsep.join(str(Path(folder).resolve()) for folder in folders.split(os.pathsep))
