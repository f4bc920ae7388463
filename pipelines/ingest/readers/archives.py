"""Bytes out of files that may be compressed or archives: plain, gz, bz2, xz, tar (also compressed), zip.

Nothing is ever written to disk, formats are recognized by their first bytes and not by their names, and limits hold
against what is really decompressed, not against what a header claims.
Not here: what the bytes mean (`pipelines.ingest.readers`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from matstrata.pipelines.ingest.records import ReadError, SourceFile

_OPENERS: dict[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".tar", ".tgz")
"""Endings of the names of files that are compressed or archives; what they are, their first bytes decide."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BLOCK = 512  # of a tar file
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_UNSUPPORTED = (RuntimeError, NotImplementedError)  # what zipfile raises for encryption and for exotic compression


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may unfold into before it counts as a decompression bomb.

    Attributes:
        total_bytes: largest sum of all unpacked bytes.
        ratio: largest unpacked/packed size, once `free_bytes` are unpacked (small files compress without harm).
        free_bytes: unpacked bytes for which the ratio is not asked.
        members: largest number of files in an archive.
    """

    total_bytes: int = 4 << 30
    ratio: float = 250
    free_bytes: int = 16 << 20
    members: int = 1_000_000


DEFAULT_LIMITS = Limits()


class _Bounded(io.RawIOBase):
    """A stream of unpacked bytes that raises `ReadError` as soon as it has given more than the limits allow."""

    def __init__(self, stream: io.BufferedIOBase, source: SourceFile, limits: Limits, spent: int = 0) -> None:
        self._stream, self._source, self._limits = stream, source, limits
        self._packed = max(source.path.stat().st_size, 1)
        self.count = spent

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = self._stream.readinto(buffer)
        self.count += read
        bomb = self.count > max(self._limits.free_bytes, self._limits.ratio * self._packed)
        if bomb or self.count > self._limits.total_bytes:
            raise ReadError(
                f"{self._source.name} unpacks to more than {self.count:,} bytes from {self._packed:,}, which is beyond "
                "the limits for archives; if the file is sound, give its unpacked content instead"
            )
        return read


def read_bytes(source: SourceFile, member: str | None = None, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of a file, unpacked where it is packed.

    Args:
        source: the file.
        member: which file of an archive; may be left out where the archive holds one file only.
        limits: against decompression bombs.

    Raises:
        ReadError: the file is missing, empty, truncated, corrupt, beyond the limits, or has no such member.
    """
    if not is_archive(source):
        if member is not None:
            raise ReadError(f"{source.name} is not an archive, so it has no member {member!r}; remove options.member")
        with _open(source) as file, _reporting(source):
            stream = _Bounded(_unpacked(file), source, limits) if _packing(file) else file
            return stream.read() or b""
    contents = dict(read_members(source, (lambda name: name == member) if member else None, limits))
    if member is None and len(contents) > 1:
        raise ReadError(
            f"{source.name} holds {len(contents)} files; set options.member to one of {sorted(contents)[:10]}"
        )
    if not contents:
        held = [name for name, _ in read_members(source, lambda _: False, limits, listing=True)]
        raise ReadError(f"{source.name} has no member {member!r}; it holds {sorted(held)[:10]}")
    return next(iter(contents.values()))


def is_archive(source: SourceFile) -> bool:
    """Whether the file is a zip or a tar (compressed or not).

    Raises:
        ReadError: the file is missing, empty or broken at its start.
    """
    with _open(source) as file, _reporting(source):
        if _start(file, 4) in _ZIP:
            return True
        head = _unpacked(file).read(_BLOCK)
        return head[257:262] == b"ustar"


def is_packed(source: SourceFile) -> bool:
    """Whether the file is compressed, by gzip, bzip2 or xz.

    Raises:
        ReadError: the file is missing or empty.
    """
    with _open(source) as file:
        return _packing(file) is not None


def read_start(source: SourceFile, length: int) -> bytes:
    """The first bytes of a file, as they are.

    Raises:
        ReadError: the file is missing or empty.
    """
    with _open(source) as file:
        return _start(file, length)


