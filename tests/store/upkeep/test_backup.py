"""Backup and restore: what comes back is the store as it was, whole, or nothing comes back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep import doctor, releases
from matstrata.store.upkeep.backup import MANIFEST, backup, restore
from matstrata.store.upkeep.maintenance import Policy, maintain


def add(lake: Lake, *names: str) -> int:
    with lake.commit("add") as transaction:
        transaction.insert("materials", pa.table({"material_id": list(names)}))
        transaction.insert("rejections", pa.table({"source_record": list(names)}))
    return transaction.snapshot


def count(lake: Lake, table: str = "materials", snapshot: int | None = None) -> int:
    with lake.reader(snapshot) as con:
        return con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A store with a release, files that are no tables, and what the dead left."""
    add(lake, "GaN", "Si")
    releases.create(lake, "v1")
    add(lake, "Ge")
    for name in ("contracts/lab.yaml", "reports/band_gap.html", "models/.x.1.partial"):
        (lake.root / name).parent.mkdir(exist_ok=True)
        (lake.root / name).write_text(name)
    return lake


def test_there_and_back(filled, tmp_path):
    made = backup(filled, tmp_path / "deep" / "backup")
    assert made.snapshot == filled.snapshot()
    add(filled, "InN")
    done = restore(made.place, tmp_path / "again")
    assert (done.files, done.bytes) == (made.files, made.bytes)
    again = Lake(tmp_path / "again")
    assert (count(again), count(filled)) == (3, 4)
    assert count(again, snapshot=releases.get_release(again, "v1").snapshot) == 2
    assert (again.root / "contracts" / "lab.yaml").read_text() == "contracts/lab.yaml"
    assert not list(again.root.rglob("*.partial"))
    assert doctor.examine(again, deep=True).findings == ()
    add(again, "AlN")
    assert (count(again), count(filled)) == (4, 4)
    assert count(Lake(made.place)) == 3, "a backup is a store that can be read where it lies"


def test_it_is_consistent_while_others_write_and_maintain(filled, tmp_path):
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add(filled, f"m{number}")
            number += 1
            if number % 3 == 0:
                maintain(filled, Policy(keep_snapshots=2, keep_days=0))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backup(filled, tmp_path / f"backup{i}") for i in range(3)]
    finally:
        stop.set()
        writer.join()
    for each in made:
        copy = Lake(each.place)
        assert copy.snapshot() == each.snapshot
        assert count(copy) == count(copy, "rejections")
        assert not any(finding.damage for finding in doctor.examine(copy, deep=True).findings)


@pytest.mark.parametrize("present", ["folder", "file"])
def test_nothing_is_overwritten(filled, tmp_path, present):
    place = tmp_path / "place"
    if present == "folder":
        place.mkdir()
        (place / "mine").touch()
    else:
        place.touch()
    made = backup(filled, tmp_path / "backup")
    for attempt in (lambda: backup(filled, place), lambda: restore(made.place, place)):
        with pytest.raises(InputError, match="never overwritten"):
            attempt()
    with pytest.raises(InputError, match="outside"):
        backup(filled, filled.root / "backup")
    with pytest.raises(InputError, match="never overwritten"):
        restore(made.place, filled.root)


def test_an_empty_folder_is_taken(filled, tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "again").mkdir()
    restore(backup(filled, tmp_path / "backup").place, tmp_path / "again")
    assert count(Lake(tmp_path / "again")) == 3


@pytest.mark.parametrize("damage", ["changed", "missing", "manifest", "path"])
def test_a_damaged_backup_brings_nothing_back(filled, tmp_path, damage):
    place = backup(filled, tmp_path / "backup").place
    file = next(place.rglob("*.parquet"))
    if damage == "changed":
        content = bytearray(file.read_bytes())
        content[20] ^= 1
        file.write_bytes(content)
    elif damage == "missing":
        file.unlink()
    elif damage == "manifest":
        (place / MANIFEST).write_text("{")
    else:
        manifest = json.loads((place / MANIFEST).read_text())
        manifest["files"][0]["path"] = "../../escaped"
        (place / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises((InputError, WorkError), match=r"damaged|lacks|can't be read|outside"):
        restore(place, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".again*"))


def test_no_store_and_no_backup(tmp_path, lake):
    with pytest.raises(InputError, match="matstrata run"):
        backup(Lake(tmp_path / "nowhere"), tmp_path / "backup")
    with pytest.raises(InputError, match="is not a backup"):
        restore(lake.root, tmp_path / "again")


def test_a_file_that_is_gone_is_told(filled, tmp_path):
    next(filled.data.rglob("*.parquet")).unlink()
    with pytest.raises(WorkError, match=r"is missing.*doctor"):
        backup(filled, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_full_disk_leaves_nothing(filled, tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path; from matstrata.store.lake.lake import Lake\n"
        "from matstrata.store.upkeep.backup import backup; from matstrata.schemas.errors import WorkError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2)\n"
        "try: backup(Lake(Path(sys.argv[1])), Path(sys.argv[2]))\n"
        "except WorkError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, filled.root, tmp_path / "backup"], capture_output=True, text=True, check=True
    )
    assert "free space" in done.stdout
    assert not (tmp_path / "backup").exists()
    assert count(filled) == 3


def test_killed_half_way_it_appears_not_at_all_and_the_next_carries_on(filled, tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from matstrata.store.lake.lake import Lake; import matstrata.store.upkeep.backup as b\n"
        "copy = b._copy\n"
        "def slow(*a):\n    print('copying', flush=True); time.sleep(0.2); return copy(*a)\n"
        "b._copy = slow\n"
        "b.backup(Lake(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, filled.root, tmp_path / "backup"], stdout=subprocess.PIPE)
    with process:
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "backup").exists()
    add(filled, "AlN")
    assert count(Lake(backup(filled, tmp_path / "backup").place)) == 4
    assert not list(tmp_path.glob(".backup*"))


def test_a_copied_folder_is_not_needed(filled, tmp_path):
    """The backup does not lean on the store: it survives it."""
    made = backup(filled, tmp_path / "backup")
    shutil.rmtree(filled.root)
    restore(made.place, filled.root)
    assert count(Lake(Path(filled.root))) == 3
