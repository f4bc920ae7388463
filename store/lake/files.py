"""The files of a store next to its catalog: Parquet, frozen training sets, models; in a folder or in an S3 bucket.

A file appears whole or not at all, on both. Not here: the Parquet files of tables, which DuckLake itself writes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import duckdb

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.sql import literal

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

DATA = "data/"  # the folder in which DuckLake writes the tables' Parquet files
_S3_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file: its size in bytes, and when it was last written."""

    size: int
    modified: datetime


class Files(Protocol):
    """What the store needs of a place for files; names are relative, with '/' between folders."""

    @property
    def address(self) -> str:
        """The address, as people may see it."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """The DuckDB extensions that read it."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports of its servers."""

    def url(self, name: str) -> str:
        """The name by which DuckDB opens the file or, with '/' at the end, the folder."""

    def prepare(self) -> None:
        """Make sure that the place exists."""

    def unlock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Give a connection the credentials for the place."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def read(self, name: str) -> bytes:
        """The content of a file."""

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file, which appears whole or not at all."""

    def open(self, name: str) -> BufferedIOBase:
        """A file for reading with random access; failures are OSErrors."""

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens where there is none."""

    def listed(self, folder: str) -> dict[str, Stored]:
        """All files below a folder."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A folder."""

    folder: Path
    extensions = ()
    ports = ()

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.folder)

    def url(self, name: str) -> str:
        """An absolute path."""
        return f"{self.folder.as_posix()}/{name}"

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            WorkError: The folder can't be made.
        """
        try:
            (self.folder / DATA).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(
                f"the store folder {self.folder} can't be created: {error}; set MATSTRATA_STORE to another"
            ) from error

    def unlock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Do nothing: a folder needs no credentials."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file, which appears whole or not at all.

        Raises:
            WorkError: The disk refuses.
        """
        file = self.folder / name
        try:
            write_atomically(file, content)
        except OSError as error:
            raise WorkError(
                f"{file} can't be written: {error}; check free space and permissions, then run again"
            ) from error

    def open(self, name: str) -> BufferedIOBase:
        """An ordinary file."""
        return (self.folder / name).open("rb")

    def delete(self, name: str) -> None:
        """Delete a file, and the folders below the top ones that it leaves empty.

        Raises:
            WorkError: The disk refuses.
        """
        file = self.folder / name
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise WorkError(
                f"{file} can't be deleted: {error}; the files before it are deleted, so fix this and run again"
            ) from error
        with suppress(OSError):  # not empty, or gone
            for parent in file.parents:
                if parent.parent == self.folder:
                    break
                parent.rmdir()

    def listed(self, folder: str) -> dict[str, Stored]:
        """All files below a folder; other processes may make and delete some meanwhile."""
        files = {}
        for file in (self.folder / folder).rglob("*"):
            with suppress(FileNotFoundError):
                if file.is_file():
                    facts = file.stat()
                    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
                    files[file.relative_to(self.folder).as_posix()] = Stored(facts.st_size, modified)
        return files


