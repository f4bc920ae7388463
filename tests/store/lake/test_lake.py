"""The store under people who are in a hurry: one commit is one snapshot or nothing, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake, current_snapshot, newest_change
from matstrata.store.upkeep.doctor import examine

WRITER = """
import logging, os, signal, sys, time
from pathlib import Path
import pyarrow as pa
from matstrata.store.lake.lake import Lake

def rows(n):
    return pa.table({"material_id": [os.urandom(16).hex() for _ in range(n)]})

def say(word):
    print(word, flush=True)

logging.disable(logging.WARNING)  # who waits for whom depends on the machine
lake = Lake(Path(sys.argv[1]), lock_timeout=60)
"""


def releases(*names: str) -> pa.Table:
    return pa.table({"name": list(names), "snapshot": [1] * len(names)})


def names(lake: Lake, snapshot: int | None = None) -> list[str]:
    with lake.reader(snapshot) as con:
        return [name for (name,) in con.execute("SELECT name FROM releases ORDER BY name").fetchall()]


def count(lake: Lake, table: str) -> int:
    with lake.reader() as con:
        return con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def start(lake: Lake, code: str, *arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER + code, str(lake.root), *map(str, arguments)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


class TestInit:
    def test_makes_all_tables_with_units_as_comments(self, lake):
        with lake.reader() as con:
            there = {
                name
                for (name,) in con.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"
                ).fetchall()
            }
            comment = con.execute(
                "SELECT comment FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = 'observations' "
                "AND column_name = 'temperature_k'"
            ).fetchone()
        assert there == set(TABLES)
        assert comment == ("temperature, where stated [K]",)

    def test_columns_come_back_with_the_types_that_were_declared(self, lake):
        with lake.reader() as con:
            for name, table in TABLES.items():
                found = con.execute(f"FROM {name}").to_arrow_table().schema
                assert found.names == list(table.column_names)
                for column in table.columns:
                    if not pa.types.is_timestamp(column.type) and not pa.types.is_list(column.type):
                        assert found.field(column.name).type == column.type, f"{name}.{column.name}"

    def test_a_second_init_makes_no_snapshot(self, lake):
        before = lake.snapshot()
        lake.init()
        assert lake.snapshot() == before

    def test_a_table_that_a_newer_version_declares_is_added(self, lake):
        with lake.commit("an older store") as transaction:
            transaction.insert("materials", pa.table({"material_id": ["GaN"]}))
            transaction.con.execute("DROP TABLE releases")
        lake.init()
        assert count(lake, "releases") == 0
        assert count(lake, "materials") == 1

    def test_a_death_while_the_catalog_was_made_is_healed(self, tmp_path):
        lake = Lake(tmp_path / "store")
        lake.root.mkdir()
        lake.catalog_file.touch()
        with pytest.raises(InputError, match="matstrata run"), lake.reader():
            pass
        lake.init()
        assert count(lake, "observations") == 0

    def test_several_at_once_make_one_store(self, tmp_path):
        lakes = [Lake(tmp_path / "store") for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Lake.init, lakes))
        assert lakes[0].snapshot() == 1

    def test_a_folder_with_quotes_blanks_and_accents(self, pristine, tmp_path):
        lake = Lake(Path(shutil.copytree(pristine, tmp_path / "it's a störe #1? 100%")))
        with lake.commit("add") as transaction:
            transaction.insert("releases", releases(*map(str, range(100))))
        assert len(names(lake)) == 100

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "store").touch()
        with pytest.raises(WorkError, match="MATSTRATA_STORE"):
            Lake(tmp_path / "store").init()

    def test_something_else_in_place_of_the_catalog(self, tmp_path):
        lake = Lake(tmp_path)
        lake.catalog_file.write_bytes(b"not a database, " * 1000)
        with pytest.raises(WorkError, match="file is not a database"):
            lake.init()


class TestCommit:
    def test_one_transaction_is_one_snapshot_and_says_who_and_why(self, lake):
        before = lake.snapshot()
        with lake.commit("two tables at once", {"run": 7, "files": ["é"]}) as transaction:
            transaction.insert("releases", releases("a"))
            transaction.insert("materials", pa.table({"material_id": ["GaN"]}))
            transaction.facts["found"] = "in the block"
        assert (transaction.snapshot, transaction.changed) == (before + 1, True)
        with lake.reader() as con:
            author, message, facts = con.execute(
                "SELECT author, commit_message, commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id DESC"
            ).fetchone()
        assert author
        assert message == "two tables at once"
        assert json.loads(facts) == {"run": 7, "files": ["é"], "found": "in the block"}

    def test_a_block_that_changes_nothing_makes_no_snapshot(self, lake):
        before = lake.snapshot()
        with lake.commit("look") as transaction:
            transaction.con.execute("DELETE FROM releases WHERE name = 'nobody'")
            transaction.insert("releases", releases())
        assert (transaction.snapshot, transaction.changed, lake.snapshot()) == (before, False, before)

    def test_an_exception_leaves_everything_as_it_was(self, lake):
        before = lake.snapshot()
        with pytest.raises(ZeroDivisionError), lake.commit("fail") as transaction:  # noqa: PT012
            transaction.insert("releases", releases(*map(str, range(1000))))
            transaction.con.execute("DROP TABLE materials")
            1 / 0  # noqa: B018
        assert (lake.snapshot(), names(lake), count(lake, "materials")) == (before, [], 0)

    def test_an_exception_releases_the_lock(self, lake):
        with pytest.raises(ZeroDivisionError), lake.commit("fail"):
            1 / 0  # noqa: B018
        with Lake(lake.root, lock_timeout=1).commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        assert names(lake) == ["a"]

    def test_wrong_sql_is_a_bug_and_not_a_full_disk(self, lake):
        with pytest.raises(duckdb.CatalogException), lake.commit("typo") as transaction:
            transaction.con.execute("DELETE FROM relaeses")

    @pytest.mark.parametrize("message", ["", "  \n"])
    def test_needs_a_message(self, lake, message):
        with pytest.raises(InputError, match="needs a message"), lake.commit(message):
            pass

    def test_columns_go_by_name(self, lake):
        with lake.commit("add") as transaction:
            transaction.insert("releases", pa.table({"note": ["for the paper"], "name": ["a"]}))
        with lake.reader() as con:
            assert con.execute("SELECT name, note, snapshot FROM releases").fetchall() == [("a", "for the paper", None)]


class TestReading:
    def test_a_reader_never_sees_half_a_commit(self, lake):
        with lake.commit("first") as transaction:
            transaction.insert("releases", releases("a"))
        with lake.reader() as early, lake.commit("second") as transaction:
            transaction.insert("releases", releases("b"))
            assert names(lake) == ["a"]
            assert early.execute("SELECT name FROM releases").fetchall() == [("a",)]
        assert names(lake) == ["a", "b"]

    def test_every_snapshot_stays_readable(self, lake):
        for name in "abc":
            with lake.commit(f"add {name}") as transaction:
                transaction.insert("releases", releases(name))
        last = transaction.snapshot
        assert [names(lake, snapshot) for snapshot in range(last - 3, last + 1)] == [
            [],
            ["a"],
            ["a", "b"],
            ["a", "b", "c"],
        ]
        with lake.reader(last - 1) as con:
            assert current_snapshot(con) == last - 1

    def test_the_newest_change_of_other_tables(self, lake):
        """A statement on two tables, of which one counts, is a change; deletions are changes too."""
        with lake.commit("counts") as transaction:
            transaction.insert("releases", releases("a"))
        counted = transaction.snapshot
        with lake.commit("does not") as transaction:
            transaction.con.execute("INSERT INTO models (model_id) VALUES ('m')")
        with lake.reader() as con:
            assert newest_change(con, ["models"])[0] == counted
            assert newest_change(con, ["releases", "models"])[0] < counted
            assert newest_change(con, ["predictions"])[0] == transaction.snapshot
        with lake.commit("both") as transaction:
            transaction.con.execute("DELETE FROM models")
            transaction.con.execute("DELETE FROM releases")
        with lake.reader() as con:
            assert newest_change(con, ["models"])[0] == transaction.snapshot

    @pytest.mark.parametrize("snapshot", [99, -1])
    def test_no_such_snapshot(self, lake, snapshot):
        with pytest.raises(InputError, match=f"no snapshot {snapshot}"), lake.reader(snapshot):
            pass

    def test_no_store(self, tmp_path):
        with pytest.raises(InputError, match="matstrata run"), Lake(tmp_path / "nowhere").reader():
            pass
        assert not (tmp_path / "nowhere").exists()

    def test_a_reader_can_not_write(self, lake):
        with lake.reader() as con, pytest.raises(duckdb.Error, match="read-only"):
            con.execute("DELETE FROM releases")

    def test_a_copy_is_a_store_of_its_own(self, lake, tmp_path):
        """A store that was copied or moved must neither read nor write where it came from."""
        with lake.commit("add") as transaction:
            transaction.insert("materials", pa.table({"material_id": [str(i) for i in range(1000)]}))
        copy = Lake(Path(shutil.copytree(lake.root, tmp_path / "copy")))
        shutil.rmtree(lake.data)
        assert count(copy, "materials") == 1000
        with copy.commit("add") as transaction:
            transaction.insert("materials", pa.table({"material_id": [str(i) for i in range(1000)]}))
        assert count(copy, "materials") == 2000
        assert not lake.data.exists()


class TestLock:
    def test_a_second_process_waits_and_then_commits(self, lake):
        with lake.commit("first") as transaction:
            second = start(
                lake,
                "say('ready')\nwith lake.commit('second') as t: t.con.execute(\"INSERT INTO releases (name) VALUES ('b')\")",
            )
            assert second.stdout.readline() == "ready\n"
            time.sleep(0.3)
            assert second.poll() is None
            transaction.insert("releases", releases("a"))
        _, errors = second.communicate(timeout=60)
        assert (second.returncode, errors, names(lake)) == (0, "", ["a", "b"])

    def test_a_lock_held_too_long_says_who_holds_it_and_what_to_do(self, lake):
        impatient = Lake(lake.root, lock_timeout=0.2)
        with (
            lake.commit("refresh source x"),
            pytest.raises(WorkError, match=rf"0\.2 s: process {os.getpid()}, since .* UTC: refresh source x; wait"),
            impatient.commit("late"),
        ):
            pass
        assert lake.lock_owner() is None

    def test_a_wait_is_told_with_the_one_waited_for(self, lake, caplog, monkeypatch):
        monkeypatch.setattr("matstrata.store.lake.lock.SILENT_WAIT", 0.05)
        owner = start(lake, "with lake.commit('a long one'): say('held'); sys.stdin.readline()", stdin=subprocess.PIPE)
        assert owner.stdout.readline() == "held\n"
        assert f"process {owner.pid}, since" in lake.lock_owner()
        threading.Timer(0.5, owner.stdin.close).start()
        with lake.commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        with owner:  # wait, and close its pipes
            pass
        (told,) = [record.message for record in caplog.records if f"process {owner.pid}" in record.message]
        assert told.endswith("UTC: a long one")
        assert names(lake) == ["a"]

    def test_another_thread_waits_no_longer_than_another_process(self, lake):
        impatient, caught = Lake(lake.root, lock_timeout=0.2), []

        def late() -> None:
            with pytest.raises(WorkError) as error, impatient.commit("late"):
                pass
            caught.append(error)

        with lake.commit("long"):
            thread = threading.Thread(target=late)
            thread.start()
            thread.join(10)
        assert len(caught) == 1

    def test_nobody_takes_it_again_and_again_while_another_waits(self, lake):
        turns, waiting, served = [], threading.Event(), threading.Event()

        def wait() -> None:
            waiting.set()
            with lake.locked("patient"):
                turns.append("patient")
            served.set()

        thread = threading.Thread(target=wait)
        with lake.locked("greedy"):
            thread.start()
            waiting.wait()
            time.sleep(0.2)
        while not served.is_set() and len(turns) < 50:
            with lake.locked("greedy"):
                turns.append("greedy")
        thread.join()
        assert "patient" in turns[:3]

    def test_the_lock_dies_with_its_owner(self, lake):
        owner = start(lake, "with lake.commit('never'): say('held'); time.sleep(600)")
        assert owner.stdout.readline() == "held\n"
        kill(owner)
        with Lake(lake.root, lock_timeout=5).commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        assert names(lake) == ["a"]


class TestManyWriters:
    def test_threads_lose_nothing(self, lake):
        def write(i: int) -> None:
            with lake.commit(f"thread {i}") as transaction:
                transaction.insert("releases", releases(f"{i:02}"))

        before = lake.snapshot()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(16)))
        assert names(lake) == [f"{i:02}" for i in range(16)]
        assert lake.snapshot() == before + 16

    def test_processes_lose_nothing(self, lake):
        code = (
            "for i in range(10):\n"
            "    with lake.commit('add') as t: t.con.execute('INSERT INTO releases (name) VALUES (?)', [f'{sys.argv[2]}-{i}'])"
        )
        before = lake.snapshot()
        writers = [start(lake, code, number) for number in range(4)]
        assert [(writer.communicate(timeout=120)[1], writer.returncode) for writer in writers] == [("", 0)] * 4
        assert names(lake) == sorted(f"{writer}-{i}" for writer in range(4) for i in range(10))
        assert lake.snapshot() == before + 40


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
        said, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, "")
        assert "left the store as it was" in said
        assert "check free space" in said
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
