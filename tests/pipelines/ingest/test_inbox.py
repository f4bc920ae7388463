"""What is dropped into the inbox is taken in once and filed away, or refused with its reason beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.inbox import Dropped, draft_contract, take_in, undescribed_files, waiting_contracts
from matstrata.store.lake.lake import Lake
from matstrata.store.records.sources import ingested
from tests.lab import CONTRACT


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def drop(inbox: Path, name: str = "lab", text: str = CONTRACT, lines: str = "GaN,3.4\nSi,1.12\n") -> Path:
    (inbox / f"{name}.csv").write_text(f"formula,gap\n{lines}")
    contract = inbox / f"{name}.yaml"
    contract.write_text(text.replace("lab", name) if name != "lab" else text, encoding="utf-8")
    return contract


def taken(lake: Lake, contract: Path) -> Dropped:
    return take_in(lake, contract, cache=lake.root.parent / "cache", mirrors=())


def files(inbox: Path) -> list[str]:
    return sorted(path.relative_to(inbox).as_posix() for path in inbox.rglob("*") if path.is_file())


class TestWaiting:
    def test_no_folder_no_contracts(self, inbox):
        assert waiting_contracts(inbox / "none") == []

    def test_contracts_and_nothing_else(self, inbox):
        drop(inbox)
        (inbox / "other.yml").write_text("")
        (inbox / "folder.yaml").mkdir()
        (inbox / "done").mkdir()
        (inbox / "done" / "old.yaml").write_text("")
        assert {path.name for path in waiting_contracts(inbox, settled_seconds=0)} == {"lab.yaml", "other.yml"}

    def test_the_oldest_first(self, inbox):
        for age, name in enumerate(["a", "c", "b"]):
            os.utime(drop(inbox, name), (1000 - age, 1000 - age))
        assert [path.stem for path in waiting_contracts(inbox, settled_seconds=0)] == ["b", "c", "a"]

    def test_what_is_still_written_waits(self, inbox):
        drop(inbox)
        drop(inbox, "other")
        for name in ("lab.yaml", "other.csv", "other.yaml"):
            os.utime(inbox / name, (1000, 1000))
        assert waiting_contracts(inbox) == [inbox / "other.yaml"]  # lab.csv has only just come
        (inbox / "other.yaml").touch()
        assert waiting_contracts(inbox) == []


def test_a_sound_contract_is_done(lake, inbox):
    dropped = taken(lake, drop(inbox))
    assert files(inbox) == ["done/lab.yaml", "lab.csv"]
    assert dropped.contract == inbox / "done" / "lab.yaml"
    assert (dropped.ingested.rows_in, dropped.reason) == (2, "")
    with lake.reader() as con:
        assert ingested(con, "lab")["lab"]["rows_accepted"] == 2
    assert waiting_contracts(inbox, settled_seconds=0) == []


@pytest.mark.parametrize(
    ("text", "lines", "reason"),
    [
        (CONTRACT.replace("kind: experiment", "kind: guess"), "GaN,3.4\n", "kind"),
        ("source: [", "GaN,3.4\n", "can't be read"),
        (CONTRACT.replace("path: lab.csv", "path: none.csv"), "GaN,3.4\n", "none.csv does not exist"),
        (CONTRACT, "", "no data rows"),
        (CONTRACT, "Xx,1\n", "formula.unknown_element"),
        (CONTRACT, "".join(f"GaN{i},{i + 2000}\n" for i in range(1, 15)), "table.plausible_unit"),
    ],
    ids=["field", "yaml", "file", "empty", "records", "unit"],
)
def test_a_refused_contract_lies_beside_its_reason(lake, inbox, text, lines, reason):
    before = lake.snapshot()
    dropped = taken(lake, drop(inbox, text=text, lines=lines))
    assert files(inbox) == ["lab.csv", "refused/lab.txt", "refused/lab.yaml"]
    said = (inbox / "refused" / "lab.txt").read_text(encoding="utf-8")
    assert reason in said
    assert said == f"{dropped.reason}\n"
    assert dropped.ingested is None
    assert lake.snapshot() == before + (reason == "table.plausible_unit")  # a snapshot of what validation found
    assert waiting_contracts(inbox, settled_seconds=0) == []


def test_an_inbox_that_can_not_be_written_is_read(lake, inbox, caplog):
    (inbox / "done").write_text("")  # where a folder should be
    contract = drop(inbox)
    dropped = taken(lake, contract)
    assert (dropped.contract, dropped.ingested.rows_accepted) == (contract, 2)
    assert "make the inbox writable" in caplog.text


def test_a_refused_one_is_mended_and_dropped_again(lake, inbox):
    taken(lake, drop(inbox, lines="Xx,1\n"))
    dropped = taken(lake, drop(inbox))
    assert dropped.ingested is not None
    assert "done/lab.yaml" in files(inbox)
    assert not (inbox / "refused" / "lab.txt").exists(), "a reason that no longer holds misleads"


def test_a_correction_replaces_what_is_done(lake, inbox):
    taken(lake, drop(inbox))
    assert taken(lake, drop(inbox, lines="GaN,3.39\nSi,1.12\n")).ingested.inserted == 1
    assert files(inbox) == ["done/lab.yaml", "lab.csv"]


def test_the_source_can_be_refreshed_from_where_its_data_stayed(lake, inbox):
    taken(lake, drop(inbox))
    from matstrata.schemas.contracts import load_contract

    assert load_contract(lake.root / "contracts" / "lab.yaml").files[0].path == inbox / "lab.csv"


def test_a_refused_one_costs_no_other(lake, inbox):
    drop(inbox, "bad", text="source: [")
    drop(inbox, "good")
    dropped = {path.stem: taken(lake, path) for path in waiting_contracts(inbox, settled_seconds=0)}
    assert dropped["bad"].ingested is None
    assert dropped["good"].ingested.source == "good"


def test_what_another_process_took_is_said_to_be_gone(lake, inbox):
    contract = drop(inbox)
    contract.unlink()
    dropped = taken(lake, contract)
    assert dropped.ingested is None
    assert "lab.yaml is not there any more" in dropped.reason
    assert files(inbox) == ["lab.csv"]


class TestFilesWithoutAContract:
    def undescribed(self, inbox: Path) -> list[str]:
        return [path.name for path in undescribed_files(inbox, settled_seconds=0)]

    def test_those_that_a_contract_names_are_described(self, inbox):
        drop(inbox)
        (inbox / "more.csv").write_text("formula,gap\nGaN,3.4\n")
        (inbox / ".hidden.csv").write_text("")
        assert self.undescribed(inbox) == ["more.csv"]

    def test_the_end_of_another_name_is_no_description(self, inbox):
        drop(inbox)
        (inbox / "ab.csv").write_text("formula,gap\nGaN,3.4\n")
        assert self.undescribed(inbox) == ["ab.csv"]  # lab.csv is described

    def test_two_files_of_one_name_have_a_draft_each(self, inbox):
        for name, mark in (("more.csv", ","), ("more.tsv", "\t")):
            (inbox / name).write_text(f"formula{mark}band gap (eV)\nGaN{mark}3.4\nSi{mark}1.12\n")
        drafts = [draft_contract(inbox / name) for name in ("more.csv", "more.tsv")]
        assert [place.name for place in drafts] == ["more.yaml", "more_tsv.yaml"]
        assert ["more.tsv" in place.read_text() for place in drafts] == [False, True]
        assert self.undescribed(inbox) == []

    def test_those_still_being_written_wait(self, inbox):
        (inbox / "more.csv").write_text("formula,gap\nGaN,3.4\n")
        assert undescribed_files(inbox) == []

    def test_the_draft_needs_only_what_a_person_knows(self, lake, inbox):
        (inbox / "more.csv").write_text("formula,band gap (eV)\nGaN,3.4\nSi,1.12\n")
        place = draft_contract(inbox / "more.csv")
        assert place == inbox / "drafts" / "more.yaml"
        assert self.undescribed(inbox) == []
        completed = inbox / "more.yaml"
        completed.write_text(place.read_text().replace("kind: unknown", "kind: experiment"))
        assert taken(lake, completed).ingested.rows_accepted == 2

    def test_what_is_no_table_says_so_once(self, inbox):
        (inbox / "photo.png").write_bytes(bytes(range(256)) * 10)
        place = draft_contract(inbox / "photo.png")
        assert place.name == "photo.png.txt"
        assert "photo.png" in place.read_text()
        assert self.undescribed(inbox) == []
