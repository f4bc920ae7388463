"""What these tests share: the mirror of pinned data files, found by the environment alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirrored() -> Callable[[str], list[Path]]:
    """Find files of the mirror by a pattern; skips where there is no mirror or no such file."""

    def find(pattern: str) -> list[Path]:
        folders = os.environ.get("MATSTRATA_MIRROR")
        if not folders:
            pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
        found = [path for folder in folders.split(os.pathsep) for path in sorted(Path(folder).glob(pattern))]
        if not found:
            pytest.skip(f"the mirror holds no {pattern}")
        return found

    return find
