"""A source from its YAML and CSV to the store: conservation, the difference, and no harm from a bad file."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from matstrata.pipelines.ingest import identity
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.pipelines.ingest.readers import tables
from matstrata.pipelines.ingest.records import ReadError
from matstrata.pipelines.ingest.refresh import Ingested, refresh_source
from matstrata.pipelines.ingest.validating.validation import RefusedError
from matstrata.schemas.composition import read_key
from matstrata.schemas.contracts import load_contract
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake
from matstrata.store.records.checks import conservation, validation_summary
from tests.lab import CONTRACT


def asked(lake, question, source):
    with lake.reader() as con:
        return question(con, source)


GOOD = ["GaN,3.4", "Si,1.12", "ZnO,3.3", "Ge,0.66"]
Ingest = Callable[..., Ingested]


@pytest.fixture
def ingest(lake: Lake, tmp_path: Path) -> Ingest:
    """Write a contract (with lines added) and a CSV, and refresh the source from them."""

    def ingest(
        lines: Sequence[str] = GOOD, header: str = "formula,gap", *, more: str = "", contract: str = CONTRACT
    ) -> Ingested:
        (tmp_path / "lab.csv").write_text("\n".join([header, *lines]) + "\n" if header else "")
        (tmp_path / "lab.yaml").write_text(contract + more)
        loaded = load_contract(tmp_path / "lab.yaml")
        return refresh_source(lake, loaded, locate(loaded.files, cache=tmp_path / "cache", mirrors=()))

    return ingest


def rows(lake: Lake, sql: str) -> list[tuple]:
    with lake.reader() as con:
        return con.execute(sql).fetchall()


def values(lake: Lake) -> dict[str, float]:
    return dict(rows(lake, "SELECT material_id, value FROM observations"))


def feed(lake: Lake) -> list[tuple]:
    last = lake.snapshot()
    return rows(
        lake,
        f"SELECT change_type, material_id, value FROM lake.table_changes('observations', {last}, {last}) ORDER BY ALL",
    )


def test_good_and_bad_rows(lake, ingest):
    bad = ["Xx,1", "Si,ca. 3", "InP,", "GaAs,-3", "GaN,3.4", "CdS,2.4,extra"]
    done = ingest([*GOOD, *bad])
    assert (done.rows_in, done.rows_accepted, done.rows_rejected) == (10, 4, 6)
    assert values(lake) == {"GaN": 3.4, "Si": 1.12, "OZn": 3.3, "Ge": 0.66}
    assert rows(lake, "SELECT source_record, rule_id FROM rejections ORDER BY source_record") == [
        ("row 10", "record.malformed"),
        ("row 5", "formula.unknown_element"),
        ("row 6", "value.not_a_number"),
        ("row 7", "value.missing"),
        ("row 8", "value.out_of_bounds"),
        ("row 9", "record.duplicate"),
    ]
    assert rows(
        lake,
        "SELECT rows_in = (SELECT count(DISTINCT source_record) FROM observations) + (SELECT count(*) FROM rejections) "
        "AND rows_accepted + rows_rejected = rows_in FROM sources",
    ) == [(True,)]
    counted = asked(lake, conservation, "lab")
    assert counted.holds
    assert (counted.accepted, counted.rejected, counted.in_both) == (4, 6, 0)


def test_spellings_that_were_read_before_are_read_alike(lake, ingest, monkeypatch):
    """A refresh of changed files parses only what it has not seen; the store is as if it had parsed everything."""
    lines = ["GaN,3.4", '"AgCNO,65",1.0', "Ga?N,3.0", "N2Ga2,3.3", "ZnO,3.3"]
    read = []
    monkeypatch.setattr(identity, "read_key", lambda text, amount: (read.append(text), read_key(text, amount))[1])
    ingest(lines)
    assert sorted(read) == ["AgCNO,65", "Ga?N", "GaN", "N2Ga2", "ZnO"]
    read.clear()
    ingest([*lines[:4], "ZnO,3.35", "CdTe,1.5"])
    assert sorted(read) == ["AgCNO,65", "CdTe", "Ga?N"]
    columns = "formula_reported, material_id, value, flags"
    after = rows(lake, f"SELECT {columns} FROM observations ORDER BY ALL")
    refused = rows(lake, "SELECT rule_id, source_record FROM rejections")
    read.clear()
    ingest([*lines[:4], "ZnO,3.35", "CdTe,1.5"], contract=CONTRACT.replace("title: ", "title: Once more "))
    assert len(read) == 6  # another contract may read formulas differently
    assert rows(lake, f"SELECT {columns} FROM observations ORDER BY ALL") == after
    assert rows(lake, "SELECT rule_id, source_record FROM rejections") == refused


def test_a_value_out_of_bounds_is_quarantined_with_its_reason_and_the_rest_is_kept(lake, ingest):
    ingest([*GOOD, "GaAs,-3"])
    assert len(values(lake)) == 4
    ((rule_id, reason, raw),) = rows(lake, "SELECT rule_id, reason, raw FROM rejections")
    assert rule_id == "value.out_of_bounds"
    assert "-3" in reason
    assert "GaAs" in raw
    assert asked(lake, validation_summary, "lab").holds
    assert [row["unexpected"] for row in asked(lake, validation_summary, "lab").rows if row["rule_id"] == rule_id] == [
        1
    ]


class TestUnchanged:
    def test_nothing_is_written(self, lake, ingest):
        first = ingest()
        before = lake.snapshot()
        second = ingest()
        assert (first.changed, second.changed, lake.snapshot()) == (True, False, before)
        assert (second.rows_in, second.rows_accepted, second.inserted, second.updated, second.deleted) == (
            4,
            4,
            0,
            0,
            0,
        )

    def test_comments_in_the_contract_change_nothing(self, lake, ingest):
        ingest()
        assert not ingest(more="# a remark\n").changed

    def test_another_contract_is_another_source_state(self, lake, ingest):
        ingest()
        done = ingest(more="reconcile: {policy: mean}\n")
        assert (done.changed, done.inserted, done.updated, done.deleted) == (True, 0, 0, 0)
        assert rows(lake, "SELECT policy FROM sources") == [("mean",)]

    def test_another_unit_changes_every_value(self, lake, ingest):
        ingest()
        done = ingest(contract=CONTRACT.replace("unit: eV", "unit: meV"))
        assert done.updated == 4
        assert values(lake)["GaN"] == pytest.approx(0.0034)


class TestOneValueTouched:
    identified = CONTRACT.replace("{formula: formula}", "{formula: formula, record_id: id}")
    ids = [f"{line},{i}" for i, line in enumerate(GOOD)]

    def test_with_an_id_one_observation_is_updated(self, lake, ingest):
        ingest(self.ids, "formula,gap,id", contract=self.identified)
        done = ingest(["GaN,3.39,0", *self.ids[1:]], "formula,gap,id", contract=self.identified)
        assert (done.inserted, done.updated, done.deleted) == (0, 1, 0)
        assert feed(lake) == [("update_postimage", "GaN", 3.39), ("update_preimage", "GaN", 3.4)]

    def test_without_an_id_one_is_replaced(self, lake, ingest):
        ingest()
        done = ingest(["GaN,3.39", *GOOD[1:]])
        assert (done.inserted, done.updated, done.deleted) == (1, 0, 1)
        assert feed(lake) == [("delete", "GaN", 3.4), ("insert", "GaN", 3.39)]

    def test_a_row_more_at_the_top(self, lake, ingest):
        ingest()
        done = ingest(["InP,1.34", *GOOD])
        assert (done.inserted, done.updated, done.deleted) == (1, 0, 0)
        assert asked(lake, conservation, "lab").holds

    def test_a_rejected_row_more_at_the_top(self, lake, ingest):
        ingest()
        ingest(["Xx,1", *GOOD])
        assert asked(lake, conservation, "lab").holds

    def test_a_row_less(self, lake, ingest):
        ingest()
        done = ingest(GOOD[1:])
        assert (done.inserted, done.updated, done.deleted) == (0, 0, 1)
        assert asked(lake, conservation, "lab").holds


class TestBadFile:
    """Each leaves the data in the store as they were."""

    @pytest.fixture(autouse=True)
    def _before_and_after(self, lake, ingest):
        ingest()
        before = values(lake), rows(lake, "FROM sources"), rows(lake, "FROM rejections")
        yield
        assert (values(lake), rows(lake, "FROM sources"), rows(lake, "FROM rejections")) == before

    def test_more_than_memory_holds(self, ingest, monkeypatch):
        monkeypatch.setattr(tables, "MOST_BYTES", 1000)
        with pytest.raises(ReadError, match=r"lab\.csv has 100 records.*Split its files between several sources"):
            ingest([f"GaN,{number}" for number in range(100)])

    def test_empty(self, ingest):
        with pytest.raises(ReadError, match=r"lab\.csv is empty"):
            ingest([], "")

    def test_a_header_and_nothing_else(self, ingest):
        with pytest.raises(ReadError, match=r"lab\.csv has no data rows"):
            ingest([])

    def test_a_missing_column(self, ingest):
        with pytest.raises(ReadError, match=r"source lab.*no column 'gap'.*'formula', 'Eg'"):
            ingest(GOOD, "formula,Eg")

    def test_a_wrong_hash(self, ingest):
        with pytest.raises(InputError, match=rf"lab\.csv has sha256 [0-9a-f]{{64}}, but {'0' * 64}"):
            ingest(["GaN,3.39"], contract=CONTRACT.replace("path: lab.csv", f"path: lab.csv, sha256: '{'0' * 64}'"))

    def test_no_file(self, ingest):
        with pytest.raises(InputError, match=r"other\.csv does not exist"):
            ingest(contract=CONTRACT.replace("path: lab.csv", "path: other.csv"))

    def test_a_truncated_archive(self, ingest, tmp_path):
        (tmp_path / "lab.csv.gz").write_bytes(gzip.compress(b"formula,gap\n" + b"GaN,3.4\n" * 1000)[:-20])
        with pytest.raises(ReadError, match=r"lab\.csv\.gz"):
            ingest(contract=CONTRACT.replace("path: lab.csv", "path: lab.csv.gz"))

    @pytest.mark.parametrize(
        ("lines", "rule_id"),
        [(["Xx,1", "Yy,2"], "formula.unknown_element"), (["GaN,-3.4", "Si,-1.1"], "value.out_of_bounds")],
    )
    def test_every_record_refused_says_why(self, ingest, lines, rule_id):
        with pytest.raises(ReadError, match=rf"source lab.*all 2 records.*row 1.*{rule_id}"):
            ingest(lines)


class TestRefusedByValidation:
    """What was found is kept, once; the data and their own results stay."""

    milli = [f"GaN{i},{1000 + i}" for i in range(1, 40)]

    def test_the_results_are_in_the_store(self, lake, ingest):
        ingest()
        with pytest.raises(RefusedError, match=r"table\.plausible_unit.*meV"):
            ingest(self.milli)
        assert rows(
            lake,
            "SELECT DISTINCT rule_id, severity, success, validated_at > refreshed_at FROM validations "
            "JOIN sources USING (source) WHERE NOT success AND rule_id = 'table.plausible_unit'",
        ) == [("table.plausible_unit", "critical", False, True)]
        assert asked(lake, validation_summary, "lab").holds
        assert len(values(lake)) == len(GOOD)

    def test_the_same_refusal_is_written_once(self, lake, ingest):
        ingest()
        snapshots = []
        for lines in (self.milli, self.milli, self.milli[:-1]):
            with pytest.raises(RefusedError):
                ingest(lines)
            snapshots.append(lake.snapshot())
        assert snapshots == [snapshots[0], snapshots[0], snapshots[0] + 1]

    def test_of_a_source_that_was_never_taken(self, lake, ingest):
        with pytest.raises(RefusedError):
            ingest(self.milli)
        assert ("table.plausible_unit",) in rows(lake, "SELECT rule_id FROM validations WHERE NOT success")
        assert not rows(lake, "FROM sources")
        ingest()
        assert asked(lake, validation_summary, "lab").holds


class TestSpoiltContract:
    """Nothing is written for it."""

    @pytest.fixture(autouse=True)
    def _before_and_after(self, lake, ingest):
        ingest()
        before = lake.snapshot()
        yield
        assert lake.snapshot() == before

    @pytest.mark.parametrize(
        ("old", "new", "hint"),
        [("unit: eV", "unit: eVolt", "eVolt"), ("property: band_gap", "property: bandgap", "band_gap")],
    )
    def test_a_contract_with_an_unknown_word(self, ingest, old, new, hint):
        with pytest.raises(InputError, match=rf"lab\.yaml.*{hint}"):
            ingest(contract=CONTRACT.replace(old, new))

    def test_an_unknown_reader(self, ingest):
        with pytest.raises(InputError, match="delimited"):
            ingest(contract=CONTRACT.replace("reader: delimited", "reader: csv"))
