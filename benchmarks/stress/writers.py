"""Many writers on one embedded store: every commit must be stored whole, and readers must never see half of one.

    python benchmarks/stress/writers.py --writers 16 --commits 50 --readers 2

Each writer is a process; each commit writes rows to two tables at once. Readers count both tables meanwhile.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMIT_ROWS = 25

WRITER = f"""
import logging, sys
from pathlib import Path
import pyarrow as pa
from matstrata.store.lake.lake import Lake
logging.disable(logging.WARNING)
lake, name, commits = Lake(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for commit in range(commits):
    ids = [f"{{name}}-{{commit}}-{{row}}" for row in range({COMMIT_ROWS})]
    with lake.commit(f"{{name}} {{commit}}") as transaction:
        transaction.insert("materials", pa.table({{"material_id": ids}}))
        transaction.insert("rejections", pa.table({{"source_record": ids, "source": [name] * {COMMIT_ROWS}}}))
"""

READER = f"""
import sys, time
from pathlib import Path
from matstrata.store.lake.lake import Lake
lake, looks, last = Lake(Path(sys.argv[1])), 0, 0
while not Path(sys.argv[2]).exists():
    with lake.reader() as con:
        snapshot, a, b = con.execute(
            "SELECT (SELECT id FROM lake.current_snapshot()), (SELECT count(*) FROM materials), "
            "(SELECT count(*) FROM rejections)"
        ).fetchone()
    assert a == b and a % {COMMIT_ROWS} == 0, (a, b)
    assert snapshot >= last, (snapshot, last)
    looks, last = looks + 1, snapshot
    time.sleep(0.2)
print(looks)
"""


def stress(root: Path, writers: int, commits: int, readers: int) -> dict[str, object]:
    """Write from so many processes at once, and return counts and errors."""
    from matstrata.store.lake.lake import Lake

    lake, stop = Lake(root / "store"), root / "stop"
    lake.init()
    before, began = lake.snapshot(), time.perf_counter()

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(lake.root), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    watching = [start(READER, stop) for _ in range(readers)]
    writing = [start(WRITER, f"writer{i}", commits) for i in range(writers)]
    errors = [error for process in writing if (error := process.communicate()[1])]
    seconds = time.perf_counter() - began
    stop.touch()
    outputs = [process.communicate() for process in watching]
    with lake.reader() as con:
        rows = con.execute("SELECT count(DISTINCT material_id), count(*) FROM materials").fetchone()
    return {
        "commits": lake.snapshot() - before,
        "rows": rows,
        "expected rows": writers * commits * COMMIT_ROWS,
        "errors": errors + [error for _, error in outputs if error],
        "looks of readers": [out.strip() for out, _ in outputs],
        "seconds": round(seconds, 1),
        "commits per second": round(writers * commits / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--commits", type=int, default=50)
    parser.add_argument("--readers", type=int, default=2)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        result = stress(Path(folder), options.writers, options.commits, options.readers)
    print(json.dumps(result, indent=2))
    expected = options.writers * options.commits
    whole = result["commits"] == expected and result["rows"] == (expected * COMMIT_ROWS, expected * COMMIT_ROWS)
    sys.exit(0 if whole and not result["errors"] else 1)


if __name__ == "__main__":
    main()
