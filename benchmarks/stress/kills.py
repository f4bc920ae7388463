"""Kill -9 at random moments of ingest, materialize, train and maintain; after each kill, check everything.

    python benchmarks/stress/kills.py --kills 200 --seed 1

In each round a process starts a job and is killed at a random moment. Then a second process checks the store: whatever
was acknowledged is stored, nothing incomplete is visible, all frozen sets, models and releases are unchanged. Then a
third runs the same job to its end, without repair by hand. At the end maintenance leaves no orphan.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import JOBS, POLICY, REJECTED_RECORDS, SOURCES, Workshop, rows_of, warm_up

from matstrata.store.datasets.training_sets import select
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.upkeep import doctor, releases


@dataclass
class Expected:
    """What must be in the store, as acknowledged by jobs, and what may be, as they began it."""

    done: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    snapshot: int = 0
    frozen: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    releases: dict[str, list[Any]] = field(default_factory=dict)

    def update(self, line: str) -> None:
        """Take note of a line that a job reported."""
        word, _, rest = line.partition(" ")
        if word in ("try", "done"):
            source, version = rest.split()
            (self.tried if word == "try" else self.done)[source] = int(version)
        elif word == "snapshot":
            self.snapshot = max(self.snapshot, int(rest))
        elif word == "frozen":
            self.frozen.add(rest)
        elif word == "model":
            self.models.add(rest)
        elif word == "release":
            name, content = rest.split(" ", 1)
            self.releases[name] = json.loads(content)


def run_forked(work: Callable[[Callable[[str], None]], None], kill_after: float | None = None) -> tuple[int, list[str]]:
    """Run `work` in its own process, killed after so many seconds if given; return exit code and reported lines."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(reading)
            work(lambda text: os.write(writing, f"{text}\n".encode()))
            code = 0
        except BaseException:  # noqa: BLE001 (it is reported, and the process ends)
            os.write(writing, f"error {json.dumps(traceback.format_exc())}\n".encode())
        finally:
            os._exit(code)
    with suppress(OSError):
        os.setpgid(process, process)  # whichever of the two is first
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.killpg(process, signal.SIGKILL)
    with os.fdopen(reading) as stream:
        lines = stream.read().splitlines()
    return os.waitpid(process, 0)[1], lines


def content_of(lake: Lake, snapshot: int) -> list[Any]:
    """Summarize observations and features at a snapshot: row counts and sums of row hashes."""
    with lake.reader(snapshot) as con:
        tables = ["observations", "rejections", "materials", "labels", "training_sets"]
        features = con.execute("SELECT name || '_v' || version FROM feature_sets ORDER BY 1").fetchall()
        tables += [f"features.{name}" for (name,) in features]
        sums = [con.execute(f"SELECT count(*), sum(hash(t))::VARCHAR FROM {name} t").fetchone() for name in tables]
    return [list(row) for row in sums]


def check(shop: Workshop, expected: Expected, report: Callable[[str], None]) -> None:
    """Check everything, and report each fault."""
    diagnosis = doctor.examine(shop.lake, deep=True)
    for finding in diagnosis.findings:
        report(f"{'fault' if finding.damage else 'note'} {finding.check}: {finding.what}")
    with shop.lake.reader() as con:
        if current_snapshot(con) < expected.snapshot:
            report("fault an acknowledged snapshot is gone")
        for source in SOURCES:
            counted = con.execute(
                "SELECT (SELECT count(*) FROM observations WHERE source = $s), "
                "(SELECT round(sum(value), 6) FROM observations WHERE source = $s), "
                "(SELECT count(*) FROM rejections WHERE source = $s), "
                "(SELECT rows_in FROM sources WHERE source = $s)",
                {"s": source},
            ).fetchone()
            allowed = []
            for version in {expected.done.get(source), expected.tried.get(source)}:
                rows = [] if version is None else list(rows_of(source, version))
                records = None if version is None else len(rows) + REJECTED_RECORDS
                total = round(sum(value for _, value in rows), 6) if rows else None
                allowed.append((len(rows), total, REJECTED_RECORDS if rows else 0, records))
            if counted not in allowed:
                report(f"fault {source} contains {counted}, but only {allowed} is allowed")
        sets = con.execute("SELECT * FROM training_sets").to_arrow_table().to_pylist()
        models = {name for (name,) in con.execute("SELECT model_id FROM models").fetchall()}
    if missing := expected.frozen - {row["training_set_id"] for row in sets}:
        report(f"fault frozen sets are gone: {missing}")
    if missing := expected.models - models:
        report(f"fault models are gone: {missing}")
    for row in random.Random(len(sets)).sample(sets, min(3, len(sets))):
        with shop.lake.reader(row["snapshot"]) as con:
            again = select(con, row["source"], row["properties"], row["features"]).training_set_id
        if again != row["training_set_id"]:
            report(f"fault training set {row['training_set_id'][:12]} is selected from its snapshot as {again[:12]}")
    for name, content in expected.releases.items():
        if content_of(shop.lake, releases.get_release(shop.lake, name).snapshot) != content:
            report(f"fault release {name} reads differently")


