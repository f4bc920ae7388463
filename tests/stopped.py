"""A command that gets a signal: it ends in a sentence, with its exit code, without a traceback or a child left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from matstrata.pipelines.cli.interrupts import STOPPED

COMMAND = Path(sys.executable).with_name("matstrata")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stopped:
    """A command that gets a signal, and what became of it and its children."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = ""
        self.children: list[int] = []

    def until(self, text: str) -> Stopped:
        """Wait until it prints this."""
        while text not in self.errors:
            line = self.process.stderr.readline()
            assert line, f"{text!r} did not come, but {self.errors!r}"
            self.errors += line
        return self

    def ready(self) -> Stopped:
        """Wait until Python has started and the command's first line has run."""
        status = Path(f"/proc/{self.process.pid}/status")
        while True:
            caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
            if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
                return self
            time.sleep(0.001)

    def send(self, number: signal.Signals) -> None:
        """Send the signal, and check how it ends."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        self.children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        self.process.send_signal(number)
        self.errors += self.process.communicate(timeout=60)[1]
        assert self.process.returncode == CODES[number], self.errors
        assert "Traceback" not in self.errors
        assert self.errors.splitlines()[-1] == STOPPED
        assert self.errors.count(STOPPED) == 1
        assert "failed" not in self.errors
        ends = time.monotonic() + 10
        while any(Path(f"/proc/{child}").exists() for child in self.children):
            assert time.monotonic() < ends, "a child process is left"
            time.sleep(0.05)
