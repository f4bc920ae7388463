"""Real servers for tests and benchmarks of a shared store: Debian's PostgreSQL, and OpenStack Swift, which speaks S3."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "strata", "hush 'p@ss/word\\"
ACCESS_KEY, SECRET_KEY, BUCKET = "lab:writer", "hush-s3-key", "matstrata"
_SWIFT = ("account", "container", "object", "proxy")
_RINGS = """
import sys
from swift.common.ring import RingBuilder
for each in sys.argv[1:]:
    part, port = each.split("=")
    builder = RingBuilder(6, 1, 0)
    builder.add_dev(dict(id=0, region=1, zone=1, weight=1, ip="127.0.0.1", port=int(port), device="d1", meta=""))
    builder.rebalance()
    builder.get_ring().save(part + ".ring.gz")
"""


@dataclass(frozen=True)
class Postgres:
    port: int
    bin: Path

    def psql(self, statement: str, database: str = "postgres") -> str:
        return subprocess.run(
            [
                self.bin / "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                USER,
                "-d",
                database,
                "-AtXc",
                statement,
            ],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()


def missing() -> str | None:
    """What this machine lacks, in a sentence; None where it lacks nothing."""
    if _postgres_bin() is None:
        return "needs a PostgreSQL server: apt-get install postgresql"
    if not all(shutil.which(f"swift-{part}-server") for part in _SWIFT):
        return "needs an S3 server: apt-get install swift-proxy swift-account swift-container swift-object"
    return None


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A fresh PostgreSQL that asks for a password; it refuses to run as root, and runs as 'postgres' then."""
    binaries = _postgres_bin()
    assert binaries is not None
    root = os.geteuid() == 0
    other = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if root:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        options = ["-A", "scram-sha-256", "-U", USER, f"--pwfile={folder}/password", "--no-sync", "-E", "UTF8"]
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", *options], check=True, capture_output=True, cwd=folder, **other
        )
        port = _free_port()
        with _running(
            [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
            folder / "log",
            signal.SIGINT,  # PostgreSQL's fast shutdown
            **other,
        ):
            server = Postgres(port, binaries)
            _patiently(lambda: server.psql("SELECT 1"))
            yield server


@contextmanager
def running_s3() -> Iterator[str]:
    """A fresh Swift with its S3 interface and one bucket; gives its address."""
    ports = {part: _free_port() for part in _SWIFT}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "disks" / "d1").mkdir(parents=True)
        (folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = a\n[storage-policy:0]\nname = one\ndefault = yes\n"
        )
        common = (
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nuser = {getpass.getuser()}\nswift_dir = {folder}\nlog_level = ERROR\n"
        )
        for part in _SWIFT[:3]:
            (folder / f"{part}.conf").write_text(
                f"{common}bind_port = {ports[part]}\nworkers = 0\ndevices = {folder}/disks\nmount_check = false\n"
                f"[pipeline:main]\npipeline = {part}-server\n[app:{part}-server]\nuse = egg:swift#{part}\n"
            )
        rings = [f"{part}={ports[part]}" for part in _SWIFT[:3]]
        subprocess.run(["/usr/bin/python3", "-c", _RINGS, *rings], check=True, cwd=folder)  # Debian's own has Swift
        filters = ("catch_errors", "cache", "s3api", "tempauth", "slo", "dlo")
        options = {
            "cache": "use = egg:swift#memcache\nmemcache_servers = 127.0.0.1:9\n",
            "s3api": "use = egg:swift#s3api\nlocation = us-east-1\n",
            "tempauth": f"use = egg:swift#tempauth\nuser_{ACCESS_KEY.replace(':', '_')} = {SECRET_KEY} .admin\n",
        }
        (folder / "proxy.conf").write_text(
            f"{common}bind_port = {ports['proxy']}\nworkers = 0\n[pipeline:main]\npipeline = {' '.join(filters)} proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            + "".join(f"[filter:{each}]\n{options.get(each, f'use = egg:swift#{each}')}\n" for each in filters)
        )
        for part in _SWIFT:
            command = [f"swift-{part}-server", folder / f"{part}.conf"]
            stack.enter_context(_running(command, folder / f"{part}.log", signal.SIGKILL))
        address = f"http://127.0.0.1:{ports['proxy']}"
        for port in ports.values():
            _patiently(lambda port=port: socket.create_connection(("127.0.0.1", port), timeout=1).close())
        make_bucket(address)
        yield address


def make_bucket(address: str) -> None:
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # Swift does not know the newer ones
    import pyarrow.fs as pafs

    client = pafs.S3FileSystem(
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        endpoint_override=address,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    client.create_dir(BUCKET)


@contextmanager
def _running(command: list[object], log: Path, stop: signal.Signals, **options: object) -> Iterator[None]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            list(map(str, command)), stdout=stream, stderr=subprocess.STDOUT, cwd=log.parent, **options
        )
        try:
            yield
        except BaseException as error:
            error.add_note(log.read_text()[-2000:])
            raise
        finally:
            process.send_signal(stop)
            process.wait(timeout=60)


def _patiently(attempt: object, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (OSError, subprocess.CalledProcessError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def _postgres_bin() -> Path | None:
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
