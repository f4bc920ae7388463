"""Parquet, Feather and Arrow: every type has one text, and that text gives the same value back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, ipc, parquet

from matstrata.pipelines.ingest.readers.parquet import first_rows, read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError

SHA = "ab" * 32
TABLE = pa.table({"formula": ["GaN", "Si", None], "gap": [3.4, None, float("nan")]})


def write_arrow(table: pa.Table, path: Path) -> None:
    with ipc.new_file(path, table.schema) as sink:
        sink.write_table(table)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": parquet.write_table,
    "feather": feather.write_feather,
    "arrow": write_arrow,
}


def write(table: pa.Table, path: Path, kind: str = "parquet") -> SourceFile:
    WRITERS[kind](table, path)
    return SourceFile(path.name, path, SHA)


def read_table(folder: Path, table: pa.Table, kind: str = "parquet", **options: object) -> RawRecords:
    return read([write(table, folder / f"gaps.{kind}", kind)], options)


@pytest.mark.parametrize("kind", WRITERS)
def test_all_formats_give_text_without_nulls(kind: str, tmp_path: Path) -> None:
    records = read_table(tmp_path, TABLE, kind)
    assert records.table.column_names == ["source_record", "file_sha256", "raw", "formula", "gap"]
    assert records.table["formula"].to_pylist() == ["GaN", "Si", ""]
    assert records.table["gap"].to_pylist() == ["3.4", "", ""]
    assert records.table["source_record"].to_pylist() == ["row 1", "row 2", "row 3"]
    assert {str(field.type) for field in records.table.schema} == {"string"}
    assert json.loads(records.table["raw"][0].as_py()) == {"formula": "GaN", "gap": "3.4"}


def test_values_of_all_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "whole": pa.array([7, None]),
            "flag": pa.array([True, None]),
            "small": pa.array([0.1, None], pa.float32()),
            "word": pa.array(["a", "b"]).dictionary_encode(),
            "list": pa.array([[1.5, None], None]),
            "struct": pa.array([{"day": date(2019, 5, 1), "x": 1}, None]),
            "day": pa.array([date(2019, 5, 1), None]),
            "moment": pa.array([datetime(2019, 5, 1, 12, tzinfo=UTC), None]),
            "exact": pa.array([Decimal("1.50"), None]),
            "bytes": pa.array([b"Si\xff", None]),
            "nothing": pa.array([None, None]),
        }
    )
    first, second = read_table(tmp_path, table).table.drop_columns(["source_record", "file_sha256", "raw"]).to_pylist()
    assert first == {
        "whole": "7",
        "flag": "true",
        "small": "0.1",
        "word": "a",
        "list": "[1.5, null]",
        "struct": '{"day": "2019-05-01", "x": 1}',
        "day": "2019-05-01",
        "moment": "2019-05-01T12:00:00+00:00",
        "exact": "1.50",
        "bytes": "Si\\xff",
        "nothing": "",
    }
    assert set(second.values()) == {"", "b"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=10))
def test_numbers_survive(values: list[float], tmp_path: Path) -> None:
    texts = read_table(tmp_path, pa.table({"gap": values})).table["gap"].to_pylist()
    assert texts == [repr(value) for value in values]


def test_several_files_must_agree(tmp_path: Path) -> None:
    files = [write(TABLE, tmp_path / name) for name in ("a.parquet", "b.parquet")]
    assert read(files, {}).table["source_record"].to_pylist()[::3] == ["a.parquet row 1", "b.parquet row 1"]
    files.append(write(TABLE.drop_columns(["gap"]), tmp_path / "c.parquet"))
    with pytest.raises(ReadError, match=r"c.parquet has other columns"):
        read(files, {})


@pytest.mark.parametrize("kind", WRITERS)
def test_a_look_takes_the_first_rows(kind: str, tmp_path: Path) -> None:
    file = write(TABLE, tmp_path / "gaps", kind)
    assert first_rows(file, None, 1).to_pylist() == [{"formula": "GaN", "gap": "3.4"}]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"a,b\n", "not a Parquet"), (b"PAR1abcdPAR1", "truncated or corrupt")]
)
def test_an_unusable_file_is_an_error_that_names_it(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=f"gaps.parquet .*{message}"):
        read([SourceFile(path.name, path, SHA)], {})


def test_empty_tables_double_columns_and_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no data rows"):
        read_table(tmp_path, TABLE.slice(0, 0))
    with pytest.raises(ReadError, match="a column 'raw'"):
        read_table(tmp_path, TABLE.rename_columns(["raw", "gap"]))
    with pytest.raises(InputError, match="sheet"):
        read_table(tmp_path, TABLE, sheet=1)
