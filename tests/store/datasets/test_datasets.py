"""Frozen training sets: made again from their manifest bit for bit, however the store has moved on."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.citations import cite
from matstrata.store.datasets import named as datasets
from matstrata.store.datasets.frozen import freeze, read_frozen, training_set_path
from matstrata.store.datasets.labelled import Request
from matstrata.store.datasets.training_sets import TrainingSet, select
from matstrata.store.features.sets import materialize
from matstrata.store.records.materials import update_materials

REQUEST = Request.of("band_gap", ["stoichiometry"])
UV, PBE = {"method": "UV"}, {"method": "PBE"}
ROWS = [
    *(("r1", "GaN", 3.4, UV), ("r2", "GaN", 3.1, UV), ("r3", "GaN", 0.1, UV)),
    *(("r4", "Fe2O3", 2.2, UV), ("r5", "Si", 1.1, UV)),
]


@pytest.fixture
def filled(lake, put):
    """Two sources; the mean of one depends, in its last bit, on the order of summation."""
    put("lab", ROWS, policy="mean", citation="@misc{lab, title={A lab}}", title="A lab")
    put(
        "dft",
        [("d1", "GaN", 1.7, PBE), ("d2", "InP", 0.4, PBE)],
        kind="computation",
        method="PBE",
        citation="@misc{dft}",
    )
    update_materials(lake)
    materialize(lake, get_feature_set("stoichiometry"))
    return lake


def build(lake, name: str = "gaps", request: Request = REQUEST) -> TrainingSet:
    return datasets.build(lake, name, request)


def test_the_same_request_is_frozen_once(filled):
    first, before = build(filled), filled.snapshot()
    assert build(filled).training_set_id == first.training_set_id
    assert filled.snapshot() == before
    assert [(row["name"], row["rows"], row["sources"]) for row in datasets.listing(filled)] == [
        ("gaps", 5, ["dft", "lab"])
    ]


def test_a_manifest_tells_all(filled):
    frozen = build(filled)
    manifest = datasets.manifest(filled, "gaps")
    assert manifest["training_set_id"] == frozen.training_set_id
    assert manifest["request"] == {
        "property": "band_gap",
        "features": ["stoichiometry_v1"],
        "sources": None,
        "kinds": None,
    }
    assert [source["contract_sha256"] for source in manifest["sources"]] == ["c" * 64] * 2
    assert manifest["feature_sets"][0]["signature"] == get_feature_set("stoichiometry").signature()
    assert [column["name"] for column in manifest["columns"]] == frozen.table.column_names
    assert all(column["meaning"] for column in manifest["columns"])
    assert datasets.manifest(filled, frozen.training_set_id[:8]) == manifest
    assert cite(filled, ["gaps"]) == ["@misc{dft}", "@misc{lab, title={A lab}}"]


def test_what_was_frozen_comes_back_after_the_store_has_moved_on(filled, put):
    frozen = build(filled)
    manifest = datasets.manifest(filled, "gaps")
    for i in range(3):
        shuffled = random.Random(i).sample(ROWS, len(ROWS))
        put("lab", [*shuffled, (f"n{i}", "ZnO", 3.3 + i, UV)], policy="mean")
        put("dft", [("d1", "GaN", 1.8 + i, PBE)], kind="computation", method="PBE")
        update_materials(filled)
        materialize(filled, get_feature_set("stoichiometry"))
    with filled.commit("maintenance") as transaction:
        transaction.con.execute("CALL ducklake_flush_inlined_data('lake')")
        transaction.con.execute("CALL ducklake_merge_adjacent_files('lake')")
    assert build(filled, "later").content_sha256 != frozen.content_sha256
    again = datasets.rebuild(filled, manifest)
    assert again.training_set_id == frozen.training_set_id
    assert again.table.equals(frozen.table)
    assert datasets.verify(filled, manifest).holds


def test_the_order_of_files_does_not_show(filled, put):
    content = build(filled).content_sha256
    put("lab", [], policy="mean")
    for n in range(len(ROWS)):  # one file a row, in the opposite order
        put("lab", ROWS[::-1][: n + 1], policy="mean")
    assert build(filled, "again").content_sha256 == content


def test_a_lost_or_damaged_file_is_found_and_made_again(filled):
    frozen = build(filled)
    manifest = datasets.manifest(filled, "gaps")
    file = filled.root / training_set_path(frozen.training_set_id)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20] + b"x" * 20)
    assert datasets.verify(filled, manifest).file == "damaged"
    assert datasets.load(filled, manifest).equals(frozen.table)
    file.unlink()
    assert not datasets.verify(filled, manifest).holds
    assert datasets.load(filled, manifest).equals(frozen.table)
    build(filled)
    assert file.read_bytes() == whole
    assert datasets.verify(filled, manifest).holds


def test_a_set_that_can_no_longer_be_made_says_so(filled):
    build(filled)
    manifest = datasets.manifest(filled, "gaps")
    other = manifest | {"content_sha256": "0" * 64}
    assert datasets.verify(filled, other).rebuilt == "different"
    gone = manifest | {"snapshot": 10_000}
    assert "does not exist" in datasets.verify(filled, gone).rebuilt
    (filled.root / training_set_path(manifest["training_set_id"])).unlink()
    with pytest.raises(WorkError, match="is lost"):
        datasets.load(filled, other)


def test_sets_of_ensembles_have_manifests_too(filled):
    with filled.reader() as con:
        one = select(con, "dft", ["band_gap"], ["stoichiometry"])
    freeze(filled, "band_gap", one)
    manifest = datasets.manifest(filled, one.training_set_id[:10])
    assert read_frozen(filled, one.training_set_id, manifest["file_sha256"]).equals(one.table)
    assert one.descriptors[0] == "n_elements"
    assert datasets.verify(filled, manifest).holds


def test_null_is_not_nan(filled):
    import pyarrow as pa

    from matstrata.store.datasets.training_sets import content_hash

    assert content_hash(pa.table({"a": [1.0, None]})) != content_hash(pa.table({"a": [1.0, float("nan")]}))
    assert content_hash(pa.table({"a": ["x", None]})) != content_hash(pa.table({"a": ["x", "None"]}))


def test_manifests_are_found_or_it_is_said_why_not(filled, tmp_path):
    build(filled)
    for wrong in ("nix", str(tmp_path / "nix.json")):
        with pytest.raises(InputError):
            datasets.manifest(filled, wrong)
    (tmp_path / "other.json").write_text(json.dumps({"format": "something else"}))
    with pytest.raises(InputError, match="is not a manifest"):
        datasets.manifest(filled, str(tmp_path / "other.json"))
    for name in ("", " ", "a/b", "a.json", ".", "..", "-x", "a\nb", "a" * 61):
        with pytest.raises(InputError, match="can't name a dataset"):
            build(filled, name)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_is_told_and_nothing_stays(filled, monkeypatch, number):
    def refuse(*_arguments: object, **_named: object) -> None:
        raise OSError(number, "refused")

    before = filled.snapshot()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        if number == errno.EROFS:
            patched.setattr(Path, "unlink", refuse)
        with pytest.raises(WorkError, match=r"can't be written.*free space"):
            build(filled)
    assert filled.snapshot() == before
    assert datasets.verify(filled, datasets.manifest(filled, build(filled).training_set_id)).holds


def test_the_file_is_plain_parquet(filled):
    frozen = build(filled)
    assert pq.read_table(filled.root / training_set_path(frozen.training_set_id)).equals(frozen.table)
