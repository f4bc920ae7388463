"""Delimited text: every record comes out once, as a row with all its cells or as a rejection; clean files come out fast."""

from __future__ import annotations

import gzip
import json
import lzma
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matstrata.pipelines.ingest.readers import get_reader
from matstrata.pipelines.ingest.readers.delimited import read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES

SHA = "ab" * 32


def read_text(folder: Path, content: str | bytes, name: str = "gaps.csv", **options: object) -> RawRecords:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read([SourceFile(name, path, SHA)], options)


def rows(records: RawRecords, *columns: str) -> list[tuple[str, ...]]:
    return list(zip(*(records.table[name].to_pylist() for name in columns), strict=True))


def rules(records: RawRecords) -> list[tuple[str, str]]:
    assert all(rejection.rule_id in RULES for rejection in records.rejections)
    return [(rejection.source_record, rejection.rule_id) for rejection in records.rejections]


def test_cells_stay_the_text_they_are(tmp_path: Path) -> None:
    records = read_text(tmp_path, "formula,gap\nNaN,2.0\nNone,\n 007 ,1e3\nnull,NA\n")
    assert rows(records, "formula", "gap") == [("NaN", "2.0"), ("None", ""), (" 007 ", "1e3"), ("null", "NA")]
    assert records.table.column_names == ["source_record", "file_sha256", "raw", "formula", "gap"]
    assert records.table["source_record"].to_pylist() == ["row 1", "row 2", "row 3", "row 4"]
    assert set(records.table["file_sha256"].to_pylist()) == {SHA}
    assert {str(field.type) for field in records.table.schema} == {"string"}
    assert json.loads(records.table["raw"][0].as_py()) == {"formula": "NaN", "gap": "2.0"}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffformula,gap\nGaN,3.4\nSi,1.1\n",
        "formula,gap\r\nGaN,3.4\r\nSi,1.1\r\n",
        "formula,gap\nGaN,3.4\n\n\nSi,1.1",
        '"formula","gap"\n"GaN","3.4"\n"Si","1.1"\n',
    ],
)
def test_byte_order_mark_line_ends_blank_lines_and_quotes_make_no_difference(content: str, tmp_path: Path) -> None:
    assert rows(read_text(tmp_path, content), "source_record", "formula", "gap") == [
        ("row 1", "GaN", "3.4"),
        ("row 2", "Si", "1.1"),
    ]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    records = read_text(tmp_path, 'formula,note\n"AgCNO,65","a ""b"" c\nd"\nSi,\n')
    assert rows(records, "formula", "note") == [("AgCNO,65", 'a "b" c\nd'), ("Si", "")]
    assert json.loads(records.table["raw"][0].as_py()) == {"formula": "AgCNO,65", "note": 'a "b" c\nd'}


def test_a_ragged_row_is_refused_and_the_others_survive(tmp_path: Path) -> None:
    records = read_text(tmp_path, "formula,gap\nGaN,3.4\nSi,1.1,indirect\nGe\nInP,1.3\n")
    assert rows(records, "source_record", "formula") == [("row 1", "GaN"), ("row 4", "InP")]
    assert rules(records) == [("row 2", "record.malformed"), ("row 3", "record.malformed")]
    assert json.loads(records.rejections[0].raw) == {"cells": ["Si", "1.1", "indirect"]}
    assert "row 2 has 3 cells instead of 2" in records.rejections[0].reason


def test_a_quote_that_never_closes_costs_one_row(tmp_path: Path) -> None:
    records = read_text(tmp_path, 'formula,gap\nGaN,3.4\n"Si,1.1\nGe,0.7\nInP,1.3\n')
    assert rows(records, "source_record", "formula") == [("row 1", "GaN"), ("row 3", "Ge"), ("row 4", "InP")]
    assert rules(records) == [("row 2", "record.malformed")]
    assert "quote" in records.rejections[0].reason
    records = read_text(tmp_path, 'formula,gap\n"Si,1.1\nGe,0.7\n"InP",1.3\n')  # the stray quote meets a sound one
    assert rows(records, "source_record", "formula") == [("row 2", "Ge"), ("row 3", "InP")]


def test_bytes_that_are_no_text_cost_one_row(tmp_path: Path) -> None:
    records = read_text(tmp_path, b"formula,gap\nGaN,3.4\nSi\xff,1.1\nGe,0.7\n\xc3,1,2\n")
    assert rows(records, "source_record", "formula") == [("row 1", "GaN"), ("row 3", "Ge")]
    assert rules(records) == [("row 2", "record.undecodable"), ("row 4", "record.undecodable")]
    assert json.loads(records.rejections[0].raw)["cells"][1] == "1.1"
    assert "options.encoding" in records.rejections[0].reason


def test_another_encoding_delimiter_and_header(tmp_path: Path) -> None:
    content = "made in 2018\nSäure;1,5\n".encode("cp1252")
    records = read_text(tmp_path, content, delimiter=";", encoding="cp1252", skip_rows=1, header=["formula", "gap"])
    assert rows(records, "source_record", "formula", "gap") == [("row 1", "Säure", "1,5")]


