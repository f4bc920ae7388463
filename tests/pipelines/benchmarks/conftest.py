"""The mirror of pinned files, where there is one."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def mirror() -> str:
    folders = os.environ.get("MATSTRATA_MIRROR")
    if not folders:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must set MATSTRATA_MIRROR")
        pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
    return folders.split(os.pathsep)[0]
