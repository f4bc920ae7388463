"""Writers of several processes on one shared store: 16 writers in 4 processes, 50 commits each; no row may be lost.

Starts its own PostgreSQL and S3 servers (tests/servers.py lists what the machine needs); half of the processes have a
local folder of their own, as if on another machine. Prints commits, errors, lost and duplicate rows, and the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import servers

from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings

PROCESSES, THREADS, COMMITS = 4, 4, 50


def write(process: int) -> None:
    """Run one process, whose threads commit concurrently."""
    lake = Lake.of(Settings())

    def commits(thread: int) -> None:
        for i in range(COMMITS):
            name = f"{process}-{thread}-{i}"
            # Every fifth is too large to be inlined in the catalog, and goes to the bucket.
            rows = [f"{name}-{j}" for j in range(200 if i % 5 == 0 else 3)]
            with lake.commit(name) as transaction:
                transaction.insert("materials", pa.table({"material_id": rows}))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(commits, range(THREADS)))


def main() -> int:
    """Start servers and writers, count the rows, and return the exit code."""
    lacks = servers.missing()
    if lacks:
        print(f"skipped: {lacks}")
        return 0
    with servers.running_postgres() as postgres, servers.running_s3() as s3, tempfile.TemporaryDirectory() as folder:
        postgres.psql("CREATE DATABASE strata")
        password = quote(servers.PASSWORD, safe="")
        os.environ |= {
            "MATSTRATA_CATALOG": f"postgresql://{servers.USER}:{password}@127.0.0.1:{postgres.port}/strata",
            "MATSTRATA_DATA": f"s3://{servers.BUCKET}/strata",
            "MATSTRATA_LOCK_TIMEOUT": "3600",
            "AWS_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
        }
        lake = Lake.of(Settings(store=Path(folder) / "0"))
        lake.init()
        before, started = lake.snapshot(), time.perf_counter()
        running = [
            subprocess.Popen(
                [sys.executable, __file__, str(n)], env={**os.environ, "MATSTRATA_STORE": f"{folder}/{n // 2}"}
            )
            for n in range(PROCESSES)
        ]
        failed = sum(process.wait() != 0 for process in running)
        seconds = time.perf_counter() - started
        with lake.reader() as con:
            stored = con.execute("SELECT count(*), count(DISTINCT material_id) FROM materials").fetchall()[0]
        commits = lake.snapshot() - before
    expected = PROCESSES * THREADS * sum(200 if i % 5 == 0 else 3 for i in range(COMMITS))
    print(
        f"{PROCESSES} processes x {THREADS} writers x {COMMITS} commits: {commits} commits, {failed} processes failed, "
        f"{expected - stored[1]} rows of {expected} lost, {stored[0] - stored[1]} duplicate; {seconds:.0f} s"
    )
    return 0 if (failed, *stored, commits) == (0, expected, expected, PROCESSES * THREADS * COMMITS) else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(int(sys.argv[1]))
    else:
        sys.exit(main())
