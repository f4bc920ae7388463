"""A store whose writers are killed, whose disk is full or whose folder is read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from matstrata.schemas.errors import WorkError
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep.doctor import examine
from tests.store.lake.writers import count, kill, names, releases, start


class TestCrash:
    def test_killed_before_the_commit(self, lake):
        before = lake.snapshot()
        writer = start(
            lake, "with lake.commit('big') as t: t.insert('materials', rows(200_000)); say('in'); time.sleep(600)"
        )
        assert writer.stdout.readline() == "in\n"
        assert any(lake.data.rglob("*.parquet")), "the rows should be on the disk, but not in the store"
        kill(writer)
        self._is_as_it_was(lake, before)

    @pytest.mark.parametrize("milliseconds", [0, 3, 20])
    def test_killed_during_the_commit_gives_all_or_nothing(self, lake, milliseconds):
        before = lake.snapshot()
        writer = start(
            lake, "with lake.commit('big') as t: t.insert('materials', rows(20_000)); say('in')\ntime.sleep(600)"
        )
        assert writer.stdout.readline() == "in\n"
        time.sleep(milliseconds / 1000)
        kill(writer)
        assert (count(lake, "materials"), lake.snapshot()) in [(0, before), (20_000, before + 1)]
        with lake.commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        assert names(lake) == ["a"]

    @pytest.mark.parametrize(
        ("rows", "limit"), [(50_000, 200_000), (3, 1), (50_000, 1)], ids=["data", "catalog", "both"]
    )
    def test_no_file_may_grow(self, lake, rows, limit):
        before = lake.snapshot()
        writer = start(
            lake,
            "import resource\nfrom matstrata.schemas.errors import WorkError\ntable = rows(int(sys.argv[2]))\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
            "try:\n    with lake.commit('fill') as t: t.insert('materials', table)\n"
            "except WorkError as error: say(error)",
            rows,
            limit,
        )
        output, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, "")
        assert "left the store as it was" in output
        assert "check free space" in output
        self._is_as_it_was(lake, before)

    @pytest.mark.parametrize("rows", [50_000, 3], ids=["data", "catalog"])
    def test_full_disk(self, small_disk, rows):
        lake = Lake(small_disk / "store")
        lake.init()
        before = lake.snapshot()
        with pytest.raises(OSError, match="No space left"):
            _fill(small_disk / "ballast")
        table = pa.table({"material_id": [os.urandom(16).hex() for _ in range(rows)]})
        with pytest.raises(WorkError, match="check free space"), lake.commit("fill") as transaction:
            transaction.insert("materials", table)
        (small_disk / "ballast").unlink()
        self._is_as_it_was(lake, before)

    @pytest.mark.parametrize(
        "files", [["write.lock"], ["catalog.sqlite-wal", "catalog.sqlite-shm"]], ids=["new", "used"]
    )
    def test_read_only_folder(self, lake, read_only, files):
        """Whether the file of the lock can't be made, or that of SQLite's log."""
        before = lake.snapshot()
        for file in files:
            (lake.root / file).unlink(missing_ok=True)
        with read_only(lake.root), pytest.raises(WorkError, match=str(lake.root)), lake.commit("write") as transaction:
            transaction.insert("releases", releases("a"))
        self._is_as_it_was(lake, before)

    def test_read_only_disk(self, small_disk):
        lake = Lake(small_disk / "store")
        lake.init()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(WorkError, match="Read-only"), lake.commit("write"):
            pass

    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "in use"])
    def test_a_read_only_store_can_be_read(self, lake, read_only, closed):
        with lake.commit("write") as transaction:
            transaction.insert("releases", releases("a"))
        if closed:
            for file in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
                (lake.root / file).unlink(missing_ok=True)
            with read_only(lake.root):
                assert (names(lake), lake.snapshot()) == (["a"], 2)
                assert not [finding for finding in examine(lake).findings if finding.damage]
        else:  # another may write to it meanwhile
            with lake.commit("write") as transaction:
                transaction.insert("releases", releases("b"))
                with read_only(lake.root):
                    assert (names(lake), lake.snapshot()) == (["a"], 2)
            assert (names(lake), lake.snapshot()) == (["a", "b"], 3)

    def test_read_only_place_for_a_new_store(self, tmp_path, read_only):
        with read_only(tmp_path), pytest.raises(WorkError, match="MATSTRATA_STORE"):
            Lake(tmp_path / "store").init()

    @staticmethod
    def _is_as_it_was(lake: Lake, before: int) -> None:
        assert (lake.snapshot(), count(lake, "materials"), names(lake)) == (before, 0, [])
        with lake.commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        assert (lake.snapshot(), names(lake)) == (before + 1, ["a"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def read_only():
    """A context in which nothing can be made or removed in a folder, root or not."""

    @contextmanager
    def read_only(folder: Path) -> Iterator[None]:
        if os.geteuid() != 0:
            folder.chmod(0o500)
            try:
                yield
            finally:
                folder.chmod(0o700)
            return
        locked = subprocess.run(["chattr", "+i", folder], capture_output=True, check=False)
        if locked.returncode:
            pytest.skip(f"root writes everywhere, and chattr fails here: {locked.stderr.decode()}")
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", folder], check=True)

    return read_only


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