def stress(kills: int, seed: int, folder: Path, log: Callable[[str], None]) -> dict[str, Any]:
    """Kill so many times, and return the faults and counts."""
    rng = random.Random(seed)
    shop, expected = Workshop(Lake(folder / "store"), folder), Expected()
    typical = dict.fromkeys(JOBS, 3.0)
    faults, notes, killed, finished = [], Counter(), Counter(), 0

    def complete(job: str, version: int) -> None:
        """Run a job to its end, after which it is decided what earlier attempts left."""
        began = time.monotonic()
        code, lines = run_forked(lambda report: shop.run(job, version, report))
        typical[job] = 0.5 * typical.get(job, 3) + 0.5 * (time.monotonic() - began)
        for line in lines:
            expected.update(line)
            if line.startswith("error"):
                faults.append(f"{job} failed after a kill: {json.loads(line[6:])}")
        if code:
            faults.append(f"{job} failed after a kill: exit {code}")

    for job in (*JOBS, *JOBS):  # twice: the first run is slower than later ones
        complete(job, 0)
    for number in range(kills):
        job = JOBS[number % len(JOBS)]
        if job != "ingest":  # without new data there would be nothing to do
            complete("ingest_one", 1000 + number)
        if job == "train":
            complete("materialize", number)
        moment = rng.uniform(0, typical[job])
        code, lines = run_forked(lambda report, job=job, number=number: shop.run(job, number + 1, report), moment)
        for line in lines:
            expected.update(line)
            if line.startswith("error"):
                faults.append(f"{job} failed before it was killed: {json.loads(line[6:])}")
        killed[job] += code == signal.SIGKILL
        finished += code != signal.SIGKILL
        _, checked = run_forked(lambda report: check(shop, expected, report))
        new_faults = [line for line in checked if line.startswith(("fault", "error"))]
        faults += [f"after kill {number} ({job}, {moment:.2f} s): {line}" for line in new_faults]
        notes.update(line.split(":")[0] for line in checked if line.startswith("note"))
        complete(job, number + 1)
        if number % 10 == 5:
            _, lines = run_forked(lambda report, number=number: create_release(shop, f"r{number}", report))
            for line in lines:
                expected.update(line)
        log(f"{number + 1}/{kills} {job} killed after {moment:.2f} s; {len(faults)} faults" + "".join(new_faults[:1]))
    complete("maintain", 0)
    _, checked = run_forked(lambda report: check(shop, expected, report))
    faults += [f"at the end: {line}" for line in checked]
    return {
        "kills": sum(killed.values()),
        "by kind": dict(killed),
        "ended before the kill": finished,
        "faults": faults,
        "orphans found on the way": dict(notes),
        "releases": len(expected.releases),
        "frozen sets": len(expected.frozen),
        "models": len(expected.models),
        "policy": str(POLICY),
    }


def create_release(shop: Workshop, name: str, report: Callable[[str], None]) -> None:
    """Create a release, and report what it contains."""
    release = releases.create(shop.lake, name)
    report(f"release {name} {json.dumps(content_of(shop.lake, release.snapshot))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        result = stress(
            options.kills, options.seed, Path(folder), lambda text: print(text, file=sys.stderr, flush=True)
        )
    print(json.dumps(result, indent=2))
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
