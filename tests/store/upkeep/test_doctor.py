"""The doctor: a sound store is found sound, and each kind of damage is found and named, with what repairs it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matstrata.pipelines.descriptors.registry import FEATURE_SETS
from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES, Table
from matstrata.store import models
from matstrata.store.datasets.frozen import freeze
from matstrata.store.datasets.training_sets import select
from matstrata.store.features.sets import materialize
from matstrata.store.lake.hashes import recorded_hashes
from matstrata.store.lake.inventory import data_files
from matstrata.store.lake.lake import Lake
from matstrata.store.records.materials import update_materials
from matstrata.store.records.sources import Refreshed
from matstrata.store.upkeep import releases
from matstrata.store.upkeep.doctor import Diagnosis, examine

FORMULAS = ["GaN", "Si", "Ge", "AlN", "InN", "Al2O3", "ZnO", "CdS"]


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    """Where the filled store is kept, once a test has filled it."""
    return tmp_path_factory.mktemp("once") / "store"


@pytest.fixture
def sound(lake, put, once) -> Lake:
    """A store of the test's own with something of everything."""
    if not once.exists():
        fill(lake, put)
        shutil.copytree(lake.root, once)
        return lake
    shutil.rmtree(lake.root)
    return Lake(shutil.copytree(once, lake.root))


def fill(lake: Lake, put: Callable[..., Refreshed]) -> None:
    rows = [(str(i), formula, i / 2, {"method": "made up"}) for i, formula in enumerate(FORMULAS)]
    put("lab", rows, [("x", "formula.syntax")])
    update_materials(lake)
    materialize(lake, FEATURE_SETS["stoichiometry"])
    with lake.reader() as con:
        frozen = select(con, "lab", ["band_gap"], ["stoichiometry"])
    freeze(lake, "band_gap", frozen)
    file = lake.root / models.model_path("m1")
    file.parent.mkdir()
    file.write_bytes(b"a model")
    models.record(
        lake,
        {
            **dict.fromkeys(TABLES["models"].column_names),
            "model_id": "m1",
            "property": "band_gap",
            "training_set_id": frozen.training_set_id,
            "snapshot": frozen.snapshot,
            "path": file.relative_to(lake.root).as_posix(),
            "file_sha256": hashlib.sha256(b"a model").hexdigest(),
            "serving": True,
        },
    )
    releases.create(lake, "v1")


def damages(diagnosis: Diagnosis) -> list[str]:
    assert diagnosis.healthy == (not any(finding.damage for finding in diagnosis.findings))
    assert all(finding.mend for finding in diagnosis.findings)
    return [finding.check for finding in diagnosis.findings if finding.damage]


def file_of(lake: Lake, table: str):
    return next((lake.data / "main" / table).rglob("*.parquet"))


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_store(sound, deep):
    diagnosis = examine(sound, deep=deep)
    assert diagnosis.findings == ()
    assert diagnosis.looked_at["training_sets"] == diagnosis.looked_at["models"] == 1


def test_no_store(tmp_path):
    with pytest.raises(InputError, match="no store"):
        examine(Lake(tmp_path / "nowhere"))


