"""Excel: what a person sees in a sheet comes out as text, formulas are never run, and broken files are named as such."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest

from matstrata.pipelines.ingest.readers.excel import first_rows, read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES

SHA = "ab" * 32


def write(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> SourceFile:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return SourceFile(path.name, path, SHA)


def read_rows(folder: Path, *rows: Sequence[object], **options: object) -> RawRecords:
    return read([write(folder / "gaps.xlsx", {"data": rows})], options)


def cells(records: RawRecords, *columns: str) -> list[tuple[str, ...]]:
    return list(zip(*(records.table[name].to_pylist() for name in columns), strict=True))


def test_values_come_out_as_they_are_seen(tmp_path: Path) -> None:
    values = [
        3.4, 3.0, 7, True, date(2019, 5, 1), datetime.fromisoformat("2019-05-01T12:30"), time(9, 5), "NaN", None, " 007 ",
        0.123456789012345, 1e-9,
    ]  # fmt: skip
    records = read_rows(tmp_path, ("formula", "value"), *[("GaN", value) for value in values])
    assert records.table["value"].to_pylist() == [
        "3.4", "3", "7", "true", "2019-05-01", "2019-05-01T12:30:00", "09:05:00", "NaN", "", " 007 ",
        "0.123456789012345", "1e-09",
    ]  # fmt: skip
    assert records.table.column_names == ["source_record", "file_sha256", "raw", "formula", "value"]
    assert {str(field.type) for field in records.table.schema} == {"string"}
    assert json.loads(records.table["raw"][0].as_py()) == {"formula": "GaN", "value": "3.4"}
    assert set(records.table["file_sha256"].to_pylist()) == {SHA}


def test_formulas_are_never_run_and_errors_stay_text(tmp_path: Path) -> None:
    file = write(tmp_path / "gaps.xlsx", {"data": [("formula", "gap"), ("GaN", "=1+1"), ("Si", "#DIV/0!")]})
    assert cells(read([file], {}), "formula", "gap") == [("GaN", ""), ("Si", "#DIV/0!")]
    # a workbook that Excel saved also holds what the formula gave
    changed = tmp_path / "saved.xlsx"
    with zipfile.ZipFile(file.path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert b"<v" in content
                content = content.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2.5</v>")
                content = content.replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2.5</v>")
            new.writestr(name, content)
    assert cells(read([SourceFile("saved.xlsx", changed, SHA)], {}), "gap") == [("2.5",), ("#DIV/0!",)]


def test_a_sheet_is_named_or_counted_and_errors_list_them(tmp_path: Path) -> None:
    file = write(tmp_path / "gaps.xlsx", {"notes": [("hello",)], "data": [("formula",), ("GaN",)]})
    for sheet in ("data", 1):
        assert cells(read([file], {"sheet": sheet}), "source_record", "formula") == [("row 1", "GaN")]
    assert first_rows(file, 1) == {"notes": [["hello"]], "data": [["formula"]]}
    with pytest.raises(ReadError, match=r"no sheet 'gaps'; it has 0: 'notes', 1: 'data'"):
        read([file], {"sheet": "gaps"})
    with pytest.raises(ReadError, match=r"no sheet number 2; it has 0: 'notes'"):
        read([file], {"sheet": 2})
    with pytest.raises(ReadError, match="no data rows"):
        read([file], {})


def test_rows_are_skipped_headers_given_and_empty_rows_ignored(tmp_path: Path) -> None:
    rows = [("made in 2018",), (), ("GaN", 3.4, None), (None, None), ("Si", 1.1)]
    records = read_rows(tmp_path, *rows, skip_rows=1, header=["formula", "gap"])
    assert cells(records, "source_record", "formula", "gap") == [("row 1", "GaN", "3.4"), ("row 2", "Si", "1.1")]


def test_a_cell_beyond_the_header_costs_its_row(tmp_path: Path) -> None:
    records = read_rows(tmp_path, ("formula", "gap"), ("GaN", 3.4), ("Si", 1.1, "indirect"), ("Ge",))
    assert cells(records, "source_record", "formula", "gap") == [("row 1", "GaN", "3.4"), ("row 3", "Ge", "")]
    [rejection] = records.rejections
    assert (rejection.source_record, rejection.rule_id) == ("row 2", "record.malformed")
    assert rejection.rule_id in RULES
    assert json.loads(rejection.raw) == {"cells": ["Si", "1.1", "indirect"]}


def test_several_workbooks_are_one_source(tmp_path: Path) -> None:
    files = [write(tmp_path / name, {"data": [("formula",), ("GaN",)]}) for name in ("a.xlsx", "b.xlsx")]
    assert read(files, {}).table["source_record"].to_pylist() == ["a.xlsx row 1", "b.xlsx row 1"]
    files.append(write(tmp_path / "c.xlsx", {"data": [("composition",), ("GaN",)]}))
    with pytest.raises(ReadError, match=r"c.xlsx has other columns than a.xlsx"):
        read(files, {})


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"formula,gap\nGaN,3.4\n", "not an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "Workbook".encode("utf-16-le"), "old Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "is encrypted"),
        (zipped({"gaps.csv": b"formula,gap\n"}), "not an Excel workbook"),
        (zipped({"[Content_Types].xml": b"<oops"}), "damaged"),
        (zipped({"[Content_Types].xml": b" " * (40 << 20)}), "beyond the limits"),
        (zipped({"[Content_Types].xml": b"x" * 5000})[:-30], "truncated or corrupt"),
    ],
)
def test_what_is_no_readable_workbook_is_called_so(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.xlsx"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=f"gaps.xlsx .*{message}"):
        read([SourceFile("gaps.xlsx", path, SHA)], {})


def test_damage_inside_a_sheet_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "gaps.xlsx", {"data": [("formula",), *[("GaN",)] * 50]})
    changed = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(file.path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if name == "xl/worksheets/sheet1.xml" else content)
    with pytest.raises(ReadError, match=r"broken.xlsx is a damaged Excel workbook"):
        read([SourceFile("broken.xlsx", changed, SHA)], {})


@pytest.mark.parametrize("header", [("formula", "formula"), ("formula", "raw")])
def test_unusable_columns_are_named(header: Sequence[str], tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=f"column.*{header[1]}"):
        read_rows(tmp_path, header, ("GaN", 1))


@pytest.mark.parametrize("options", [{"sheet": 1.5}, {"sheet": True}, {"skip_rows": -1}, {"header": "a"}, {"tab": 1}])
def test_a_wrong_option_is_named(options: Mapping[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        read_rows(tmp_path, ("formula",), ("GaN",), **options)
