"""A contract is read as written, and each way of getting one wrong is answered with file, field and remedy."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from matstrata.schemas.contracts import FileLocation, load_contract, load_contracts
from matstrata.schemas.errors import InputError

SHA256 = "0" * 64
SOUND: dict[str, Any] = {
    "source": "gaps",
    "title": "Measured gaps",
    "description": "A few measured band gaps.",
    "kind": "experiment",
    "method": "optical absorption",
    "licence": "CC0-1.0",
    "citation": {"doi": "10.1021/acs.jpclett.8b00124", "bibtex": "@article{zhuo2018}"},
    "files": [{"path": "gaps.csv"}],
    "reader": "delimited",
    "columns": {"formula": "composition"},
    "values": [{"column": "Eg", "property": "band_gap", "unit": "meV"}],
}


def write(folder: Path, declared: object, name: str = "gaps.yaml") -> Path:
    path = folder / name
    path.write_text(declared if isinstance(declared, str) else yaml.safe_dump(declared), encoding="utf-8")
    return path


def changed(*keys: str | int, to: object) -> dict[str, Any]:
    """The sound contract with the field at `keys` set to `to`."""
    declared = deepcopy(SOUND)
    place: Any = declared
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return declared


def test_a_contract_says_what_was_written_and_the_rest_by_default(tmp_path: Path) -> None:
    contract = load_contract(write(tmp_path, SOUND))
    assert (contract.source, contract.kind, contract.properties) == ("gaps", "experiment", ("band_gap",))
    assert (contract.missing, contract.replicates, contract.max_amount) == (("",), "reject", 1000)
    assert (contract.reconcile.policy, contract.reconcile.temperature_k) == ("median", None)


def test_a_relative_path_counts_from_the_contract(tmp_path: Path) -> None:
    assert load_contract(write(tmp_path, SOUND)).files[0].path == tmp_path / "gaps.csv"


def test_the_hash_depends_on_what_is_said_not_on_how(tmp_path: Path) -> None:
    plain = load_contract(write(tmp_path, SOUND))
    commented = load_contract(write(tmp_path, "# a comment\n" + yaml.safe_dump(SOUND, sort_keys=False, indent=4)))
    other = load_contract(write(tmp_path, changed("max_amount", to=2000)))
    assert plain.sha256 == commented.sha256 != other.sha256


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (
            changed("values", 0, "property", to="colour"),
            r"values\.0\.property.*unknown property 'colour'; known: band_gap",
        ),
        (changed("values", 0, "unit", to="furlongs/"), r"values\.0.*unknown unit 'furlongs/'.*write it as"),
        (changed("values", 0, "unit", to="K"), r"values\.0.*'K' can't be converted to 'eV'"),
        (changed("values", to=[]), r"'values' is empty: name at least one column"),
        (changed("files", to=[]), r"files.*at least 1"),
        (
            changed("files", 0, to={"path": "a", "bundled": "b:c"}),
            r"files\.0.*exactly one of 'bundled', 'url', 'path', 'optimade'",
        ),
        (changed("files", 0, to={"name": "a.csv"}), r"files\.0.*exactly one of"),
        (changed("files", 0, to={"url": "https://example.org/a.csv"}), r"files\.0.*needs its 'sha256'"),
        (changed("files", 0, to={"url": "example.org/a.csv", "sha256": SHA256}), r"files\.0\.url"),
        (changed("files", 0, to={"bundled": "a.csv"}), r"files\.0\.bundled"),
        (changed("files", 0, to={"path": "a.csv", "sha256": "abc"}), r"files\.0\.sha256"),
        (changed("files", 0, to={"path": "a.csv", "name": "../a.csv"}), r"files\.0\.name"),
        (changed("source", to="Gaps!"), r"source: "),
        (changed("kind", to="theory"), r"kind.*'experiment' or 'computation'"),
        (changed("licence", to=None), r"licence: "),
        (changed("colour", to="blue"), r"colour: no such field; correct its spelling or delete it"),
        (changed("columns", to={"formulae": "x"}), r"columns\.formulae: no such field"),
        (changed("columns", to={"record_id": "x"}), r"columns: .*'formula', 'smiles' or 'structure'"),
        (changed("constants", to={"temperature_k": -5}), r"constants\.temperature_k.*greater than 0"),
        (changed("reconcile", to={"policy": "mode"}), r"reconcile\.policy.*'median'"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_remedy(tmp_path: Path, declared: dict[str, Any], problem: str) -> None:
    path = write(tmp_path, declared)
    with pytest.raises(InputError, match=problem) as error:
        load_contract(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("field", sorted(SOUND))
def test_a_required_field_left_out_is_named(tmp_path: Path, field: str) -> None:
    declared = {name: value for name, value in SOUND.items() if name != field}
    with pytest.raises(InputError, match=f"{field}: the field is required|'{field}' is empty"):
        load_contract(write(tmp_path, declared))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("source: [gaps", "can't be read"),
        ("source: 'gaps\n\ttitle: x", "can't be read"),
        ("- source: gaps", "not a mapping"),
        ("", "not a mapping"),
        ("just words", "not a mapping"),
        ("1: one", "not valid"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as error:
        load_contract(write(tmp_path, text))
    assert "gaps.yaml" in str(error.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gaps.yaml"
    path.write_bytes(b"title: \xff\xfe")
    with pytest.raises(InputError, match=r"gaps\.yaml can't be read"):
        load_contract(path)


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gaps\.yaml can't be read"):
        load_contract(tmp_path / "gaps.yaml")


def test_source_and_file_name_must_agree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"other\.yaml describes source 'gaps'; name the file gaps\.yaml"):
        load_contract(write(tmp_path, SOUND, name="other.yaml"))


def test_own_contracts_join_the_shipped_ones_and_replace_their_namesakes(tmp_path: Path) -> None:
    shipped = load_contracts()
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, title in ((first, "first"), (second, "second")):
        folder.mkdir()
        write(folder, SOUND | {"title": title})
    both = load_contracts([first, second])
    assert set(both) == {*shipped, "gaps"}
    assert both["gaps"].title == "second"


def test_a_folder_of_contracts_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*MATSTRATA_CONTRACTS"):
        load_contracts([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("location", "label"),
    [
        ({"bundled": "matminer:utils/data_files/db.tar.xz"}, "db.tar.xz"),
        ({"bundled": "matminer:db.tar.xz"}, "db.tar.xz"),
        ({"path": "folder/gaps.csv"}, "gaps.csv"),
        ({"url": "https://example.org/a%20b.csv", "sha256": SHA256}, "a b.csv"),
        ({"url": "https://example.org/gaps.csv?download=1#top", "sha256": SHA256}, "gaps.csv"),
        ({"url": "https://example.org/", "sha256": SHA256}, "example.org"),
        ({"url": "https://example.org/files/81", "sha256": SHA256, "name": "gaps.csv"}, "gaps.csv"),
    ],
)
def test_a_file_is_called_by_the_name_people_know(location: dict[str, str], label: str) -> None:
    assert FileLocation.model_validate(location).label == label


@pytest.mark.parametrize(
    "cron",
    ["every day", "0 25 * * *", "0 3 * *", "@daily", "0 3 * * mon", "*/0 * * * *", "", "0 0 31 2 *", "0 0 31 4-6/2 *"],
)
def test_a_schedule_that_dagster_could_not_read_is_refused(tmp_path: Path, cron: str) -> None:
    with pytest.raises(InputError, match=r"refresh\.cron.*is not a schedule"):
        load_contract(write(tmp_path, SOUND | {"refresh": {"cron": cron}}))


@pytest.mark.parametrize("cron", ["0 3 * * 1", "*/15 0-6,22 1 1-12/2 7", "0 0 29 2 *", "0 0 31 2 1", "0 0 31 */2 *"])
def test_a_schedule_has_five_fields(tmp_path: Path, cron: str) -> None:
    assert load_contract(write(tmp_path, SOUND | {"refresh": {"cron": cron}})).refresh.cron == cron


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'kind' stands twice"):
        load_contract(write(tmp_path, yaml.safe_dump(SOUND) + "kind: computation\n"))


def test_yaml_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nested too deeply"):
        load_contract(write(tmp_path, "source: " + "[" * 3000 + "]" * 3000))