@pytest.mark.parametrize("how", ["missing", "cut", "longer", "footer", "empty"])
def test_a_damaged_file_of_a_table(sound, how):
    file = file_of(sound, "observations")
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "footer":
        file.write_bytes(content[:-8] + bytes(4) + content[-4:])
    else:
        file.write_bytes({"cut": content[: len(content) // 2], "longer": content + b"x", "empty": b""}[how])
    diagnosis = examine(sound)
    assert damages(diagnosis) == ["data"]
    assert file.name in diagnosis.findings[0].what
    assert "the newest snapshot needs it" in diagnosis.findings[0].what
    assert "matstrata restore" in diagnosis.findings[0].mend


@pytest.mark.parametrize("place", [4, -2000, 0.5], ids=["first", "near the footer", "middle"])
def test_one_changed_byte(sound, place):
    file = file_of(sound, "observations")
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    file.write_bytes(content)
    diagnosis = examine(sound)
    assert damages(diagnosis) == ["data"]
    assert file.name in diagnosis.findings[0].what
    assert "SHA-256" in diagnosis.findings[0].what


def test_hashes_that_were_lost_are_recorded_again(sound):
    (sound.root / "hashes.json").unlink()
    assert recorded_hashes(sound.root) == {}
    assert examine(sound).healthy
    update_materials(sound)  # changes nothing
    assert recorded_hashes(sound.root) == {}
    releases.create(sound, "v2")
    with sound.reader() as con:
        assert set(recorded_hashes(sound.root)) == {file.path for file in data_files(con)}


def test_bytes_changed_inside_are_found_by_a_deep_look(sound):
    """Without a recorded hash, what no longer decodes is found."""
    (sound.root / "hashes.json").unlink()
    file = file_of(sound, "observations")
    content = bytearray(file.read_bytes())
    for position in range(4, min(400, len(content) - 2000)):
        content[position] ^= 0xFF
    file.write_bytes(content)
    assert damages(examine(sound)) in ([], ["data"]), "whether by chance what was counted lay there"
    assert damages(examine(sound, deep=True)) == ["data"]


def test_a_file_with_other_rows_in_it(sound):
    file = file_of(sound, "observations")
    table = pq.read_table(file)
    size = file.stat().st_size
    pq.write_table(table.slice(0, 3), file)
    assert file.stat().st_size != size
    assert damages(examine(sound)) == ["data"]


def test_the_frozen_and_the_trained(sound):
    (frozen,) = (sound.root / "training_sets").iterdir()
    table = pq.read_table(frozen)
    pq.write_table(table.set_column(3, table.field(3), pa.array([9.0] * len(table))), frozen)
    (sound.root / models.model_path("m1")).write_bytes(b"another")
    assert sorted(damages(examine(sound))) == ["models", "training sets"]
    frozen.unlink()
    (sound.root / models.model_path("m1")).unlink()
    assert sorted(damages(examine(sound))) == ["models", "training sets"]


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.key], ids=lambda table: table.name)
def test_a_doubled_row_is_reported_with_its_key(sound, table):
    with sound.commit("a write that went wrong") as transaction:
        rows = transaction.con.execute(f"FROM {table.name} LIMIT 1").to_arrow_table()
        if not rows.num_rows:
            rows = pa.Table.from_pylist([made_up(table)], schema=table.arrow_schema)
            transaction.insert(table.name, rows)
        transaction.insert(table.name, rows)
    (message,) = (finding.what for finding in examine(sound).findings if finding.check == "keys")
    assert message == f"{table.name}: 1 row(s) repeat the {', '.join(table.key)} of another, or lack it"


def made_up(table: Table) -> dict[str, object]:
    """A row with something in each column of the key."""
    values = {"string": "x", "int64": 1, "double": 0.5}
    return {column.name: values[str(column.type)] for column in table.columns if column.name in table.key}


def test_counts_and_keys(sound):
    with sound.commit("what no program of ours does") as transaction:
        con = transaction.con
        con.execute("DELETE FROM observations WHERE source_record = '1'")
        con.execute("INSERT INTO features.stoichiometry_v1 SELECT * FROM features.stoichiometry_v1 LIMIT 1")
    diagnosis = examine(sound)
    assert sorted(damages(diagnosis)) == ["conservation", "features", "keys"]
    assert any("9 records were read, 7 are accepted, 1 rejected" in finding.what for finding in diagnosis.findings)


def test_a_pinned_snapshot_that_is_gone(sound):
    """As any other program may expire it."""
    with sound.commit("expire") as transaction:
        transaction.con.execute(
            f"CALL ducklake_expire_snapshots('lake', versions => [{releases.get_release(sound, 'v1').snapshot}])"
        )
    diagnosis = examine(sound)
    assert damages(diagnosis) == ["pins"]
    assert "release v1" in diagnosis.findings[0].what


def test_a_damaged_catalog(sound):
    for log in sound.root.glob("catalog.sqlite-*"):
        log.unlink()
    content = bytearray(sound.catalog_file.read_bytes())
    content[8192:40960] = bytes(32768)
    sound.catalog_file.write_bytes(content)
    assert damages(examine(sound)) == ["catalog"]
    sound.catalog_file.write_bytes(b"not a database" * 999)
    assert damages(examine(sound)) == ["catalog"]


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_lost_catalog_is_no_empty_store(sound, how):
    """A new catalog would know none of the files, and maintenance would delete them."""
    for file in sound.root.glob("catalog.sqlite*"):
        file.unlink()
    if how == "empty":
        sound.catalog_file.touch()
    files = sorted(sound.data.rglob("*.parquet"))
    assert damages(examine(sound)) == ["catalog"]
    for use in (Lake(sound.root).init, sound.snapshot):
        with pytest.raises(WorkError, match=r"missing or empty.*restore"):
            use()
    assert sorted(sound.data.rglob("*.parquet")) == files
    shutil.rmtree(sound.data)
    Lake(sound.root).init()


def test_orphans_and_a_writer_at_work_are_notes(sound):
    file_of(sound, "observations").with_name("ducklake-stray.parquet").write_bytes(b"x")
    with sound.commit("a long one"):
        diagnosis = examine(sound)
    assert damages(diagnosis) == []
    assert sorted(finding.check for finding in diagnosis.findings) == ["leftovers", "lock"]
    assert "a long one" in next(finding.what for finding in diagnosis.findings if finding.check == "lock")
