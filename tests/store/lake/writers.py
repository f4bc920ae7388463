"""Processes that write to a store, and short ways to look into it: for the tests of commits, locks and crashes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pyarrow as pa

from matstrata.store.lake.lake import Lake

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