def read_members(
    source: SourceFile,
    select: Callable[[str], bool] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    listing: bool = False,
) -> Iterator[tuple[str, bytes]]:
    """The files of a tar or zip archive, in the archive's order, as (name, content).

    The whole archive is walked, whatever is wanted, so that damage at its end is noticed.

    Args:
        source: the archive.
        select: which names; all without it.
        limits: against decompression bombs.
        listing: give every name, the unwanted ones with empty content.

    Raises:
        ReadError: the archive is truncated, corrupt, encrypted, beyond the limits, holds a name twice, or holds a
            link, a device or a name that leads outside it.
    """
    if not is_archive(source):
        raise ReadError(f"{source.name} is neither a tar nor a zip archive; check the file, or the contract's reader")
    seen: set[str] = set()
    with _open(source) as file, _reporting(source):
        walk = _walk_zip if _start(file, 4) in _ZIP else _walk_tar
        for name, read in walk(file, source, limits):
            if name in seen or len(seen) >= limits.members:
                trouble = f"holds {name!r} twice" if name in seen else f"holds more than {limits.members:,} files"
                raise ReadError(f"{source.name} {trouble}; pack it again")
            seen.add(name)
            if select is None or select(name):
                yield name, read()
            elif listing:
                yield name, b""


def _walk_tar(file: BinaryIO, source: SourceFile, limits: Limits) -> Iterator[tuple[str, Callable[[], bytes]]]:
    stream = _Bounded(_unpacked(file), source, limits)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            name = _safe_name(entry.name, source)
            if entry.isdir():
                continue
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is None:
                raise ReadError(f"{source.name}: {name!r} is a link or a device, not a file; pack the file itself")
            yield name, content.read
        while stream.read(1 << 16):  # the compressor's own checksum is at the very end, behind what tarfile reads
            pass
        # tarfile takes a file that stops between two members for a complete one: ask for the closing block of zeros
        if stream.count < archive.offset + _BLOCK:
            raise EOFError


def _walk_zip(file: BinaryIO, source: SourceFile, limits: Limits) -> Iterator[tuple[str, Callable[[], bytes]]]:
    spent = 0
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = _safe_name(entry.filename, source)
            if entry.is_dir():
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):  # its content would be the path it points to
                raise ReadError(f"{source.name}: {name!r} is a link, not a file; pack the file itself")
            with archive.open(entry) as packed:
                stream = _Bounded(cast("io.BufferedIOBase", packed), source, limits, spent)
                yield name, stream.readall
                spent = stream.count


def _safe_name(name: str, source: SourceFile) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.partition("/")[0]:
        raise ReadError(f"{source.name}: the member {name!r} leads outside the archive; do not trust this file")
    return str(path)


def _start(file: BinaryIO, length: int) -> bytes:
    file.seek(0)
    start = file.read(length)
    file.seek(0)
    return start


def _packing(file: BinaryIO) -> Callable[[BinaryIO], io.BufferedIOBase] | None:
    start = _start(file, 6)
    return next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)


def _unpacked(file: BinaryIO) -> io.BufferedIOBase:
    opener = _packing(file)
    return opener(file) if opener else file  # type: ignore[return-value]


def _open(source: SourceFile) -> BinaryIO:
    try:
        file = source.path.open("rb")
    except OSError as error:
        raise ReadError(f"{source.name} can't be opened ({error.strerror}); fetch the source again") from error
    if not _start(file, 1):
        file.close()
        raise ReadError(f"{source.name} is empty; fetch the source again")
    return file


@contextmanager
def _reporting(source: SourceFile) -> Iterator[None]:
    """Turn what the decompressors raise on damage into a `ReadError` that names the file."""
    try:
        yield
    except _UNSUPPORTED as error:
        raise ReadError(f"{source.name} can't be unpacked ({error}); give it unencrypted, or as tar.xz") from error
    except _BROKEN as error:
        detail = str(error) or "it ends too early"
        raise ReadError(f"{source.name} is truncated or corrupt ({detail}); fetch the source again") from error
