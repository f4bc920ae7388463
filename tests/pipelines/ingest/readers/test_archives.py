"""Archives give bytes or a clear error, whatever state the file is in."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.readers.archives import Limits, is_archive, read_bytes, read_members
from matstrata.pipelines.ingest.records import ReadError, SourceFile

CONTENT = {"data/a.csv": b"formula,n\nSiO2,1.4585\n", "data/b.csv": b"x" * 3000}


def source(path: Path) -> SourceFile:
    return SourceFile(path.name, path, "0" * 64)


def tar_bytes(mode: str, content: dict[str, bytes] = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zip_bytes(content: dict[str, bytes] = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "tar": lambda: tar_bytes("w"),
    "tar.gz": lambda: tar_bytes("w:gz"),
    "tar.bz2": lambda: tar_bytes("w:bz2"),
    "tar.xz": lambda: tar_bytes("w:xz"),
    "zip": zip_bytes,
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_members_come_out_as_they_went_in_whatever_the_file_is_called(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "5f3a"
    path.write_bytes(ARCHIVES[kind]())
    assert is_archive(source(path))
    assert dict(read_members(source(path))) == CONTENT
    assert read_bytes(source(path), "data/b.csv") == CONTENT["data/b.csv"]


def test_folders_are_no_members(tmp_path: Path) -> None:
    path = tmp_path / "folder.tar"
    (tmp_path / "a.csv").write_bytes(b"x")
    with tarfile.open(path, "w") as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.add(tmp_path / "a.csv", "./a.csv")
    assert dict(read_members(source(path))) == {"a.csv": b"x"}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_single_file_is_unpacked(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(pack(CONTENT["data/a.csv"]))
    assert not is_archive(source(path))
    assert read_bytes(source(path)) == CONTENT["data/a.csv"]


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_truncated_archive_is_an_error_that_names_the_file(kind: str, part: float, tmp_path: Path) -> None:
    content = tar_bytes("w")[: 512 * 8] if kind == "tar" else ARCHIVES[kind]()
    path = tmp_path / f"transport.{kind}"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ReadError, match=f"transport.{kind}"):
        dict(read_members(source(path)))


def test_a_tar_cut_between_two_members_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    path.write_bytes(tar_bytes("w")[:1024])  # header and content of the first member, to the byte
    with pytest.raises(ReadError, match="truncated"):
        dict(read_members(source(path)))


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    content = bytearray(tar_bytes("w:xz"))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "flipped.tar.xz"
    path.write_bytes(content)
    with pytest.raises(ReadError, match="truncated or corrupt"):
        dict(read_members(source(path)))


@pytest.mark.parametrize("pack", [lambda c: tar_bytes("w:xz", c), zip_bytes])
@pytest.mark.parametrize("name", ["../evil.yml", "/etc/evil.yml", "a/../../evil.yml", "C:/evil.yml"])
def test_a_name_that_leads_outside_is_refused(pack: Callable[..., bytes], name: str, tmp_path: Path) -> None:
    path = tmp_path / "evil"
    path.write_bytes(pack({name: b"x"}))
    with pytest.raises(ReadError, match="outside"):
        dict(read_members(source(path)))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a.csv")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ReadError, match="is a link, not a file"):
        read_bytes(source(path))


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "link.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("innocent.csv")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(ReadError, match="link"):
        dict(read_members(source(path)))


@pytest.mark.parametrize("pack", [lambda data: zip_bytes({"bomb.csv": data}), gzip.compress, lzma.compress])
def test_a_decompression_bomb_is_stopped(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(4 << 20)))
    with pytest.raises(ReadError, match="limits"):
        read_bytes(source(path), limits=Limits(free_bytes=1 << 20))
    with pytest.raises(ReadError, match="limits"):
        read_bytes(source(path), limits=Limits(total_bytes=1 << 20))
    assert len(read_bytes(source(path))) == 4 << 20  # small enough to be harmless by default


def test_the_limit_holds_for_the_sum_of_all_members(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(zip_bytes({f"{i}.csv": bytes(1 << 19) for i in range(8)}))
    with pytest.raises(ReadError, match="limits"):
        dict(read_members(source(path), limits=Limits(free_bytes=1 << 20)))


def test_too_many_members_and_a_name_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.tar"
    path.write_bytes(tar_bytes("w"))
    with pytest.raises(ReadError, match="more than 1 files"):
        dict(read_members(source(path), limits=Limits(members=1)))
    with tarfile.open(path, "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("same.csv"))
    with pytest.raises(ReadError, match="twice"):
        dict(read_members(source(path)))


def test_an_encrypted_zip_is_an_error(tmp_path: Path) -> None:
    content = bytearray(zip_bytes({"a.csv": b"formula\n"}))
    content[6] |= 1  # the local header's and
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the central directory's encryption flag
    path = tmp_path / "secret.zip"
    path.write_bytes(content)
    with pytest.raises(ReadError, match="encrypted"):
        dict(read_members(source(path)))


def test_what_to_do_is_said_for_missing_and_ambiguous_members(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    path.write_bytes(zip_bytes())
    with pytest.raises(ReadError, match=r"options.member.*data/a.csv"):
        read_bytes(source(path))
    with pytest.raises(ReadError, match=r"no member 'c.csv'.*data/a.csv"):
        read_bytes(source(path), "c.csv")
    plain = tmp_path / "plain.csv"
    plain.write_bytes(b"formula\n")
    with pytest.raises(ReadError, match="not an archive"):
        read_bytes(source(plain), "c.csv")
    with pytest.raises(ReadError, match="neither a tar nor a zip"):
        dict(read_members(source(plain)))


def test_an_empty_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ReadError, match=r"empty.csv is empty"):
        read_bytes(source(tmp_path / "empty.csv"))
    with pytest.raises(ReadError, match=r"missing.csv can't be opened"):
        read_bytes(source(tmp_path / "missing.csv"))
