"""Datasets of matminer: its own decoder and our JSON reader see the same rows; nothing is ever downloaded."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.readers import json_records
from matstrata.pipelines.ingest.readers.matminer_dataset import read
from matstrata.pipelines.ingest.records import ReadError, SourceFile
from matstrata.schemas.errors import InputError

SHA = "ab" * 32


@pytest.fixture(scope="module")
def mirror() -> list[Path]:
    folders = os.environ.get("MATSTRATA_MIRROR")
    if not folders:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must set MATSTRATA_MIRROR")
        pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
    return [Path(folder) for folder in folders.split(os.pathsep)]


def pinned(mirror: list[Path], name: str) -> SourceFile:
    paths = [path for folder in mirror for path in folder.rglob(name)]
    if not paths:
        pytest.skip(f"the mirror has no {name}")
    return SourceFile(name, paths[0], SHA)


def write(path: Path, document: object) -> SourceFile:
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return SourceFile(path.name, path, SHA)


def test_the_json_reader_sees_the_same_rows(mirror: list[Path]) -> None:
    file = pinned(mirror, "matbench_expt_gap.json.gz")
    records = read([file], {"name": "matbench_expt_gap"})
    assert records.table.num_rows == 4604
    assert records.table.column_names[3:] == ["composition", "gap expt"]
    assert records.table.equals(json_records.read([file], {}).table)
    assert records.table.equals(read([file], {}).table)


def test_structures_are_json_and_values_agree_with_the_json_reader(mirror: list[Path]) -> None:
    file = pinned(mirror, "matbench_phonons.json.gz")
    ours, theirs = json_records.read([file], {}).table, read([file], {"name": "matbench_phonons"}).table
    assert theirs["last phdos peak"].equals(ours["last phdos peak"])
    for one, other in zip(ours["structure"].to_pylist()[:20], theirs["structure"].to_pylist()[:20], strict=True):
        assert json.loads(one)["lattice"]["matrix"] == json.loads(other)["lattice"]["matrix"]
        assert len(json.loads(one)["sites"]) == len(json.loads(other)["sites"])


def test_objects_of_pymatgen_become_text_and_any_file_name_will_do(tmp_path: Path) -> None:
    composition = {"@module": "pymatgen.core.composition", "@class": "Composition", "Ga": 1.0, "N": 1.0}
    document = {"index": [0, 1], "columns": ["composition", "gap"], "data": [[composition, 3.4], [composition, None]]}
    file = write(tmp_path / "4f2a", document)
    records = read([file], {"name": "matbench_expt_gap"})
    assert records.table["composition"].to_pylist() == ["Ga1N1", "Ga1N1"]
    assert records.table["gap"].to_pylist() == ["3.4", ""]
    assert records.table["source_record"].to_pylist() == ["row 1", "row 2"]
    assert [path.name for path in tmp_path.iterdir()] == ["4f2a"]


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="matminer has no dataset 'gaps'"):
        read([write(tmp_path / "gaps.json.gz", {})], {})
    with pytest.raises(InputError, match="flavour"):
        read([write(tmp_path / "gaps.json.gz", {})], {"flavour": 1})
    with pytest.raises(ReadError, match=r"gaps.json.gz can't be read as matminer's matbench_expt_gap"):
        read([write(tmp_path / "gaps.json.gz", {"oops": 1})], {"name": "matbench_expt_gap"})
    with pytest.raises(ReadError, match="one file, not 2"):
        read([write(tmp_path / "gaps.json.gz", {})] * 2, {})
    (tmp_path / "plain.json").write_text("{}")
    with pytest.raises(ReadError, match="not gzipped"):
        read([SourceFile("plain.json", tmp_path / "plain.json", SHA)], {"name": "matbench_expt_gap"})
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 100)[:-9])
    with pytest.raises(ReadError, match="truncated"):
        read([SourceFile("cut.json.gz", tmp_path / "cut.json.gz", SHA)], {"name": "matbench_expt_gap"})
