"""The stress scripts at a small size: kills at random moments, many writers at once. Their full size is run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "stress"


def run(script: str, *words: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, SCRIPTS / script, *words], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_killed_at_random_moments_nothing_is_lost_and_the_next_run_carries_on():
    report = run("kills.py", "--kills", "4", "--seed", "7")
    assert report["faults"] == []
    assert report["kills"] > 0
    assert report["kills"] + report["ended before the kill"] == 4


def test_many_writers_lose_nothing_and_readers_see_whole_commits():
    report = run("writers.py", "--writers", "4", "--commits", "4", "--readers", "1")
    assert (report["commits"], report["errors"]) == (16, [])
    assert report["rows"] == [400, 400]  # distinct and all: 25 of each commit
    (looks,) = report["looks of readers"]
    assert int(looks) > 0
