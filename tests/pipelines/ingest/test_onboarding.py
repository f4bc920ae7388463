"""Adding a source: ingested, its contract kept with the store; a refusal keeps neither."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from matstrata.pipelines.ingest import onboarding
from matstrata.pipelines.ingest.dry_run import dry_run
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.onboarding import add_source, remove_source
from matstrata.pipelines.ingest.records import ReadError
from matstrata.pipelines.ingest.refresh import Ingested
from matstrata.pipelines.ingest.sources import contracts_folder
from matstrata.pipelines.ingest.validating.data_docs import docs_page, refused_page
from matstrata.schemas.contracts import SHIPPED, load_contract, load_contracts
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.lake import Lake
from matstrata.store.records.sources import ingested
from tests import lab

CONTRACT = "# a comment\n" + lab.CONTRACT.replace("the lab", "the läb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the person has file and contract."""
    place = tmp_path / "desk"
    place.mkdir()
    (place / "lab.csv").write_text("formula,gap\nGaN,3.4\nSi,1.12\nXx,1\n")
    (place / "lab.yaml").write_text(CONTRACT, encoding="utf-8")
    return place


@pytest.fixture
def store(tmp_path: Path) -> Lake:
    """A place where no store is yet."""
    return Lake(tmp_path / "new" / "store")


def add(lake: Lake, contract: Path, **options: bool) -> Ingested:
    return add_source(lake, contract, cache=lake.root.parent / "cache", mirrors=(), **options)


def test_a_store_is_made_and_filled(store, folder):
    done = add(store, folder / "lab.yaml")
    assert (done.rows_in, done.rows_accepted, done.rows_rejected, done.inserted) == (3, 2, 1, 2)
    with store.reader() as con:
        assert ingested(con, "lab")["lab"]["rows_in"] == 3


def test_the_contract_is_kept_and_means_the_same(lake, folder):
    add(lake, folder / "lab.yaml")
    kept = contracts_folder(lake.root) / "lab.yaml"
    assert load_contract(kept) == load_contract(folder / "lab.yaml")
    assert load_contract(kept).files[0].path == folder / "lab.csv"  # wherever the contract lies now
    assert load_contracts([contracts_folder(lake.root)])["lab"].title == "Gaps of the läb"
    assert [path.name for path in kept.parent.iterdir()] == ["lab.yaml"]


def test_all_that_a_contract_can_say_is_kept(lake, folder):
    said = (
        "constants: {temperature_k: 300, conditions: {ray: o}}\nmissing: ['', 'n/a']\nreplicates: keep\n"
        "max_amount: 5000\nreconcile: {policy: newest, by: year, temperature_k: [280, 320]}\n"
        "refresh: {cron: '0 3 * * 1', freshness_hours: 12}\noptions: {delimiter: ';'}\n"
    )
    (folder / "lab.csv").write_text("formula;gap;year\nGaN;3.4;1999\n")
    (folder / "lab.yaml").write_text(CONTRACT + said, encoding="utf-8")
    add(lake, folder / "lab.yaml")
    assert load_contract(contracts_folder(lake.root) / "lab.yaml") == load_contract(folder / "lab.yaml")


def test_the_same_again_changes_nothing(lake, folder):
    add(lake, folder / "lab.yaml")
    kept = contracts_folder(lake.root) / "lab.yaml"
    before = lake.snapshot(), kept.read_bytes()
    done = add(lake, folder / "lab.yaml")
    assert (done.changed, done.rows_in, done.inserted) == (False, 3, 0)
    assert (lake.snapshot(), kept.read_bytes()) == before


def test_the_kept_contract_can_be_added_itself(lake, folder):
    add(lake, folder / "lab.yaml")
    assert not add(lake, contracts_folder(lake.root) / "lab.yaml").changed


def test_a_corrected_contract_replaces_the_kept_one(lake, folder):
    add(lake, folder / "lab.yaml")
    (folder / "lab.yaml").write_text(CONTRACT.replace("absorption", "ellipsometry"), encoding="utf-8")
    assert add(lake, folder / "lab.yaml").updated == 2
    assert load_contract(contracts_folder(lake.root) / "lab.yaml").method == "ellipsometry"


@pytest.mark.parametrize("name", ["zhuo_2018_gaps", "refractiveindex_info"])
def test_the_name_of_a_shipped_source_is_taken(store, folder, name):
    (folder / f"{name}.yaml").write_text(CONTRACT.replace("source: lab", f"source: {name}"), encoding="utf-8")
    with pytest.raises(InputError, match=f"{name}.*choose another"):
        add(store, folder / f"{name}.yaml")
    assert not store.exists()


def test_a_shipped_contract_is_added_and_not_kept_twice(lake, folder, monkeypatch):
    shipped = folder / "shipped"
    shipped.mkdir()
    (shipped / "lab.yaml").write_text(CONTRACT.replace("lab.csv", "../lab.csv"), encoding="utf-8")
    monkeypatch.setattr(onboarding, "SHIPPED", shipped)
    assert add(lake, shipped / "lab.yaml").changed
    assert not contracts_folder(lake.root).exists()
    with pytest.raises(InputError, match="choose another"):
        add(lake, folder / "lab.yaml")


