"""Mapped copies of feature tables: never out of date, never needed, made again where they are lost."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.store import FeatureStore
from matstrata.store.datasets import named as datasets
from matstrata.store.datasets.labelled import Request
from matstrata.store.features import decoded
from matstrata.store.features.sets import materialize
from matstrata.store.records.materials import update_materials
from matstrata.store.upkeep.backup import backup
from matstrata.store.upkeep.doctor import examine
from matstrata.store.upkeep.releases import create


@pytest.fixture
def copies(lake, put, monkeypatch):
    """A store of two described materials, in which every table is worth a copy; and the folder of the copies."""
    monkeypatch.setattr(decoded, "MIN_CACHED_ROWS", 1)
    put("lab", [("1", "GaN", 3.4), ("2", "Si", 1.1)])
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    return lake.root / decoded.CACHE_FOLDER


def described(lake, as_of=None) -> pa.Table:
    with FeatureStore.open(lake.root, as_of=as_of) as store:
        answer = store.features_for(["Si", "GaN", "InP", "Si"], ["stoichiometry"]).to_arrow()
        table = store.features("stoichiometry")
        expected = {row["material_id"]: row for row in table.to_pylist()}
    for row in answer.to_pylist():  # by the copy as by the table
        assert {name: row[name] for name in table.column_names[1:]} == {
            name: expected[row["entity"]][name] if row["entity"] in expected else None
            for name in table.column_names[1:]
        }
    return answer


def test_what_was_materialized_is_mapped_and_not_made_again(lake, copies):
    (copy,) = copies.iterdir()
    made = copy.stat().st_mtime_ns
    assert described(lake)["reason"].null_count == 3
    assert [(each.name, each.stat().st_mtime_ns) for each in copies.iterdir()] == [(copy.name, made)]


def test_a_copy_is_of_one_state_of_the_table(lake, copies, put):
    before = lake.snapshot()
    put("lab", [("1", "GaN", 3.4), ("2", "Si", 1.1), ("3", "InP", 1.3)])
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    (newest,) = copies.iterdir()
    assert described(lake)["reason"].null_count == 4
    assert described(lake, as_of=before)["reason"].null_count == 3
    assert described(lake)["reason"].null_count == 4
    assert [each.name for each in copies.iterdir()] == [newest.name]


@pytest.mark.parametrize("harm", ["lost", "cut", "empty"])
def test_a_lost_or_damaged_copy_is_made_again(lake, copies, harm):
    (copy,) = copies.iterdir()
    content = copy.read_bytes()
    copy.unlink()
    if harm != "lost":
        copy.write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
    assert described(lake)["reason"].null_count == 3
    assert copy.read_bytes() == content


def test_without_a_place_for_copies_all_works_as_well(lake, copies):
    for copy in copies.iterdir():
        copy.unlink()
    copies.rmdir()
    copies.write_text("in the way")
    assert described(lake)["reason"].null_count == 3


def test_a_backup_holds_no_copies(lake, copies, tmp_path):
    assert list(copies.iterdir())
    backup(lake, tmp_path / "kept")
    assert not (tmp_path / "kept" / decoded.CACHE_FOLDER).exists()


def flip(copy, value: float) -> None:
    """Change one byte of the one number that is there."""
    content = bytearray(copy.read_bytes())
    at = content.index(struct.pack("<d", value))
    content[at + 6] ^= 0x08
    copy.write_bytes(content)


@pytest.mark.parametrize("at_a_release", [False, True])
def test_the_doctor_finds_a_copy_with_a_changed_byte(lake, copies, put, at_a_release):
    if at_a_release:
        create(lake, "v1")
        before = lake.snapshot()
        put("lab", [("1", "GaN", 3.4), ("2", "Si", 1.1), ("3", "InP", 1.3)])
        update_materials(lake)
        materialize(lake, get_feature_set("stoichiometry"))
        described(lake, as_of=before)
    (copy,) = copies.iterdir()
    assert examine(lake).healthy
    flip(copy, 2**0.5 / 2)
    diagnosis = examine(lake)
    assert [finding.check for finding in diagnosis.findings] == ["caches"]
    assert not diagnosis.healthy
    assert str(copy) in diagnosis.findings[0].what
    copy.unlink()
    assert examine(lake).healthy


def test_what_is_frozen_comes_from_the_table_and_not_from_a_copy(lake, copies):
    (copy,) = copies.iterdir()
    flip(copy, 2**0.5 / 2)
    request = Request.of("band_gap", ["stoichiometry"])
    frozen = datasets.build(lake, "gaps", request)
    copy.unlink()
    assert datasets.verify(lake, datasets.manifest(lake, "gaps")).holds
    with FeatureStore.open(lake.root) as store:
        assert store.training_set(property="band_gap", features=["stoichiometry"]).table.equals(frozen.table)
