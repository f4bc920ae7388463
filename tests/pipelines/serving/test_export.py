"""Results as files and streams: every format holds the rows, nothing is half written, no value is misread."""

from __future__ import annotations

import csv
import io
import json
import sys

import duckdb
import pyarrow.parquet as pq
import pytest

from matstrata.pipelines.serving.export import BATCH, batches, export, uniquely_named
from matstrata.schemas.errors import InputError, WorkError

LATE = "SELECT CAST(CASE WHEN range = 300000 THEN 'a' ELSE '1' END AS INT) AS x FROM range(400000)"
ROWS = "SELECT range AS i, [range, NULL] AS pair, 'Ga₂O₃' AS formula FROM range({n})"


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("n", [0, 3, BATCH + 1])
def test_each_format_holds_all_rows(con, tmp_path, n):
    files = {format: tmp_path / f"rows.{format}" for format in ("csv", "json", "parquet")}
    for format, file in files.items():
        export(con.execute(ROWS.format(n=n)), format, file)
    expected = [{"i": i, "pair": [i, None], "formula": "Ga₂O₃"} for i in range(n)]
    assert pq.read_table(files["parquet"]).to_pylist() == expected
    assert json.loads(files["json"].read_text(encoding="utf-8")) == expected
    with files["csv"].open(encoding="utf-8", newline="") as lines:
        rows = [
            {"i": int(row["i"]), "pair": json.loads(row["pair"]), "formula": row["formula"]}
            for row in csv.DictReader(lines)
        ]
    assert rows == expected


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_an_error_that_comes_late_leaves_no_half_written_file(con, tmp_path, format):
    file = tmp_path / "result"
    file.write_text("the result of before")
    with pytest.raises(InputError, match="Could not convert string 'a'"):
        export(con.execute(LATE), format, file)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the result of before"]


def test_json_has_null_for_what_is_not_finite(con, tmp_path):
    file = tmp_path / "x.json"
    export(con.execute("SELECT 'nan'::DOUBLE AS a, ['inf'::DOUBLE, 1] AS b, {'c': '-inf'::DOUBLE} AS d"), "json", file)
    assert json.loads(file.read_text()) == [{"a": None, "b": [None, 1.0], "d": {"c": None}}]


def test_csv_holds_nothing_that_a_spreadsheet_would_run(con, tmp_path):
    file = tmp_path / "x.csv"
    statement = "SELECT '=1+1' AS \"=a\", '@SUM(1)' AS b, '-1.5' AS c, '-x' AS d, -2 AS e, 'GaN' AS f"
    export(con.execute(statement), "csv", file)
    assert file.read_text().splitlines() == ["'=a,b,c,d,e,f", "'=1+1,'@SUM(1),-1.5,'-x,-2,GaN"]


def test_csv_has_times_in_iso_format_and_nothing_for_null(con, tmp_path):
    file = tmp_path / "x.csv"
    export(con.execute("SELECT TIMESTAMP '2026-11-28 02:03:04.5' AS t, NULL AS n, true AS b"), "csv", file)
    assert file.read_text().splitlines() == ["t,n,b", "2026-11-28 02:03:04.500000,,True"]


def test_a_name_that_occurs_twice_loses_no_column(con):
    reader = uniquely_named(con.execute("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a").to_arrow_reader(10))
    (batch,) = batches(reader)
    assert batch.to_pylist() == [{"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}]


class Terminal(io.TextIOWrapper):
    """Standard output that says it is a terminal."""

    def isatty(self):
        return True


def test_parquet_is_not_printed_in_a_terminal(con, monkeypatch):
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(screen))
    with pytest.raises(InputError, match=r"--output FILE\.parquet"):
        export(con.execute("SELECT 1"), "parquet", None)
    export(con.execute("SELECT 1 AS a"), "csv", None)
    assert screen.getvalue() == b"a\n1\n"


def test_a_folder_that_cannot_be_written_is_named(con, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WorkError, match=r"x\.csv can't be written"):
        export(con.execute("SELECT 1"), "csv", tmp_path / "file" / "x.csv")