def test_several_files_are_one_source(tmp_path: Path) -> None:
    files = []
    for name, content in {"train.csv": "formula,gap\nGaN,3.4\n", "test.csv": "formula,gap\nSi,1.1\nGe\n"}.items():
        (tmp_path / name).write_text(content)
        files.append(SourceFile(name, tmp_path / name, name))
    records = read(files, {})
    assert rows(records, "source_record", "file_sha256") == [
        ("train.csv row 1", "train.csv"),
        ("test.csv row 1", "test.csv"),
    ]
    assert rules(records) == [("test.csv row 2", "record.malformed")]
    (tmp_path / "test.csv").write_text("composition,gap\nSi,1.1\n")
    with pytest.raises(ReadError, match=r"test.csv has other columns than train.csv"):
        read(files, {})


def test_compressed_files_and_archive_members(tmp_path: Path) -> None:
    text = b"formula,gap\nGaN,3.4\n"
    for name, content in {"a.csv.gz": gzip.compress(text), "a.csv.xz": lzma.compress(text)}.items():
        assert rows(read_text(tmp_path, content, name), "formula") == [("GaN",)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/a.csv", text)
        archive.writestr("x/readme.txt", "hello")
    records = read([SourceFile("a.zip", tmp_path / "a.zip", SHA)], {"member": "x/a.csv"})
    assert rows(records, "source_record", "formula") == [("row 1", "GaN")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("\ufeff", "is empty"),
        ("formula,gap\n", "no data rows"),
        ("formula,gap\n\n\n", "no data rows"),
        ("formula,formula\nGaN,Si\n", "two columns named 'formula'"),
        ("formula,raw\nGaN,Si\n", "a column 'raw'"),
        (b"formul\xff,gap\nGaN,3.4\n", "no readable header"),
        (gzip.compress(b"formula,gap\nGaN,3.4\n", mtime=0)[:-9], "truncated"),
    ],
)
def test_an_unusable_file_is_an_error_that_names_it(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=f"gaps.csv .*{message}"):
        read_text(tmp_path, content)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ",,"},
        {"encoding": "utf-99"},
        {"skip_rows": -1},
        {"header": "formula"},
        {"member": 3},
        {"separator": ";"},
    ],
)
def test_a_wrong_option_is_named(options: Mapping[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        read_text(tmp_path, "formula\nGaN\n", **options)


def test_the_registry_knows_the_reader_and_names_the_others() -> None:
    assert get_reader("delimited").read is read
    with pytest.raises(InputError, match=r"'xml'.*delimited, excel"):
        get_reader("xml")


def test_two_rows_with_an_open_quote_swallow_nothing_between_them(tmp_path: Path) -> None:
    lines = ["1,GaN,3.4", '2,"Si,1.1', "3,Ge,0.7", "4,InP,1.3", '5,"ZnO,3.3', "6,CdS,2.4"]
    for more in ([], ['7,"data_\nloop_",1']):  # and so beside a sound record of several lines
        records = read_text(tmp_path, "\n".join(["id,formula,gap", *lines, *more]))
        assert [i for (i,) in rows(records, "id")] == ["1", "3", "4", "6", *(["7"] if more else [])]
        assert rules(records) == [("row 2", "record.malformed"), ("row 5", "record.malformed")]


def test_a_large_cell_is_read_beside_a_bad_row(tmp_path: Path) -> None:
    large = "x\n" * 100_000
    records = read_text(tmp_path, f'formula,text\nGaN,"{large}"\n')
    assert rows(records, "text") == [(large,)]
    assert rows(read_text(tmp_path, f'formula,text\nSi\nGaN,"{"x" * 200_000}"\n'), "formula") == [("GaN",)]


CELL = st.text(st.characters(codec="utf-8"), max_size=12)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(table=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_any_table_survives_writing_and_reading(table: list[tuple[str, str, str]], tmp_path: Path) -> None:
    content = "\n".join(",".join(map(quoted, row)) for row in [("a", 'b "1"', "µ\\"), *table])
    records = read_text(tmp_path, content)
    assert rows(records, "a", 'b "1"', "µ\\") == table
    assert [tuple(json.loads(raw).values()) for raw in records.table["raw"].to_pylist()] == table
    # the row-by-row path, taken because of one bad row at the end, agrees with the fast one
    dirty = read_text(tmp_path, content + "\nx,y\n")
    assert dirty.table.equals(records.table)
    assert rules(dirty) == [(f"row {len(table) + 1}", "record.malformed")]


LINE = st.one_of(
    st.lists(st.sampled_from(["GaN", "3.4", "", "a b", "µ", "'", "NaN"]), min_size=1, max_size=4)
    .map(",".join)
    .map(str.encode),
    st.sampled_from([b"Si\xff,1.1", b"\xc3\x28", b"x\x00,1", b'x"y,2', b'"a,b",3', b'"a"b,3', b",", b",,"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(LINE, min_size=1, max_size=10), end=st.sampled_from([b"\n", b"\r\n"]))
def test_every_line_of_a_dirty_file_is_a_row_or_a_rejection(lines: list[bytes], end: bytes, tmp_path: Path) -> None:
    lines = [line for line in lines if line] or [b"GaN,1"]
    records = read_text(tmp_path, end.join([b"formula,gap", *lines]))
    numbers = [*records.table["source_record"].to_pylist(), *(r.source_record for r in records.rejections)]
    assert sorted(numbers) == sorted(f"row {i}" for i in range(1, len(lines) + 1))
    for raw in [*records.table["raw"].to_pylist(), *(r.raw for r in records.rejections)]:
        assert isinstance(json.loads(raw), dict)
    rules(records)
