"""A dry run tells what an ingestion would do, and does what it tells: the same counts, and nothing written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.dry_run import DryRun, dry_run
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.refresh import refresh_source
from matstrata.schemas.contracts import load_contract
from matstrata.schemas.errors import WorkError
from matstrata.store.records.checks import conservation
from tests.pipelines.entities.structures.crystals import NACL, RUTILE, cif
from tests.pipelines.ingest.test_refresh import CONTRACT

LINES = ["GaN,3.4", "Si,1.12", "Fe,0", '"AgCNO,65",2', "Xx,1", "Qq,1", "Zz,1", "InP,", "GaAs,-3"]
STRUCTURES = CONTRACT.replace("{formula: formula}", "{structure: cif}")


def prepared(folder: Path, lines: list[str] = LINES, contract: str = CONTRACT, header: str = "formula,gap"):
    (folder / "lab.csv").write_text("\n".join([header, *lines]) + "\n")
    (folder / "lab.yaml").write_text(contract)
    loaded = load_contract(folder / "lab.yaml")
    return loaded, locate(loaded.files, cache=folder / "cache", mirrors=())


@pytest.fixture
def found(tmp_path: Path) -> DryRun:
    return dry_run(*prepared(tmp_path), examples=2)


def test_counts(found):
    assert (found.rows_in, found.accepted, found.observations, found.structures) == (9, 4, 4, 0)
    assert found.rejected == {"formula.unknown_element": 3, "value.missing": 1, "value.out_of_bounds": 1}
    assert found.flagged == {"formula.suffix": 1, "value.zero_class": 1}


def test_the_most_frequent_rule_comes_first(found):
    assert next(iter(found.rejected)) == "formula.unknown_element"


def test_examples_are_as_many_as_asked_for(found):
    assert [row["material_id"] for row in found.examples] == ["GaN", "Si"]
    assert found.examples[0]["value"] == 3.4
    assert [row["source_record"] for row in found.refused["formula.unknown_element"]] == ["row 5", "row 6"]
    assert found.refused.keys() == found.rejected.keys()
    assert "-3" in found.refused["value.out_of_bounds"][0]["reason"]


def test_it_can_be_written_as_json(found):
    assert json.loads(json.dumps(dataclasses.asdict(found)))["rows_in"] == 9


def test_nothing_is_written(tmp_path):
    contract, files = prepared(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    dry_run(contract, files)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_ingestion_does_what_was_told(lake, tmp_path, found):
    done = refresh_source(lake, *prepared(tmp_path))
    assert (done.rows_in, done.rows_accepted, done.inserted) == (found.rows_in, found.accepted, found.observations)
    with lake.reader() as con:
        assert dict(conservation(con, "lab").by_rule) == found.rejected


def test_structures_are_counted(tmp_path):
    def row(text: str) -> str:
        return '"' + text.replace('"', '""') + '",1.0'

    contract, files = prepared(
        tmp_path, [row(cif(NACL)), row(cif(RUTILE)), row("none"), row("")], STRUCTURES, header="cif,gap"
    )
    found = dry_run(contract, files)
    assert (found.rows_in, found.accepted, found.structures, found.observations) == (4, 2, 2, 4)  # with volumes
    assert found.rejected == {"structure.unreadable": 1, "structure.empty": 1}


def test_where_no_record_is_sound_all_refusals_are_told(tmp_path):
    found = dry_run(*prepared(tmp_path, ["Xx,1"]))
    assert (found.rows_in, found.accepted, found.examples) == (1, 0, [])
    assert found.rejected == {"formula.unknown_element": 1}


def test_what_would_stop_a_source_stops_its_dry_run(tmp_path):
    with pytest.raises(WorkError, match=r"table\.plausible_unit"):
        dry_run(*prepared(tmp_path, [f"GaN{i},{2000 + i}" for i in range(1, 13)]))
