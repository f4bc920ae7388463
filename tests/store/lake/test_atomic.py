"""Atomic writes: a file or folder is the old one or the new one, whole, whatever becomes of the writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from matstrata.store.lake.atomic import PARTIAL, appearing, replacing, write_atomically

PROJECT = Path(__file__).parents[3]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced_in_a_folder_that_did_not_exist(tmp_path):
    file = tmp_path / "new" / "folder" / "file.txt"
    write_atomically(file, "Ångström\n")
    assert file.read_bytes() == "Ångström\n".encode()
    write_atomically(file, b"\x00\xff")
    assert file.read_bytes() == b"\x00\xff"
    assert names(file.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("old")

    def break_off() -> None:
        with replacing(file) as partial:
            partial.write_text("ne")
            assert file.read_text() == "old", "not yet"
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    assert (file.read_text(), names(tmp_path)) == ("old", ["file.txt"])


@pytest.mark.parametrize("old", ["old", None], ids=["replaced", "new"])
def test_a_killed_writer_leaves_the_old_file(tmp_path, old):
    file = tmp_path / "file.txt"
    if old is not None:
        file.write_text(old)
    code = (
        "import sys, time; from pathlib import Path; from matstrata.store.lake.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half of the new conte'); print('half', flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(file)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    assert (file.read_text() if file.exists() else None) == old
    (left,) = set(names(tmp_path)) - {"file.txt"}
    assert left.endswith(PARTIAL), "the doctor and maintenance know it by its name"
    write_atomically(file, "new")
    assert file.read_text() == "new"


def test_threads_that_write_one_file_do_not_mix(tmp_path):
    file, contents, errors = tmp_path / "file.txt", ["a" * 300_000, "b" * 200_000], []

    def write(content: str) -> None:
        try:
            for _ in range(20):
                write_atomically(file, content)
                assert file.read_text() in contents
        except BaseException as error:  # noqa: BLE001 (a thread's error fails the test)
            errors.append(error)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert file.read_text() in contents
    assert names(tmp_path) == ["file.txt"]


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    file, synced = tmp_path / "file.txt", []
    sync = os.fsync
    monkeypatch.setattr("matstrata.store.lake.atomic.os.fsync", lambda fd: synced.append(file.exists()) or sync(fd))
    write_atomically(file, "content")
    assert synced == [False]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    folder = tmp_path / "copy"
    with appearing(folder) as partial:
        (partial / "file.txt").write_text("content")
        assert not folder.exists()
    assert (folder / "file.txt").read_text() == "content"
    assert names(tmp_path) == ["copy"]


def test_a_folder_that_was_not_completed_is_gone(tmp_path):
    def break_off() -> None:
        with appearing(tmp_path / "copy") as partial:
            (partial / "file.txt").write_text("content")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    assert names(tmp_path) == []


def test_a_full_folder_is_not_replaced(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    with pytest.raises(OSError, match="not empty"), appearing(folder) as partial:
        (partial / "new.txt").write_text("new")
    assert (names(tmp_path), names(folder)) == (["copy"], ["old.txt"])