def test_what_ships_is_what_is_found():
    assert (SHIPPED / "zhuo_2018_gaps.yaml").exists()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda desk: (desk / "lab.csv").write_text(""), ReadError),
        (lambda desk: (desk / "lab.csv").write_text("formula,gap\nXx,1\n"), ReadError),
        (lambda desk: (desk / "lab.csv").write_text("formula,Eg\nGaN,1\n"), ReadError),
        (lambda desk: (desk / "lab.csv").unlink(), InputError),
        (lambda desk: (desk / "lab.yaml").write_text(CONTRACT.replace("kind: experiment", "kind: guess")), InputError),
        (lambda desk: (desk / "lab.csv").write_text("formula,gap\n" + "".join(f"GaN{i},{i + 20}\n" for i in range(1, 21))), WorkError),
    ],
    ids=["empty", "all refused", "no column", "no file", "contract", "unit"],
)  # fmt: skip
def test_what_is_refused_is_not_kept(lake, folder, spoil, error):
    spoil(folder)
    with pytest.raises(error):
        add(lake, folder / "lab.yaml")
    with lake.reader() as con:
        for table in ("sources", "observations", "rejections"):
            assert not con.execute(f"FROM {table}").fetchall()
    assert not contracts_folder(lake.root).exists()


def test_a_refused_change_keeps_the_earlier_contract(lake, folder):
    add(lake, folder / "lab.yaml")
    (folder / "lab.yaml").write_text(CONTRACT.replace("column: gap", "column: Eg"), encoding="utf-8")
    with pytest.raises(ReadError):
        add(lake, folder / "lab.yaml")
    assert yaml.safe_load((contracts_folder(lake.root) / "lab.yaml").read_text())["values"][0]["column"] == "gap"


def test_a_folder_that_cannot_be_written_is_said(lake, folder):
    contracts_folder(lake.root).write_text("in the way")
    with pytest.raises(WorkError, match="contract can't be kept"):
        add(lake, folder / "lab.yaml")


def test_a_change_that_is_meant(lake, folder):
    (folder / "lab.csv").write_text("formula,gap\n" + "".join(f"GaN{i},2\n" for i in range(1, 41)))
    add(lake, folder / "lab.yaml")
    (folder / "lab.csv").write_text("formula,gap\n" + "".join(f"GaN{i},2\n" for i in range(1, 13)))
    with pytest.raises(WorkError, match=r"table\.row_count.*--accept-change"):
        add(lake, folder / "lab.yaml")
    assert add(lake, folder / "lab.yaml", accept_change=True).deleted == 28


def test_decimal_commas_are_read_where_the_contract_says_so(store, folder):
    (folder / "lab.csv").write_text("formula;gap\nGaN;3,4\nSi;1,12\nZnS;1.234,5\nZnO;3.3\n")
    (folder / "lab.yaml").write_text(CONTRACT + "options: {delimiter: ;}\ndecimal: ','\n", encoding="utf-8")
    done = add(store, folder / "lab.yaml")
    assert (done.rows_accepted, done.rows_rejected) == (2, 2)
    with store.reader() as con:
        values = con.execute("SELECT material_id, value, value_reported FROM observations ORDER BY 1").fetchall()
        refused = con.execute("SELECT source_record, rule_id FROM rejections ORDER BY 1").fetchall()
    assert values == [("GaN", 3.4, "3,4"), ("Si", 1.12, "1,12")]
    assert refused == [("row 3", "value.not_a_number"), ("row 4", "value.not_a_number")]


def test_the_materials_of_an_added_source_are_known_at_once(store, folder):
    add(store, folder / "lab.yaml")
    with store.reader() as con:
        found = con.execute("SELECT material_id FROM observations JOIN materials USING (material_id) ORDER BY 1")
        assert found.fetchall() == [("GaN",), ("Si",)]


def test_a_removed_source_leaves_nothing_but_its_history(store, folder):
    add(store, folder / "lab.yaml")
    before = store.snapshot()
    assert remove_source(store, "lab") == 2
    assert not (contracts_folder(store.root) / "lab.yaml").exists()
    assert not docs_page(store, "lab").exists()
    with store.reader() as con:
        for table in ("observations", "rejections", "sources", "validations", "materials"):
            assert con.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]
    with store.reader(before) as con:
        assert con.execute("SELECT count(*) FROM observations").fetchall() == [(2,)]
    with pytest.raises(InputError, match="holds no source 'lab'"):
        remove_source(store, "lab")
    assert add(store, folder / "lab.yaml").inserted == 2


def test_a_source_without_one_sound_record_is_refused_with_a_page_and_a_list(store, folder):
    (folder / "lab.csv").write_text("formula,gap\nXx,1\nSi,-1\n")
    contract = load_contract(folder / "lab.yaml")
    with pytest.raises(ReadError, match="all 2 records"):
        add(store, folder / "lab.yaml")
    assert "all 2 records" in refused_page(store, "lab").read_text(encoding="utf-8")
    found = dry_run(contract, locate(contract.files, cache=folder, mirrors=()))
    assert (found.rows_in, found.accepted, found.examples) == (2, 0, [])
    assert set(found.refused) == {"formula.unknown_element", "value.out_of_bounds"}
