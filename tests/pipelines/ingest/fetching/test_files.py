"""Files are found by hash in the cache, the mirrors and on the network, and what can't be had is said in one error."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.fetching import files
from matstrata.pipelines.ingest.fetching.files import locate, locate_all
from matstrata.schemas.contracts import FileLocation
from matstrata.schemas.errors import InputError, WorkError

GAPS = b"formula,Eg\nGaN,3.4\nZnO,3.3\n" * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """A web site on this machine; `asked` lists the paths that were requested of it."""

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    breaks_off: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    knows_ranges: bool = True

    def location(self, page: str, content: bytes = GAPS) -> FileLocation:
        return FileLocation(url=f"{self.url}/{page}", sha256=sha256(content))


class Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *args: object) -> None:
        self.site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        page = self.path.lstrip("/")
        self.site.asked.append(page)
        content = self.site.pages.get(page)
        if content is None:
            self.send_error(404)
            return
        asked_from = self.headers.get("Range", "bytes=0-") if self.site.knows_ranges else "bytes=0-"
        start = int(asked_from.removeprefix("bytes=").rstrip("-"))
        self.site.starts.append(start)
        if start >= len(content):
            self.send_error(416)
            return
        rest = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if page in self.site.breaks_off else rest)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site)) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a site at which nobody answers."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_in_an_installed_package_is_found_without_importing_it() -> None:
    command = (
        "import sys; from pathlib import Path; from matstrata.pipelines.ingest.fetching.files import locate;"
        "from matstrata.schemas.contracts import FileLocation;"
        "[f] = locate([FileLocation(bundled='matminer:__init__.py')], cache=Path('nowhere'), mirrors=());"
        "print(f.path.is_file(), f.name, 'matminer' in sys.modules)"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["True", "__init__.py", "False"]


@pytest.mark.parametrize("package", ["no_such_package", "json.decoder"])
def test_a_package_that_is_not_installed_is_named(tmp_path: Path, package: str) -> None:
    location = FileLocation.model_construct(bundled=f"{package}:data.csv", sha256=None, name=None, url=None, path=None)
    with pytest.raises(InputError, match=f"{package}.*not installed"):
        locate([location], cache=tmp_path, mirrors=())


def test_a_local_file_gets_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_bytes(GAPS)
    [file] = locate([FileLocation(path=path)], cache=tmp_path / "cache", mirrors=())
    assert (file.name, file.path, file.sha256) == ("gaps.csv", path, sha256(GAPS))


def test_a_missing_local_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gaps\.csv does not exist"):
        locate([FileLocation(path=tmp_path / "gaps.csv")], cache=tmp_path, mirrors=())


def test_a_local_file_with_other_bytes_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_bytes(GAPS[:100])
    with pytest.raises(InputError) as error:
        locate([FileLocation(path=path, sha256=sha256(GAPS))], cache=tmp_path, mirrors=())
    assert all(part in str(error.value) for part in (str(path), sha256(GAPS), sha256(GAPS[:100])))


def test_a_download_lands_in_the_cache_and_is_not_repeated(tmp_path: Path, site: Site) -> None:
    site.pages["band%20gaps.csv"] = GAPS
    location = site.location("band%20gaps.csv")
    for _ in range(2):
        [file] = locate([location], cache=tmp_path, mirrors=())
        assert file.path == tmp_path / sha256(GAPS) / "band gaps.csv"
        assert file.path.read_bytes() == GAPS
    assert site.asked == ["band%20gaps.csv"]
    assert files_under(tmp_path) == [file.path]


def test_a_damaged_file_in_the_cache_is_refused_with_both_hashes(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = GAPS
    [file] = locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    file.path.write_bytes(b"damaged")
    with pytest.raises(InputError) as error:
        locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    assert all(part in str(error.value) for part in (str(file.path), sha256(GAPS), sha256(b"damaged"), "delete it"))


def test_a_mirror_serves_by_hash_whatever_the_name(tmp_path: Path, nowhere: str) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "deep").mkdir(parents=True)
    (mirror / "deep" / "renamed.bin").write_bytes(GAPS)
    (mirror / "gaps.csv").write_bytes(b"another version")
    location = FileLocation(url=f"{nowhere}/gaps.csv", sha256=sha256(GAPS))
    [file] = locate([location], cache=tmp_path / "cache", mirrors=[mirror])
    assert (file.name, file.path) == ("gaps.csv", mirror / "deep" / "renamed.bin")


def test_the_cache_comes_before_the_mirror_and_the_mirror_before_the_network(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = GAPS
    cache, mirror = tmp_path / "cache", tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "gaps.csv").write_bytes(GAPS)
    location = site.location("gaps.csv")
    assert locate([location], cache=cache, mirrors=[mirror])[0].path.parent == mirror
    assert site.asked == []
    cached = cache / sha256(GAPS) / "gaps.csv"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(GAPS)
    assert locate([location], cache=cache, mirrors=[mirror])[0].path == cached


def test_a_mirror_that_does_not_exist_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing_here.*MATSTRATA_MIRROR"):
        locate([], cache=tmp_path, mirrors=[tmp_path / "nothing_here"])


def test_a_file_changed_in_the_mirror_is_never_given_out(tmp_path: Path, nowhere: str) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shelved = mirror / "gaps.csv"
    shelved.write_bytes(GAPS)
    location = FileLocation(url=f"{nowhere}/gaps.csv", sha256=sha256(GAPS))
    locate([location], cache=tmp_path / "cache", mirrors=[mirror])
    before = shelved.stat()
    shelved.write_bytes(GAPS.swapcase())
    os.utime(shelved, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time as the index knows them
    with pytest.raises(InputError, match="wanted"):
        locate([location], cache=tmp_path / "cache", mirrors=[mirror])


@pytest.mark.parametrize("index", ["", "{", "[]"])
def test_a_damaged_index_is_built_anew(tmp_path: Path, nowhere: str, index: str) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "gaps.csv").write_bytes(GAPS)
    (tmp_path / "mirrors.json").write_text(index)
    location = FileLocation(url=f"{nowhere}/gaps.csv", sha256=sha256(GAPS))
    assert locate([location], cache=tmp_path, mirrors=[mirror])[0].sha256 == sha256(GAPS)


def test_a_second_look_into_a_mirror_reads_only_what_is_wanted(
    tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    contents = [f"{i}\n".encode() for i in range(200)]
    for i, content in enumerate(contents):
        (mirror / f"{i}.csv").write_bytes(content)
    wanted = FileLocation(url=f"{nowhere}/x/other.csv", sha256=sha256(contents[150]))
    read: list[Path] = []

    def noted(path: Path) -> str:
        read.append(path)
        return sha256(path.read_bytes())

    monkeypatch.setattr(files, "sha256_of", noted)
    first = locate([wanted], cache=tmp_path / "cache", mirrors=[mirror])
    assert len(read) > 1
    read.clear()
    assert locate([wanted], cache=tmp_path / "cache", mirrors=[mirror]) == first
    assert read == [mirror / "150.csv"]


def test_one_error_names_every_file_that_can_not_be_had(tmp_path: Path, site: Site, nowhere: str) -> None:
    site.pages["here.csv"] = GAPS
    sources = {
        "offline": [FileLocation(url=f"{nowhere}/a.csv", sha256="a" * 64), site.location("here.csv")],
        "gone": [site.location("b.csv"), FileLocation(url=f"{nowhere}/c.csv", sha256="c" * 64)],
    }
    with pytest.raises(InputError) as error:
        locate_all(sources, cache=tmp_path, mirrors=())
    message = str(error.value)
    assert (
        f"a.csv ({nowhere}/a.csv, sha256 aaaaaaaaaaaa…: {nowhere.removeprefix('http://')} can't be reached)" in message
    )
    assert "b.csv" in message
    assert "404" in message
    assert "c.csv" in message
    assert "here.csv" not in message
    assert "set MATSTRATA_MIRROR" in message
    assert "\n" not in message


def test_a_namesake_with_other_bytes_in_the_mirror_is_pointed_out(tmp_path: Path, nowhere: str) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "gaps.csv").write_bytes(GAPS[:50])
    location = FileLocation(url=f"{nowhere}/gaps.csv", sha256=sha256(GAPS))
    with pytest.raises(InputError) as error:
        locate([location], cache=tmp_path / "cache", mirrors=[mirror])
    assert all(part in str(error.value) for part in (str(mirror / "gaps.csv"), sha256(GAPS), sha256(GAPS[:50])))


def test_wrong_bytes_from_the_network_are_refused_with_both_hashes(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = b"<html>moved</html>"
    with pytest.raises(InputError) as error:
        locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    assert all(part in str(error.value) for part in ("gaps.csv", sha256(GAPS), sha256(b"<html>moved</html>")))
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_breaks_off_is_never_visible_and_resumes(
    tmp_path: Path, site: Site, knows_ranges: bool
) -> None:
    site.pages["gaps.csv"] = GAPS
    site.knows_ranges = knows_ranges
    site.breaks_off.add("gaps.csv")
    with pytest.raises(InputError, match="broke off"):
        locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    (part,) = files_under(tmp_path)
    assert part.name == "gaps.csv.part"
    assert part.read_bytes() == GAPS[: len(GAPS) // 2]
    site.breaks_off.clear()
    (file,) = locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    assert file.path.read_bytes() == GAPS
    assert site.starts == [0, len(GAPS) // 2 if knows_ranges else 0]
    assert files_under(tmp_path) == [file.path]


def test_a_part_of_other_bytes_is_refused_and_forgotten(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = GAPS
    place = tmp_path / sha256(GAPS)
    place.mkdir()
    (place / "gaps.csv.part").write_bytes(b"x" * 2 * len(GAPS))
    assert locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())[0].path.read_bytes() == GAPS
    (place / "gaps.csv").unlink()
    (place / "gaps.csv.part").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="hash"):
        locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    assert locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())[0].path.read_bytes() == GAPS


def test_a_folder_is_all_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b.cif", "a.cif", "more/c.cif", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = locate([FileLocation(path=tmp_path)], cache=tmp_path.parent / "cache", mirrors=())
    assert [file.name for file in files] == ["a.cif", "b.cif", "more/c.cif"]
    assert files[2].sha256 == sha256(b"more/c.cif")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        locate([FileLocation(path=tmp_path / "empty")], cache=tmp_path, mirrors=())


def test_local_faults_are_found_before_anything_is_downloaded(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = GAPS
    with pytest.raises(InputError, match="does not exist"):
        locate([site.location("gaps.csv"), FileLocation(path=tmp_path / "absent")], cache=tmp_path, mirrors=())
    assert site.asked == []


def test_a_cache_that_can_not_be_written_is_named(tmp_path: Path, site: Site) -> None:
    site.pages["gaps.csv"] = GAPS
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(WorkError, match="MATSTRATA_CACHE"):
        locate([site.location("gaps.csv")], cache=tmp_path / "cache", mirrors=())


def test_downloading_is_told_to_the_log_alone(
    tmp_path: Path, site: Site, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    site.pages["gaps.csv"] = GAPS
    with caplog.at_level("INFO", logger="matstrata.ingest"):
        locate([site.location("gaps.csv")], cache=tmp_path, mirrors=())
    assert caplog.messages == [f"downloading {site.url}/gaps.csv"]
    assert capfd.readouterr() == ("", "")
