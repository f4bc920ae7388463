"""JSON: every layout gives the same table, every record comes out once, and one bad line never costs the good ones."""

from __future__ import annotations

import bz2
import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matstrata.pipelines.ingest.readers.json_layout import list_paths
from matstrata.pipelines.ingest.readers.json_records import read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES

SHA = "ab" * 32
RECORDS = [{"formula": "GaN", "gap": 3.4}, {"formula": "Si", "gap": 1.1}, {"formula": "Ge", "gap": None}]
EXPECTED = [("GaN", "3.4"), ("Si", "1.1"), ("Ge", "")]
STRUCTURE = {"@class": "Structure", "lattice": {"a": 1.0}, "sites": []}


def read_text(folder: Path, content: str | bytes, name: str = "gaps.json", **options: object) -> RawRecords:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read([SourceFile(name, path, SHA)], options)


def rows(records: RawRecords, *columns: str) -> list[tuple[str, ...]]:
    return list(zip(*(records.table[name].to_pylist() for name in columns), strict=True))


def rules(records: RawRecords) -> list[tuple[str, str]]:
    assert all(rejection.rule_id in RULES for rejection in records.rejections)
    return [(rejection.source_record, rejection.rule_id) for rejection in records.rejections]


LAYOUTS: Mapping[str, tuple[object, Mapping[str, object]]] = {
    "records": (RECORDS, {}),
    "under a key": ({"meta": {"n": 3}, "data": {"entries": RECORDS}}, {"path": "data.entries"}),
    "split": ({"columns": ["formula", "gap"], "index": [0, 1, 2], "data": [list(r.values()) for r in RECORDS]}, {}),
    "columns": ({key: {str(i): r[key] for i, r in enumerate(RECORDS)} for key in ("formula", "gap")}, {}),
    "index": ({str(i): record for i, record in enumerate(RECORDS)}, {}),
    "list": ({key: [r[key] for r in RECORDS] for key in ("formula", "gap")}, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_layouts_give_the_same_table(layout: str, tmp_path: Path) -> None:
    document, options = LAYOUTS[layout]
    records = read_text(tmp_path, json.dumps(document), **options)
    assert records.table.column_names == ["source_record", "file_sha256", "raw", "formula", "gap"]
    assert rows(records, "formula", "gap") == EXPECTED
    assert records.table["source_record"].to_pylist() == ["row 1", "row 2", "row 3"]
    assert json.loads(records.table["raw"][1].as_py()) == {"formula": "Si", "gap": "1.1"}
    assert {str(field.type) for field in records.table.schema} == {"string"}


def test_lines_keep_their_numbers_and_bad_ones_are_refused(tmp_path: Path) -> None:
    lines = [json.dumps(RECORDS[0]), "", '{"formula": "Si"', json.dumps(RECORDS[1]), "[1, 2]", '"text"', "{}"]
    records = read_text(tmp_path, "\r\n".join(lines) + "\n")
    assert rows(records, "source_record", "formula") == [("line 1", "GaN"), ("line 4", "Si")]
    assert rules(records) == [(f"line {n}", "record.malformed") for n in (3, 5, 6, 7)]
    assert json.loads(records.rejections[0].raw) == {"cells": ['{"formula": "Si"']}
    assert "line 3 is not JSON" in records.rejections[0].reason
    one = read_text(tmp_path, json.dumps(RECORDS[0]), orient="lines")
    assert rows(one, "source_record", "formula") == [("line 1", "GaN")]


def test_line_separators_inside_texts_end_no_line(tmp_path: Path) -> None:
    records = read_text(tmp_path, '{"formula": "GaN\u2028x"}\n{"formula": "Si\x85"}\n')
    assert rows(records, "source_record", "formula") == [("line 1", "GaN\u2028x"), ("line 2", "Si\x85")]


def test_values_of_all_kinds_as_text(tmp_path: Path) -> None:
    record = '{"a": 1, "b": 0.1, "c": 1e-7, "d": true, "e": NaN, "f": null, "g": [1, 2.5], "h": {"µ": "x"}, "i": "NaN"}'
    [cells] = rows(read_text(tmp_path, f"[{record}]"), *"abcdefghi")
    assert cells == ("1", "0.1", "1e-07", "true", "", "", "[1, 2.5]", '{"µ": "x"}', "NaN")


def test_records_with_different_keys_share_a_table(tmp_path: Path) -> None:
    records = read_text(tmp_path, '[{"a": 1}, {"b": 2}, {"a": 3, "c": 4}]')
    assert rows(records, "a", "b", "c") == [("1", "", ""), ("", "2", ""), ("3", "", "4")]


def test_objects_become_columns_but_structures_and_amounts_stay_whole(tmp_path: Path) -> None:
    record = {"data": {"e_above_hull": 0.1, "deep": {"x": [1]}}, "structure": STRUCTURE, "amounts": {"Li": 2, "O": 1}}
    whole = read_text(tmp_path, json.dumps([record]))
    assert whole.table.column_names[3:] == ["data", "structure", "amounts"]
    flat = read_text(tmp_path, json.dumps([record]), flatten=True)
    assert rows(flat, "data.e_above_hull", "data.deep.x") == [("0.1", "[1]")]
    assert json.loads(flat.table["structure"][0].as_py()) == STRUCTURE
    assert flat.table["amounts"].to_pylist() == ['{"Li": 2, "O": 1}']


def test_names_of_rows_are_kept_where_they_say_something(tmp_path: Path) -> None:
    named = read_text(tmp_path, json.dumps({"116432": {"gap": 5.7}, "9942": {"gap": 1}}))
    assert rows(named, "source_record", "index", "gap") == [("row 1", "116432", "5.7"), ("row 2", "9942", "1")]
    split = {"columns": ["gap"], "index": ["mp-1", "mp-2"], "data": [[1], [2]]}
    assert rows(read_text(tmp_path, json.dumps(split)), "index", "gap") == [("mp-1", "1"), ("mp-2", "2")]
    columns = {"gap": {"0": 1, "7": 2}, "formula": {"7": "Si", "0": "Ge"}}
    assert rows(read_text(tmp_path, json.dumps(columns)), "index", "gap", "formula") == [
        ("0", "1", "Ge"),
        ("7", "2", "Si"),
    ]
    forced = read_text(tmp_path, json.dumps({"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 4}}), orient="columns")
    assert rows(forced, "index", "a", "b") == [("x", "1", "3"), ("y", "2", "4")]


def test_a_ragged_row_of_a_split_table_is_refused(tmp_path: Path) -> None:
    records = read_text(tmp_path, '{"columns": ["a", "b"], "data": [[1, 2], [3], [4, 5]]}')
    assert rows(records, "source_record", "a") == [("row 1", "1"), ("row 3", "4")]
    assert rules(records) == [("row 2", "record.malformed")]


def test_items_that_are_no_objects_and_bytes_that_are_no_text_cost_one_record(tmp_path: Path) -> None:
    content = b'[{"a": "x"}, 7, "y", {"a": "Si\xff"}, {"a": "\\ud800"}, {"a": "z"}]'
    records = read_text(tmp_path, content)
    assert rows(records, "source_record", "a") == [("row 1", "x"), ("row 6", "z")]
    assert rules(records) == [
        ("row 2", "record.malformed"),
        ("row 3", "record.malformed"),
        ("row 4", "record.undecodable"),
        ("row 5", "record.undecodable"),
    ]


def test_compressed_files_archives_and_other_encodings(tmp_path: Path) -> None:
    text = json.dumps(RECORDS)
    for content in (gzip.compress(text.encode()), bz2.compress(text.encode()), text.encode("utf-16"), "\ufeff" + text):
        assert rows(read_text(tmp_path, content), "formula", "gap") == EXPECTED


def test_several_files_are_one_source_whose_columns_may_differ(tmp_path: Path) -> None:
    files = []
    for name, content in {"a.json": [{"x": 1}], "b.json": [{"x": 2, "y": 3}, 4]}.items():
        (tmp_path / name).write_text(json.dumps(content))
        files.append(SourceFile(name, tmp_path / name, name))
    records = read(files, {})
    assert rows(records, "source_record", "x", "y") == [("a.json row 1", "1", ""), ("b.json row 1", "2", "3")]
    assert rules(records) == [("b.json row 2", "record.malformed")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "no data rows"),
        ('[{"a": 1}', "not valid JSON"),
        ('[{"a": 1}] x', "not valid JSON"),
        ('[{"a": 1} {"a": 2}]', "not valid JSON"),
        ('{"a": [{"b": 1}], "c": 2}', r"options.path to one of \['a'\]"),
        ("7", "no list of records"),
        ('{"columns": ["a", "a"], "data": [[1, 2]]}', "orient 'split'"),
        ('[{"raw": 1}]', "a column 'raw'"),
        ("[" * 100_000, "not valid JSON"),
        ("formula,gap\nGaN,3.4\n", "not valid JSON"),
        (gzip.compress(b'[{"a": 1}]', mtime=0)[:-9], "truncated"),
    ],
)
def test_an_unusable_file_is_an_error_that_names_it(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=f"gaps.json .*{message}"):
        read_text(tmp_path, content)


def test_a_wrong_path_names_the_keys_that_there_are(tmp_path: Path) -> None:
    document = json.dumps({"data": {"entries": [{"a": 1}], "n": 1}})
    with pytest.raises(ReadError, match=r"gaps.json at 'data' has no key 'rows'; it has 'entries', 'n'"):
        read_text(tmp_path, document, path="data.rows")
    assert list_paths(document) == ["data.entries"]
    assert list_paths("oops") == []


@pytest.mark.parametrize(
    "options", [{"path": 3}, {"flatten": "yes"}, {"orient": "table"}, {"member": 3}, {"lines": True}]
)
def test_a_wrong_option_is_named(options: Mapping[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        read_text(tmp_path, json.dumps(RECORDS), **options)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
CELLS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.lists(st.integers(), max_size=2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(table=st.lists(st.fixed_dictionaries({"a": CELLS, "µ": CELLS}, optional={"c": TEXT}), min_size=1, max_size=6))
def test_every_record_comes_out_once_whatever_it_holds(table: list[dict[str, object]], tmp_path: Path) -> None:
    listed = read_text(tmp_path, json.dumps(table))
    lines = read_text(tmp_path, "\n".join(map(json.dumps, table)), orient="lines")
    assert listed.table.num_rows == len(table)
    assert listed.table.drop_columns("source_record").equals(lines.table.drop_columns("source_record"))
    for record, cell in zip(table, listed.table["a"].to_pylist(), strict=True):
        value = record["a"]
        if isinstance(value, float) and math.isfinite(value):
            assert float(cell) == value
        elif isinstance(value, str | int) and not isinstance(value, bool):
            assert cell == str(value)
    assert all(isinstance(json.loads(raw), dict) for raw in listed.table["raw"].to_pylist())
