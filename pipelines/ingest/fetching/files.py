"""Where a source's bytes are on this machine: locations of a contract -> files whose SHA-256 was verified.

Not here: what is inside the files (`pipelines.ingest.readers`), and which files a source wants (its contract).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from matstrata.pipelines.ingest.fetching import answer
from matstrata.pipelines.ingest.fetching.downloads import download
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.schemas.contracts import FileLocation
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.atomic import write_atomically

log = logging.getLogger("matstrata.ingest")


class UnlocatedError(InputError):
    """Files of some sources can't be had; `reasons` says which sources these are, with a sentence for each."""

    def __init__(self, message: str, reasons: Mapping[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


def locate(files: Sequence[FileLocation], *, cache: Path, mirrors: Sequence[Path]) -> tuple[SourceFile, ...]:
    """The files of one source, in their order; see `locate_all`."""
    return locate_all({"": files}, cache=cache, mirrors=mirrors)[""]


def locate_all(
    sources: Mapping[str, Sequence[FileLocation]], *, cache: Path, mirrors: Sequence[Path]
) -> Mapping[str, tuple[SourceFile, ...]]:
    """The files of several sources, in the order of their locations; every file's hash is verified now.

    A file with a URL is looked for in the download cache (`<cache>/<sha256>/<name>`), then in the folders `mirrors`,
    then on the network. Nothing is downloaded before everything that should be on this machine was found. The answer
    of an interface is requested again when it has grown old.

    Raises:
        UnlocatedError: a file is missing, has another hash than the contract says, or can't be had; one error names
            all the files that can't be had, of all sources.
        WorkError: the cache folder can't be written; or the interface that the only source asks does not answer.
    """
    shelves = _Mirrors(mirrors, index=cache / "mirrors.json")
    unique = dict.fromkeys(location for locations in sources.values() for location in locations)
    paths: dict[FileLocation, Path | None] = {}
    lacking: dict[FileLocation, str] = {}
    for location in sorted(unique, key=lambda location: location.is_live):
        try:
            paths[location] = answer(location, cache / "live") if location.is_live else _here(location, cache, shelves)
        except (InputError, WorkError) as error:
            if isinstance(error, WorkError) and len(sources) == 1:
                raise
            lacking[location] = str(error)
    shelves.remember()
    if lacking:
        raise _unlocated(sources, lacking, "; ".join)
    absent = [location for location, path in paths.items() if path is None]
    if lacking := _download_all(absent, cache, shelves):
        raise _unlocated(sources, lacking, _unobtainable)
    located: dict[FileLocation, tuple[SourceFile, ...]] = {}
    for location, path in paths.items():
        try:
            located[location] = _source_files(location, path or _place(location, cache))
        except InputError as error:
            lacking[location] = str(error)
    if lacking:
        raise _unlocated(sources, lacking, "; ".join)
    return {
        source: tuple(file for location in locations for file in located[location])
        for source, locations in sources.items()
    }


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        InputError: the file can't be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"file {path} can't be read ({error.strerror}); check its path and permissions") from error


def _unlocated(
    sources: Mapping[str, Sequence[FileLocation]],
    lacking: Mapping[FileLocation, str],
    sentence: Callable[[Iterable[str]], str],
) -> UnlocatedError:
    """The error for what is lacking, as a whole and by source."""
    of_source = {
        source: [lacking[location] for location in dict.fromkeys(locations) if location in lacking]
        for source, locations in sources.items()
    }
    reasons = {source: sentence(words) for source, words in of_source.items() if words}
    return UnlocatedError(sentence(dict.fromkeys(lacking.values())), reasons)


def _unobtainable(files: Iterable[str]) -> str:
    return (
        "these files are wanted, but neither in the cache nor in a mirror, and can't be downloaded: "
        f"{'; '.join(files)}. Connect to the network and run again, or download them on another machine and set "
        "MATSTRATA_MIRROR to the folder that holds them"
    )


def _here(location: FileLocation, cache: Path, shelves: _Mirrors) -> Path | None:
    """The verified file, or None if it has a URL and is not on this machine."""
    if location.url is None:
        path = location.path or _bundled(location.bundled or "")
        if location.path is not None and path.is_dir() and location.sha256 is None:
            return path
        if not path.is_file():
            raise InputError(f"file {path} does not exist, or is not a file; correct its location in the contract")
        if location.sha256 is not None:
            _verify(path, location.sha256, "find the right file, or give the contract the hash of this one")
        return path
    path, sha256 = _place(location, cache), location.sha256 or ""  # a location with a URL has one: see FileLocation
    if path.exists():
        _verify(path, sha256, "delete it and run again")
        return path
    return shelves.find(sha256, location.label)


def _source_files(location: FileLocation, path: Path) -> tuple[SourceFile, ...]:
    """The file of a location; of a folder all files in it but hidden ones, by name."""
    if not path.is_dir():
        return (SourceFile(location.label, path, location.sha256 or sha256_of(path)),)
    inside = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not inside:
        raise InputError(f"folder {path} holds no file; put the source's files there, or correct the contract")
    return tuple(SourceFile(file.relative_to(path).as_posix(), file, sha256_of(file)) for file in inside)


def _bundled(address: str) -> Path:
    """The path of 'package:path inside it', without importing the package (matminer: 4 s)."""
    package, _, inside = address.partition(":")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"package {package!r} of the file location {address!r} is not installed; install it")
    return Path(spec.submodule_search_locations[0]) / inside


def _verify(path: Path, expected: str, remedy: str) -> None:
    actual = sha256_of(path)
    if actual != expected:
        raise InputError(f"file {path} has sha256 {actual}, but {expected} is expected; {remedy}")


def _place(location: FileLocation, cache: Path) -> Path:
    return cache / (location.sha256 or "") / location.label


class _Mirrors:
    """The files in the mirror folders, found by hash.

    The file `index` remembers hashes by path, size and time of change, so that a large folder is read only once.
    It merely says where to look: what is given out was hashed again.
    """

    def __init__(self, folders: Sequence[Path], index: Path) -> None:
        absent = [str(folder) for folder in folders if not folder.is_dir()]
        if absent:
            raise InputError(f"no such mirror folder: {', '.join(absent)}; correct MATSTRATA_MIRROR")
        self._index = index
        self._remembered: dict[str, str] = _read_index(index) if folders else {}
        self._learnt: dict[str, str] = {}
        self._by_hash: dict[str, Path] = {}
        self._unread: list[Path] = []
        for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
            sha256 = self._remembered.get(_stamp(path))
            if sha256 is None:
                self._unread.append(path)
            else:
                self._by_hash.setdefault(sha256, path)

    def find(self, sha256: str, name: str) -> Path | None:
        """The file with this hash, or None; files called `name` are tried first."""
        self._unread.sort(key=lambda path: path.name != name)
        while sha256 not in self._by_hash and self._unread:
            path = self._unread.pop(0)
            self._learnt[_stamp(path)] = sha256_of(path)
            self._by_hash.setdefault(self._learnt[_stamp(path)], path)
        stored = self._by_hash.get(sha256)
        return stored if stored is not None and sha256_of(stored) == sha256 else None

    def namesake(self, name: str) -> tuple[Path, str] | None:
        """A file of that name and its hash, to explain why a search was in vain."""
        return next(((path, sha256) for sha256, path in self._by_hash.items() if path.name == name), None)

    def remember(self) -> None:
        """Write to the index what was learnt; a reader never sees it half written."""
        if not self._learnt:
            return
        try:
            write_atomically(self._index, json.dumps(self._remembered | self._learnt))
        except OSError as error:
            raise _unwritable(self._index.parent, error) from error


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{path}|{status.st_size}|{status.st_mtime_ns}"


def _read_index(index: Path) -> dict[str, str]:
    try:
        hashes = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: it is built again from the mirrors
        return {}
    return hashes if isinstance(hashes, dict) else {}


def _unwritable(cache: Path, error: OSError) -> WorkError:
    return WorkError(
        f"download cache {cache} can't be written ({error.strerror}); "
        "make room, or set MATSTRATA_CACHE to another folder"
    )


def _download_all(absent: Sequence[FileLocation], cache: Path, shelves: _Mirrors) -> dict[FileLocation, str]:
    """Download what is absent to its place in the cache; the files that could not be had, and why not.

    A host that could not be reached is not tried again, so that being offline shows within seconds.
    """
    if not absent:
        return {}
    import requests  # deferred: 0.2 s

    unreachable: set[str] = set()
    problems: dict[FileLocation, str] = {}
    for location in absent:
        host = urlsplit(location.url or "").netloc
        if host in unreachable:
            problems[location] = _want(location, f"{host} can't be reached", shelves)
            continue
        try:
            download(location.url or "", location.sha256 or "", _place(location, cache))
        except requests.HTTPError as error:
            problems[location] = _want(location, f"the server answered {str(error).partition(' for url')[0]}", shelves)
        except requests.ConnectionError:
            unreachable.add(host)
            problems[location] = _want(location, f"{host} can't be reached", shelves)
        except requests.RequestException as error:
            problems[location] = _want(location, f"the download broke off: {error}", shelves)
        except ValueError as error:  # pooch: names the expected and the actual hash
            problems[location] = _want(location, str(error).partition(". ")[0], shelves)
        except OSError as error:
            raise _unwritable(cache, error) from error
    return problems


def _want(location: FileLocation, problem: str, shelves: _Mirrors) -> str:
    """One wanted file, and why it could not be had."""
    sentence = f"{location.label} ({location.url}, sha256 {(location.sha256 or '')[:12]}…: {problem}"
    other = shelves.namesake(location.label)
    if other is not None:
        sentence += f"; {other[0]} has that name, but sha256 {other[1]} instead of {location.sha256}"
    return f"{sentence})"
