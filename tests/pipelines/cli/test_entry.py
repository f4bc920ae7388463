"""A command that is stopped: a sentence, its exit code, no traceback, no process left, a whole store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from matstrata.pipelines.cli.interrupts import STOPPED
from matstrata.store.upkeep.doctor import examine
from tests.lab import named
from tests.pipelines.cli.conftest import Furnished
from tests.stopped import CODES, COMMAND, Stopped

SLOW = "SELECT count(*) FROM range(4000000000000) t(i) WHERE hash(i) % 7 = 3"


@pytest.fixture
def start(furnished_copy: Furnished) -> Callable[..., Stopped]:
    return lambda *words: Stopped(furnished_copy.environment, *words)


@pytest.mark.parametrize("milliseconds", [0, 20, 50, 100, 200, 500, 1000, 2000])
def test_a_command_is_terminated_while_it_imports(start, milliseconds: int) -> None:
    command = start("refresh").ready()
    time.sleep(milliseconds / 1000)
    command.send(signal.SIGTERM)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_refresh_ends_with_its_second_process_and_leaves_a_whole_store(
    start, furnished_copy: Furnished, number: signal.Signals
) -> None:
    contracts = furnished_copy.folder / "contracts"
    for source in ("many", "more"):
        rows = [f"Ga{i}N{j},{1 + i / 1000}" for i in range(1, 200) for j in range(1, 100)]
        (contracts / f"{source}.yaml").write_text(named(source), encoding="utf-8")
        (contracts / f"{source}.csv").write_text("\n".join(["formula,gap", *rows]) + "\n", encoding="utf-8")
    command = start("refresh", "many", "more").until("many: ")
    command.send(number)
    assert command.children
    assert examine(furnished_copy.lake, deep=True).healthy
    assert not [*furnished_copy.folder.rglob("*.partial*")]


def test_a_prediction_is_terminated_while_it_loads(start) -> None:
    command = start("predict", "GaN").ready()
    time.sleep(0.5)
    command.send(signal.SIGTERM)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_query_ends(start, number: signal.Signals) -> None:
    command = start("sql", SLOW).ready()
    time.sleep(4)
    command.send(number)


def test_a_command_in_the_background_is_terminated_too(furnished_copy: Furnished) -> None:
    """A shell without job control starts it with SIGINT ignored."""
    line = f"trap '' INT; exec {COMMAND} sql '{SLOW}'"
    process = subprocess.Popen(
        ["sh", "-c", line], env=furnished_copy.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(4)
    process.terminate()
    assert process.communicate(timeout=60) == ("", f"{STOPPED}\n")
    assert process.returncode == 143


def test_a_call_into_a_library_that_takes_long_is_ended_after_a_grace(furnished_copy: Furnished) -> None:
    """Python code runs no signal handler meanwhile."""
    program = (
        "import hashlib\nfrom matstrata.pipelines.cli import entry, interrupts\ninterrupts.GRACE = 0.5\n"
        "def run():\n  print('in', flush=True)\n  hashlib.pbkdf2_hmac('sha256', b'word', b'salt', 10**9)\n"
        "entry._run = run\nentry.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout.readline() == "in\n"
    started = time.monotonic()
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, f"{STOPPED}\n")
    assert time.monotonic() - started < 20
