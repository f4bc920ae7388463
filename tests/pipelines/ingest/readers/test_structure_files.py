"""One record per file or archive member, each found again under its name; an empty one costs no other."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.fetching.files import sha256_of
from matstrata.pipelines.ingest.readers.structure_files import read
from matstrata.pipelines.ingest.readers.tables import RAW_CHARACTERS
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from tests.pipelines.entities.structures.crystals import NACL, RUTILE, cif

NACL_CIF, RUTILE_CIF = cif(NACL), cif(RUTILE)


def zipped(path: Path, members: Mapping[str, str | bytes]) -> SourceFile:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return source(path)


def source(path: Path, content: str | bytes | None = None) -> SourceFile:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SourceFile(path.name, path, sha256_of(path))


def rows(raw: RawRecords, *columns: str) -> list[tuple]:
    return [tuple(row[name] for name in columns) for row in raw.table.to_pylist()]


def test_a_single_file(tmp_path):
    file = source(tmp_path / "NaCl.cif", NACL_CIF)
    raw = read([file], {})
    assert raw.table.column_names == ["source_record", "file_sha256", "raw", "name", "structure"]
    ((record, sha256, name, structure),) = rows(raw, "source_record", "file_sha256", "name", "structure")
    assert (record, sha256, name, structure) == ("NaCl.cif", file.sha256, "NaCl", NACL_CIF)
    assert raw.rejections == ()


def test_a_compressed_file(tmp_path):
    raw = read([source(tmp_path / "NaCl.cif.gz", gzip.compress(NACL_CIF.encode()))], {})
    assert rows(raw, "structure") == [(NACL_CIF,)]


def test_several_files(tmp_path):
    raw = read([source(tmp_path / "a.cif", NACL_CIF), source(tmp_path / "b.cif", RUTILE_CIF)], {})
    assert rows(raw, "source_record", "structure") == [("a.cif", NACL_CIF), ("b.cif", RUTILE_CIF)]


def test_each_member_of_a_zip_is_a_record(tmp_path):
    raw = read([zipped(tmp_path / "all.zip", {"x/NaCl.cif": NACL_CIF, "x/y/TiO2.v2.cif": RUTILE_CIF})], {})
    assert rows(raw, "source_record", "name", "structure") == [
        ("x/NaCl.cif", "NaCl", NACL_CIF),
        ("x/y/TiO2.v2.cif", "TiO2.v2", RUTILE_CIF),
    ]


def test_each_member_of_a_tar_is_a_record(tmp_path):
    path = tmp_path / "all.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("NaCl.cif")
        entry.size = len(NACL_CIF.encode())
        archive.addfile(entry, io.BytesIO(NACL_CIF.encode()))
    assert rows(read([source(path)], {}), "source_record", "structure") == [("NaCl.cif", NACL_CIF)]


def test_members_of_several_archives_are_told_apart(tmp_path):
    raw = read([zipped(tmp_path / f"{name}.zip", {"NaCl.cif": NACL_CIF}) for name in "ab"], {})
    assert rows(raw, "source_record") == [("a.zip NaCl.cif",), ("b.zip NaCl.cif",)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.cif", ["a.cif", "x/b.cif"]), ("x/*", ["x/b.cif", "x/notes.txt"]), ("a.cif", ["a.cif"])],
)
def test_a_pattern_chooses_members(tmp_path, pattern, expected):
    file = zipped(tmp_path / "all.zip", {"a.cif": NACL_CIF, "x/b.cif": NACL_CIF, "x/notes.txt": "read me"})
    assert [record for (record,) in rows(read([file], {"members": pattern}), "source_record")] == expected


def test_a_pattern_that_fits_nothing_is_an_error(tmp_path):
    file = zipped(tmp_path / "all.zip", {"a.cif": NACL_CIF})
    with pytest.raises(InputError, match=r"\*\.vasp"):
        read([file], {"members": "*.vasp"})


def test_an_unknown_option_is_an_error(tmp_path):
    with pytest.raises(InputError, match="member"):
        read([source(tmp_path / "a.cif", NACL_CIF)], {"member": "a.cif"})


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_an_empty_member_costs_no_other(tmp_path, content):
    file = zipped(tmp_path / "all.zip", {"a.cif": NACL_CIF, "empty.cif": content, "c.cif": RUTILE_CIF})
    raw = read([file], {})
    assert rows(raw, "source_record") == [("a.cif",), ("c.cif",)]
    (rejection,) = raw.rejections
    assert (rejection.source_record, rejection.rule_id) == ("empty.cif", "structure.empty")
    assert rejection.file_sha256 == file.sha256
    assert json.loads(rejection.raw) == {"name": "empty", "text": content}


def test_an_archive_of_empty_members_has_only_rejections(tmp_path):
    raw = read([zipped(tmp_path / "all.zip", {"a.cif": "", "b.cif": ""})], {})
    assert raw.table.num_rows == 0
    assert raw.table.column_names == ["source_record", "file_sha256", "raw", "name", "structure"]
    assert len(raw.rejections) == 2


def test_bytes_that_are_no_text_do_no_harm(tmp_path):
    raw = read([zipped(tmp_path / "all.zip", {"a.cif": NACL_CIF, "b.cif": b"\xff\xfe\x00data_\x80"})], {})
    assert len(rows(raw, "structure")) == 2
    assert all(json.loads(text) for (text,) in rows(raw, "raw"))


def test_the_raw_record_is_cut_and_the_structure_is_not(tmp_path):
    long = NACL_CIF + "# " + "x" * 2 * RAW_CHARACTERS
    ((raw, structure),) = rows(read([source(tmp_path / "a.cif", long)], {}), "raw", "structure")
    assert len(json.loads(raw)["text"]) == RAW_CHARACTERS
    assert structure == long


@pytest.mark.parametrize("cut", [10, 60])
def test_a_damaged_archive_is_an_error(tmp_path, cut):
    path = tmp_path / "all.zip"
    zipped(path, {"a.cif": NACL_CIF})
    with pytest.raises(ReadError, match=r"all\.zip"):
        read([source(path, path.read_bytes()[:-cut])], {})


def test_an_empty_file_is_an_error(tmp_path):
    with pytest.raises(ReadError, match=r"a\.cif is empty"):
        read([source(tmp_path / "a.cif", "")], {})


def test_a_file_that_is_empty_or_damaged_stops_none_of_the_others(tmp_path):
    packed = gzip.compress(NACL_CIF.encode())
    files = [
        source(tmp_path / "a.cif", NACL_CIF),
        source(tmp_path / "b.cif", ""),
        source(tmp_path / "c.cif.gz", packed[: len(packed) // 2]),
    ]
    raw = read(files, {})
    assert rows(raw, "source_record") == [("a.cif",)]
    assert [(refused.source_record, refused.rule_id) for refused in raw.rejections] == [
        ("b.cif", "structure.empty"),
        ("c.cif.gz", "structure.unreadable"),
    ]
    with pytest.raises(ReadError, match="truncated"):
        read(files[2:], {})
