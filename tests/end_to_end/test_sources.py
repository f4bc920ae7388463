"""From an unknown file to the store with `matstrata sources`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matstrata.schemas.contracts import load_contract
from tests.end_to_end.workplace import Workplace

pytestmark = pytest.mark.slow

MESSY = """\ufeffCompound;Band gap (eV);T (K);Reference
GaN;3.4;300;Kim 1999
Si;1.12;300;Kim 1999
Ge;0,66;300;Kim 1999
ZnO;ca. 3.3;300;Kim 1999
InP;1.34;;Lee 2001
GaAs;1.42;300;Lee 2001
Xx2O3;2.0;300;Lee 2001
AlN;n/a;300;Lee 2001
CdTe;1.5;300;Lee 2001
AgCNO,65;2.2;300;Lee 2001
Fe;0;300;Lee 2001
CdS;-2.4;300;Lee 2001
GaN;3.4;300;Kim 1999
InN;0.7;300
"""
REFUSED = {
    "row 3": "value.not_a_number",
    "row 4": "value.not_a_number",
    "row 7": "formula.unknown_element",
    "row 8": "value.missing",
    "row 12": "value.out_of_bounds",
    "row 13": "record.duplicate",
    "row 14": "record.malformed",
}
COMMANDS = ("list", "show", "rejections", "draft", "check", "add")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("sources"), {})


@pytest.fixture(scope="module")
def contract(place: Workplace) -> Path:
    """A drafted contract in which a person wrote what the draft asked for."""
    (place.folder / "our_gaps.csv").write_text(MESSY, encoding="utf-8")
    path = place.folder / "our_gaps.yaml"
    place.run("sources", "draft", "our_gaps.csv", "--output", str(path))
    text = path.read_text(encoding="utf-8")
    assert "kind: unknown" in text
    path.write_text(
        text.replace("kind: unknown", "kind: experiment")
        .replace("bibtex: unknown", 'bibtex: "@misc{ours}"')
        .replace("replicates: keep", "replicates: reject"),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def added(place: Workplace, contract: Path) -> str:
    return place.run("sources", "add", str(contract))


class TestFromAFileToTheStore:
    def test_the_draft_knows_what_can_be_known(self, contract: Path) -> None:
        drafted = load_contract(contract)
        assert drafted.source == "our_gaps"
        assert (drafted.columns.formula, drafted.columns.temperature_k) == ("Compound", "T (K)")
        assert drafted.columns.reference == "Reference"
        ((value),) = drafted.values
        assert (value.column, value.property, value.unit) == ("Band gap (eV)", "band_gap", "eV")
        assert drafted.options["delimiter"] == ";"
        assert "n/a" in drafted.missing

    def test_a_draft_is_never_written_over_a_file(self, place: Workplace, contract: Path) -> None:
        before = contract.read_bytes()
        failed = place.attempt("sources", "draft", "our_gaps.csv", "-o", str(contract))
        assert failed.returncode == 2
        assert "our_gaps.yaml" in failed.stderr
        assert contract.read_bytes() == before

    def test_a_check_tells_and_writes_nothing(self, tmp_path: Path, contract: Path) -> None:
        elsewhere = Workplace(tmp_path, {})
        told = json.loads(elsewhere.run("sources", "check", str(contract), "--json"))
        assert (told["rows_in"], told["accepted"], told["observations"]) == (14, 7, 7)
        assert sum(told["rejected"].values()) == len(REFUSED)
        assert told["flagged"] == {"formula.suffix": 1, "value.zero_class": 1}
        printed = elsewhere.run("sources", "check", str(contract))
        for word in ("14 records", "7 would be accepted", "Nothing was written", "formula.unknown_element", "ca. 3.3"):
            assert word in printed
        assert not elsewhere.store.exists()

    def test_it_is_added(self, place: Workplace, added: str) -> None:
        for word in (
            "14 records in",
            "7 accepted",
            "7 rejected",
            "7 observations added",
            "sources rejections our_gaps",
        ):
            assert word in added
        assert place.value("SELECT count(*) AS n FROM observations WHERE source = 'our_gaps'") == 7

    def test_it_is_listed_and_shown(self, place: Workplace, added: str) -> None:
        rows = {row["source"]: row for row in json.loads(place.run("sources", "list", "--json"))}
        assert (rows["our_gaps"]["records_in"], rows["our_gaps"]["accepted"]) == (14, 7)
        assert rows["our_gaps"]["properties"] == ["band_gap"]
        assert rows["zhuo_2018_gaps"]["records_in"] is None
        assert "our_gaps" in place.run("sources", "list")
        shown = json.loads(place.run("sources", "show", "our_gaps", "--json"))
        assert shown["contract"]["columns"]["formula"] == "Compound"
        assert shown["reports"][0]["observations"] == 7
        assert sum(shown["rejections"].values()) == 7
        printed = place.run("sources", "show", "our_gaps")
        assert "14 records in, 7 accepted, 7 rejected" in printed
        assert "1 records refused by record.duplicate" in printed

    def test_a_source_that_is_not_in_the_store_is_shown_with_what_brings_it_in(
        self, place: Workplace, added: str
    ) -> None:
        assert "matstrata refresh zhuo_2018_gaps" in " ".join(place.run("sources", "show", "zhuo_2018_gaps").split())

    def test_each_refusal_has_rule_and_reason(self, place: Workplace, added: str) -> None:
        rows = json.loads(place.run("sources", "rejections", "our_gaps", "--json"))
        assert {row["source_record"]: row["rule_id"] for row in rows} == REFUSED
        assert all(len(row["reason"]) > 10 for row in rows)
        (row,) = json.loads(place.run("sources", "rejections", "our_gaps", "--rule", "value.missing", "--json"))
        assert row["source_record"] == "row 8"
        assert len(json.loads(place.run("sources", "rejections", "our_gaps", "--limit", "2", "--json"))) == 2

    def test_it_is_cited(self, place: Workplace, added: str) -> None:
        assert place.run("cite", "our_gaps") == "@misc{ours}\n"
        assert place.attempt("cite", "nobody").returncode == 2

    def test_conflicts(self, place: Workplace, added: str, tmp_path: Path) -> None:
        copy = place.copy_to(tmp_path)
        (tmp_path / "theirs.csv").write_text("formula,gap\nGaN,1.7\nSi,1.12\n")
        text = (place.folder / "our_gaps.yaml").read_text(encoding="utf-8")
        drafted = copy.run("sources", "draft", "theirs.csv")
        assert "source: theirs" in drafted
        assert "source: our_gaps" in text
        (tmp_path / "theirs.yaml").write_text(drafted.replace("kind: unknown", "kind: experiment"), encoding="utf-8")
        copy.run("sources", "add", "theirs.yaml")
        (row,) = json.loads(copy.run("conflicts", "band_gap", "--json"))
        assert (row["material_id"], row["source_a"], row["source_b"]) == ("GaN", "our_gaps", "theirs")
        assert row["difference"] == pytest.approx(1.7)
        assert "1 pairs of labels of band_gap" in " ".join(copy.run("conflicts", "band_gap").split())
        failed = copy.attempt("conflicts", "band_gap", "--kind", "computation")
        assert (failed.returncode, "Traceback" in failed.stderr) == (2, False)

    def test_adding_again_changes_nothing(self, place: Workplace, contract: Path, added: str) -> None:
        before = place.snapshot()
        assert "0 observations added, 0 changed, 0 removed" in place.run("sources", "add", str(contract))
        assert place.snapshot() == before

    def test_its_contract_is_kept_and_a_refresh_finds_it(
        self, place: Workplace, contract: Path, added: str, tmp_path: Path
    ) -> None:
        kept = place.store / "contracts" / "our_gaps.yaml"
        assert load_contract(kept) == load_contract(contract)
        copy = place.copy_to(tmp_path)
        before = copy.snapshot()
        assert "1 of 1 sources are up to date" in copy.run("refresh", "our_gaps")
        found = copy.rows(f"SELECT commit_message AS m FROM lake.snapshots() WHERE snapshot_id > {before}")
        assert not any("refresh source" in row["m"] for row in found)


class TestRefused:
    @pytest.fixture
    def untouched(self, place: Workplace, added: str):
        tables = ("observations", "rejections", "sources", "materials")
        before = [place.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]
        yield place
        assert [place.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables] == before
        assert [path.name for path in (place.store / "contracts").iterdir()] == ["our_gaps.yaml"]

    @pytest.mark.parametrize(
        ("name", "old", "new", "expected"),
        [
            ("our_gaps", "kind: experiment", "kind: guess", "kind"),
            ("our_gaps", "property: band_gap", "property: bandgap", "band_gap"),
            ("our_gaps", "columns:", "colums:", "colums"),
            ("our_gaps", "source: our_gaps", "source: [", "can't be read"),
            ("our_gaps", "formula: Compound", "formula: Stoff", "Compound"),
        ],
        ids=["kind", "property", "field", "yaml", "column"],
    )
    @pytest.mark.parametrize("command", ["check", "add"])
    def test_a_wrong_contract(
        self,
        untouched: Workplace,
        contract: Path,
        tmp_path: Path,
        command: str,
        name: str,
        old: str,
        new: str,
        expected: str,
    ) -> None:
        text = contract.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / f"{name}.yaml").write_text(text.replace(old, new), encoding="utf-8")
        failed = untouched.attempt("sources", command, str(tmp_path / f"{name}.yaml"))
        assert failed.returncode == 2, failed.stderr
        assert expected in failed.stderr
        assert "Traceback" not in failed.stderr

    def test_the_name_of_a_shipped_source(self, untouched: Workplace, contract: Path, tmp_path: Path) -> None:
        text = contract.read_text(encoding="utf-8").replace("source: our_gaps", "source: zhuo_2018_gaps")
        (tmp_path / "zhuo_2018_gaps.yaml").write_text(text, encoding="utf-8")
        failed = untouched.attempt("sources", "add", str(tmp_path / "zhuo_2018_gaps.yaml"))
        assert failed.returncode == 2
        assert "zhuo_2018_gaps is the name of a source that comes with Matstrata; choose another" in failed.stderr

    def test_a_wrong_unit(self, untouched: Workplace, contract: Path, tmp_path: Path) -> None:
        (tmp_path / "milli.csv").write_text("formula,gap\n" + "".join(f"GaN{i},{1000 + i}\n" for i in range(1, 40)))
        drafted = untouched.run("sources", "draft", str(tmp_path / "milli.csv"))
        assert "unit: meV" in drafted  # the draft is not taken in
        wrong = drafted.replace("unit: meV", "unit: eV").replace("kind: unknown", "kind: experiment")
        (tmp_path / "milli.yaml").write_text(wrong, encoding="utf-8")
        failed = untouched.attempt("sources", "add", str(tmp_path / "milli.yaml"))
        assert failed.returncode == 1
        for word in ("table.plausible_unit", "meV", "1000", "the data in the store stay as they were"):
            assert word in failed.stderr

    def test_what_is_no_source(self, untouched: Workplace) -> None:
        for words in (("sources", "show", "nobody"), ("sources", "rejections", "nobody"), ("refresh", "nobody")):
            failed = untouched.attempt(*words)
            assert (failed.returncode, "nobody" in failed.stderr, "Traceback" in failed.stderr) == (2, True, False)

    def test_a_file_that_is_none(self, untouched: Workplace) -> None:
        assert untouched.attempt("sources", "draft", "none.csv").returncode == 2
        assert untouched.attempt("sources", "check", "none.yaml").returncode == 2


def test_each_command_helps(workplace: Workplace) -> None:
    listed = workplace.run("sources", "--help")
    for command in COMMANDS:
        assert command in listed
        assert "Usage" in workplace.run("sources", command, "--help")
    for command in ("refresh", "conflicts", "cite"):
        assert "Usage" in workplace.run(command, "--help")
