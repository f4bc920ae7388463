"""The lock between writers: each waits for its turn, knows for whom, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from matstrata.schemas.errors import WorkError
from matstrata.store.lake.lake import Lake
from tests.store.lake.writers import kill, names, releases, start


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
        (message,) = [record.message for record in caplog.records if f"process {owner.pid}" in record.message]
        assert message.endswith("UTC: a long one")
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