@dataclass(frozen=True, slots=True)
class S3Files:
    """A bucket, or a prefix in it, on AWS or any server that speaks S3.

    Keys come from the standard variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
    AWS_ENDPOINT_URL, each time they are needed; they live in memory only.

    Args:
        address: `s3://bucket` or `s3://bucket/prefix`.
    """

    address: str
    extensions = ("httpfs",)

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of the endpoint."""
        url = urlsplit(_keys().endpoint or "https://")
        return (url.port or (80 if url.scheme == "http" else 443),)

    def url(self, name: str) -> str:
        """The s3:// address of a file or folder."""
        return f"{self.address}/{name}"

    def prepare(self) -> None:
        """Check that the bucket exists.

        Raises:
            WorkError: It does not, or can't be reached.
        """
        import pyarrow.fs as pafs  # deferred: 0.1 s

        bucket = self.address.removeprefix("s3://").partition("/")[0]
        try:
            exists = _filesystem().get_file_info(bucket).type == pafs.FileType.Directory
        except OSError as error:
            raise self._unreachable(error) from error
        if not exists:
            raise WorkError(f"there is no bucket {bucket}; create it, or set MATSTRATA_DATA to another")

    def unlock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Give the connection the keys, for this place only, in memory only."""
        keys = _keys()
        options = {"KEY_ID": keys.access_key, "SECRET": keys.secret_key, "REGION": keys.region}
        if keys.session_token:
            options["SESSION_TOKEN"] = keys.session_token
        if keys.endpoint:
            scheme, _, host = keys.endpoint.partition("://")
            options |= {"ENDPOINT": host.rstrip("/"), "URL_STYLE": "path", "USE_SSL": str(scheme == "https").lower()}
        listed = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
        con.execute(f"CREATE OR REPLACE SECRET files (TYPE s3, SCOPE {literal(f'{self.address}/')}, {listed})")

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        import pyarrow.fs as pafs  # deferred: 0.1 s

        try:
            return _filesystem().get_file_info(self._key(name)).type == pafs.FileType.File
        except OSError as error:
            raise self._unreachable(error) from error

    def read(self, name: str) -> bytes:
        """The content of an object."""
        try:
            with _filesystem().open_input_stream(self._key(name)) as stream:
                return stream.readall()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unreachable(error) from error

    def write(self, name: str, content: bytes) -> None:
        """Write or replace an object in one upload: S3 shows it once it is complete."""
        try:
            with _filesystem().open_output_stream(self._key(name)) as stream:
                stream.write(content)
        except OSError as error:
            raise self._unreachable(error) from error

    def open(self, name: str) -> BufferedIOBase:
        """An object for reading, of which only the parts read are fetched."""
        return _filesystem().open_input_file(self._key(name))

    def delete(self, name: str) -> None:
        """Delete an object."""
        try:
            _filesystem().delete_file(self._key(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreachable(error) from error

    def listed(self, folder: str) -> dict[str, Stored]:
        """All objects below a folder."""
        import pyarrow.fs as pafs  # deferred: 0.1 s

        selector = pafs.FileSelector(self._key(folder).rstrip("/"), recursive=True, allow_not_found=True)
        try:
            infos = _filesystem().get_file_info(selector)
        except OSError as error:
            raise self._unreachable(error) from error
        root = self._key("")
        files = (info for info in infos if info.type == pafs.FileType.File)
        return {info.path.removeprefix(root): Stored(info.size, info.mtime) for info in files}

    def _key(self, name: str) -> str:
        return f"{self.address.removeprefix('s3://')}/{name}"

    def _unreachable(self, error: OSError) -> WorkError:
        return WorkError(
            f"{self.address} can't be used: {error}; check MATSTRATA_DATA, AWS_ENDPOINT_URL, AWS_REGION and the keys"
        )


def files_at(address: str) -> Files:
    """The place for files at an address: `s3://bucket/prefix`, or a folder that all machines see.

    Raises:
        InputError: It is neither.
    """
    parts = urlsplit(address)
    if parts.scheme == "s3" and parts.netloc:
        return S3Files(address.rstrip("/"))
    if not parts.scheme and Path(address).is_absolute():
        return LocalFiles(Path(address))
    raise InputError(f"MATSTRATA_DATA is {address!r}; it must read s3://bucket/prefix, or be the full path of a folder")


@dataclass(frozen=True, slots=True)
class _Keys:
    """How to reach S3."""

    region: str
    endpoint: str | None
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


def _keys() -> _Keys:
    from matstrata.store.settings import AwsSettings  # deferred: 0.2 s

    aws = AwsSettings()
    if aws.access_key_id is None or aws.secret_access_key is None:
        raise InputError("MATSTRATA_DATA is in S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to its keys")
    if aws.endpoint_url and not aws.endpoint_url.startswith(("http://", "https://")):
        raise InputError("AWS_ENDPOINT_URL must begin with http:// or https://")
    token = aws.session_token.get_secret_value() if aws.session_token else None
    keys = aws.access_key_id.get_secret_value(), aws.secret_access_key.get_secret_value()
    return _Keys(aws.region, aws.endpoint_url, *keys, token)


@lru_cache(maxsize=4)
def _client(keys: _Keys) -> S3FileSystem:
    if keys.endpoint:  # servers other than Amazon's may not know the checksums that its newer clients add
        os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    import pyarrow.fs as pafs  # deferred: 0.1 s

    return pafs.S3FileSystem(
        access_key=keys.access_key,
        secret_key=keys.secret_key,
        session_token=keys.session_token,
        region=keys.region,
        endpoint_override=keys.endpoint,
        connect_timeout=10,
        request_timeout=120,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_S3_ATTEMPTS),
    )


def _filesystem() -> S3FileSystem:
    return _client(_keys())
