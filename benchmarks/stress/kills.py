"""Kill -9 at random moments of ingest, materialize, train and maintain; after each, look at everything.

    python benchmarks/stress/kills.py --kills 200 --seed 1

Each round a process starts a job and is killed at a random moment of it. Then a second process looks: whatever was
acknowledged is there, nothing half-done is visible, all frozen sets, models and releases are what they were. Then a
third does the same job to its end, without help. At the end maintenance leaves no orphan.
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

from jobs import KINDS, POLICY, REFUSED, SOURCES, Workshop, rows_of, warm_up

from matstrata.store.datasets.training_sets import select
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.upkeep import doctor, releases


@dataclass
class Memory:
    """What the witness knows: what was acknowledged, and what may or may not have come to be."""

    done: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    snapshot: int = 0
    frozen: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    releases: dict[str, list[Any]] = field(default_factory=dict)

    def hear(self, said: str) -> None:
        """Take note of what a job said."""
        word, _, rest = said.partition(" ")
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
    """Run `work` in a process of its own; kill it after so many seconds, if given. Its exit code and what it said."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(reading)
            work(lambda text: os.write(writing, f"{text}\n".encode()))
            code = 0
        except BaseException:  # noqa: BLE001 (it is told, and the process ends)
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
        said = stream.read().splitlines()
    return os.waitpid(process, 0)[1], said


def content_of(lake: Lake, snapshot: int) -> list[Any]:
    """Observations and features as of a snapshot: row counts and sums of row hashes."""
    with lake.reader(snapshot) as con:
        tables = ["observations", "rejections", "materials", "labels", "training_sets"]
        features = con.execute("SELECT name || '_v' || version FROM feature_sets ORDER BY 1").fetchall()
        tables += [f"features.{name}" for (name,) in features]
        found = [con.execute(f"SELECT count(*), sum(hash(t))::VARCHAR FROM {name} t").fetchone() for name in tables]
    return [list(row) for row in found]


def look(shop: Workshop, memory: Memory, say: Callable[[str], None]) -> None:
    """Look at everything; say each fault."""
    diagnosis = doctor.examine(shop.lake, deep=True)
    for finding in diagnosis.findings:
        say(f"{'fault' if finding.damage else 'note'} {finding.check}: {finding.what}")
    with shop.lake.reader() as con:
        if current_snapshot(con) < memory.snapshot:
            say("fault an acknowledged snapshot is gone")
        for source in SOURCES:
            counted = con.execute(
                "SELECT (SELECT count(*) FROM observations WHERE source = $s), "
                "(SELECT round(sum(value), 6) FROM observations WHERE source = $s), "
                "(SELECT count(*) FROM rejections WHERE source = $s), "
                "(SELECT rows_in FROM sources WHERE source = $s)",
                {"s": source},
            ).fetchone()
            allowed = []
            for version in {memory.done.get(source), memory.tried.get(source)}:
                rows = [] if version is None else list(rows_of(source, version))
                records = None if version is None else len(rows) + REFUSED
                total = round(sum(value for _, value in rows), 6) if rows else None
                allowed.append((len(rows), total, REFUSED if rows else 0, records))
            if counted not in allowed:
                say(f"fault {source} holds {counted}, and {allowed} is allowed")
        sets = con.execute("SELECT * FROM training_sets").to_arrow_table().to_pylist()
        models = {name for (name,) in con.execute("SELECT model_id FROM models").fetchall()}
    if missing := memory.frozen - {row["training_set_id"] for row in sets}:
        say(f"fault frozen sets are gone: {missing}")
    if missing := memory.models - models:
        say(f"fault models are gone: {missing}")
    for row in random.Random(len(sets)).sample(sets, min(3, len(sets))):
        with shop.lake.reader(row["snapshot"]) as con:
            again = select(con, row["source"], row["properties"], row["features"]).training_set_id
        if again != row["training_set_id"]:
            say(f"fault training set {row['training_set_id'][:12]} comes out of its snapshot as {again[:12]}")
    for name, content in memory.releases.items():
        if content_of(shop.lake, releases.get_release(shop.lake, name).snapshot) != content:
            say(f"fault release {name} reads differently")


def stress(kills: int, seed: int, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Kill so many times; returns what was found."""
    rng = random.Random(seed)
    shop, memory = Workshop(Lake(folder / "store"), folder), Memory()
    typical = dict.fromkeys(KINDS, 3.0)
    faults, notes, killed, finished = [], Counter(), Counter(), 0

    def complete(kind: str, version: int) -> None:
        """A job to its end; what was tried before is decided by now."""
        began = time.monotonic()
        code, said = run_forked(lambda say: shop.run(kind, version, say))
        typical[kind] = 0.5 * typical.get(kind, 3) + 0.5 * (time.monotonic() - began)
        for line in said:
            memory.hear(line)
            if line.startswith("error"):
                faults.append(f"{kind} did not carry on: {json.loads(line[6:])}")
        if code:
            faults.append(f"{kind} did not carry on: exit {code}")

    for kind in (*KINDS, *KINDS):  # twice: the first is slower than those that follow
        complete(kind, 0)
    for number in range(kills):
        kind = KINDS[number % len(KINDS)]
        if kind != "ingest":  # something new, without which nothing would be to do
            complete("news", 1000 + number)
        if kind == "train":
            complete("materialize", number)
        moment = rng.uniform(0, typical[kind])
        code, said = run_forked(lambda say, kind=kind, number=number: shop.run(kind, number + 1, say), moment)
        for line in said:
            memory.hear(line)
            if line.startswith("error"):
                faults.append(f"{kind} failed before it was killed: {json.loads(line[6:])}")
        killed[kind] += code == signal.SIGKILL
        finished += code != signal.SIGKILL
        _, seen = run_forked(lambda say: look(shop, memory, say))
        found = [line for line in seen if line.startswith(("fault", "error"))]
        faults += [f"after kill {number} ({kind}, {moment:.2f} s): {line}" for line in found]
        notes.update(line.split(":")[0] for line in seen if line.startswith("note"))
        complete(kind, number + 1)
        if number % 10 == 5:
            _, said = run_forked(lambda say, number=number: name_release(shop, f"r{number}", say))
            for line in said:
                memory.hear(line)
        tell(f"{number + 1}/{kills} {kind} killed after {moment:.2f} s; {len(faults)} faults" + "".join(found[:1]))
    complete("maintain", 0)
    _, seen = run_forked(lambda say: look(shop, memory, say))
    faults += [f"at the end: {line}" for line in seen]
    return {
        "kills": sum(killed.values()),
        "by kind": dict(killed),
        "ended before the kill": finished,
        "faults": faults,
        "orphans found on the way": dict(notes),
        "releases": len(memory.releases),
        "frozen sets": len(memory.frozen),
        "models": len(memory.models),
        "policy": str(POLICY),
    }


def name_release(shop: Workshop, name: str, say: Callable[[str], None]) -> None:
    made = releases.create(shop.lake, name)
    say(f"release {name} {json.dumps(content_of(shop.lake, made.snapshot))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        found = stress(options.kills, options.seed, Path(folder), lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(found, indent=2))
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
