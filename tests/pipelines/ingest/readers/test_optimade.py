"""Structures as OPTIMADE providers and optimade-maker give them, sound and broken."""

from __future__ import annotations

import bz2
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.fetching.files import sha256_of
from matstrata.pipelines.ingest.readers.optimade import COLUMNS, GEOMETRY, read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES

ATTRIBUTES = {
    "immutable_id": None,
    "last_modified": "2019-06-08T05:13:37Z",
    "elements": ["Cl", "Na"],
    "nelements": 2,
    "chemical_formula_descriptive": "NaCl",
    "chemical_formula_reduced": "ClNa",
    "dimension_types": [1, 1, 1],
    "nperiodic_dimensions": 3,
    "lattice_vectors": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]],
    "cartesian_site_positions": [[0, 0, 0], [2.0, 2.0, 2.0]],
    "nsites": 2,
    "species": [
        {"name": "Na", "chemical_symbols": ["Na"], "concentration": [1.0]},
        {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]},
    ],
    "species_at_sites": ["Na", "Cl"],
    "structure_features": [],
    "_exmpl_band_gap": 5.01,
    "_exmpl_is_metal": False,
    "_exmpl_stability": {"gga_gga+u": {"energy_above_hull": 1e-05}},
}
HEADER = {"x-optimade": {"meta": {"api_version": "1.2.0"}}}
INFO = {"type": "info", "id": "structures", "description": "…", "properties": {"nsites": {"type": "integer"}}}
UNTYPED_INFO = {"formats": ["json"], "description": "structures", "properties": {}}
REFERENCE = {"type": "references", "id": "maddox1988", "attributes": {"year": "1988"}}


def resource(identifier: object = "mp-1", **attributes: object) -> dict:
    return {"id": identifier, "type": "structures", "attributes": ATTRIBUTES | attributes, "relationships": {}}


def source(folder: Path, content: str | bytes | object, name: str = "optimade.jsonl") -> SourceFile:
    path = folder / name
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SourceFile(name, path, sha256_of(path))


def lines(*resources: object) -> str:
    return "".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in resources)


def one(folder: Path, content: object) -> Mapping[str, str]:
    raw = read([source(folder, content)], {})
    assert not raw.rejections
    (row,) = raw.table.to_pylist()
    return row


def reasons(raw: RawRecords) -> list[tuple[str, str, str]]:
    return [(r.source_record, r.rule_id, r.reason) for r in raw.rejections]


@pytest.fixture(scope="session")
def exports() -> Path:
    for folder in filter(None, os.environ.get("MATSTRATA_MIRROR", "").split(os.pathsep)):
        if (Path(folder) / "raw_exports").is_dir():
            return Path(folder) / "raw_exports"
    if os.environ.get("MATSTRATA_CI") and not os.environ.get("MATSTRATA_MIRROR"):
        pytest.fail("continuous integration must set MATSTRATA_MIRROR")
    return pytest.skip("needs raw exports: set MATSTRATA_MIRROR to a folder that holds raw_exports/")


def test_the_columns_of_a_structure(tmp_path):
    row = one(tmp_path, lines(resource()))
    assert list(row) == [
        *("source_record", "file_sha256", "raw"),
        *COLUMNS,
        *("immutable_id", "nelements", "chemical_formula_descriptive", "chemical_formula_reduced"),
        *("nperiodic_dimensions", "nsites", "_exmpl_band_gap", "_exmpl_is_metal"),
        "_exmpl_stability.gga_gga+u.energy_above_hull",
    ]
    assert json.loads(row["raw"]) == resource()
    assert json.loads(row["structure"]) == {name: ATTRIBUTES[name] for name in GEOMETRY if name in ATTRIBUTES}
    expected = {
        "source_record": "line 1",
        "id": "mp-1",
        "formula": "ClNa",
        "last_modified": "2019-06-08T05:13:37Z",
        "immutable_id": "",
        "nsites": "2",
        "_exmpl_band_gap": "5.01",
        "_exmpl_is_metal": "false",
        "_exmpl_stability.gga_gga+u.energy_above_hull": "1e-05",
    }
    assert expected.items() <= row.items()


@pytest.mark.parametrize("preamble", [[], [HEADER], [HEADER, INFO], [HEADER, UNTYPED_INFO]])
def test_json_lines_with_or_without_header_and_descriptions(tmp_path, preamble):
    raw = read([source(tmp_path, lines(*preamble, resource("a"), REFERENCE, resource("b")))], {})
    assert raw.table["id"].to_pylist() == ["a", "b"]
    first = len(preamble) + 1
    assert raw.table["source_record"].to_pylist() == [f"line {first}", f"line {first + 2}"]
    assert not raw.rejections


def test_blank_lines_and_line_separators_inside_strings_keep_the_count(tmp_path):
    odd = json.dumps(resource("b", _exmpl_note="one\u2028two"), ensure_ascii=False)
    raw = read([source(tmp_path, f"\ufeff{lines(resource('a'))}\n \r\n{odd}\r\n")], {})
    assert raw.table["source_record"].to_pylist() == ["line 1", "line 4"]
    assert raw.table["_exmpl_note"].to_pylist() == ["", "one\u2028two"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_saved_response(tmp_path, indent):
    response = {"data": [resource("a"), REFERENCE, resource("b")], "included": [REFERENCE], "links": {"next": None}}
    raw = read([source(tmp_path, json.dumps(response, indent=indent))], {})
    assert raw.table["source_record"].to_pylist() == ["data[0]", "data[2]"]
    assert raw.table["id"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bare_list_and_a_single_resource(tmp_path, indent):
    raw = read([source(tmp_path, json.dumps([resource("a"), resource("b")], indent=indent))], {})
    assert raw.table["source_record"].to_pylist() == ["[0]", "[1]"]
    assert one(tmp_path, json.dumps({"data": resource("c")}, indent=indent))["id"] == "c"


def test_documents_of_mongodb_with_its_dates_and_ids(tmp_path):
    document = {
        "_id": {"$oid": "5cfb441f053b174410700d02"},
        "task_id": "mpf_1",
        "pretty_formula": "NaCl",
        "last_modified": {"$date": {"$numberLong": "1559970817331"}},
        "made": {"$date": "2019-06-08T05:13:37.331Z"},
        "nsites": {"$numberInt": "2"},
        "gap": {"$numberDouble": "5.5"},
        "odd": {"$numberDouble": "NaN"},
        "exact": {"$numberDecimal": "1.50"},
        "cartesian_site_positions": [[{"$numberDouble": "0.5"}, 0, 0]],
        "relationships": {"references": {"data": []}},
    }
    row = one(tmp_path, [document])
    expected = {
        "id": "mpf_1",
        "formula": "NaCl",
        "_id": "5cfb441f053b174410700d02",
        "last_modified": "2019-06-08T05:13:37.331+00:00",
        "made": "2019-06-08T05:13:37.331Z",
        "nsites": "2",
        "gap": "5.5",
        "odd": "NaN",
        "exact": "1.50",
        "structure": '{"cartesian_site_positions": [[0.5, 0, 0]], "nsites": 2}',
    }
    assert expected.items() <= row.items()
    assert "task_id" not in row


@pytest.mark.parametrize(
    ("attributes", "formula"),
    [
        ({"chemical_formula_reduced": None, "chemical_formula_pretty": "NaCl!"}, "NaCl!"),
        ({"chemical_formula_reduced": None}, "NaCl"),
        ({"chemical_formula_reduced": "", "chemical_formula_descriptive": None, "chemical_formula_hill": "H"}, "H"),
        ({"chemical_formula_reduced": None, "chemical_formula_descriptive": None}, ""),
    ],
)
def test_the_formula_is_the_best_there_is(tmp_path, attributes, formula):
    assert one(tmp_path, lines(resource(**attributes)))["formula"] == formula


def test_a_structure_without_positions_has_no_geometry(tmp_path):
    assert one(tmp_path, lines(resource(cartesian_site_positions=None)))["structure"] == ""


def test_what_makes_a_structure_disordered_stays_with_it(tmp_path):
    assemblies = [{"sites_in_groups": [[0], [1]], "group_probabilities": [0.3, 0.7]}]
    row = one(tmp_path, lines(resource(assemblies=assemblies, structure_features=["assemblies"])))
    found = json.loads(row["structure"])
    assert found["assemblies"] == assemblies
    assert found["structure_features"] == ["assemblies"]


def test_attributes_with_taken_names_are_kept_under_others(tmp_path):
    row = one(tmp_path, lines(resource(formula="mine", raw="mine", id="mine")))
    assert row["formula"] == "ClNa"
    assert [row[f"attributes.{name}"] for name in ("formula", "raw", "id")] == ["mine"] * 3


def test_attributes_that_only_some_have_are_empty_in_the_others(tmp_path):
    raw = read([source(tmp_path, lines(resource("a", _x_1=1), resource("b", _x_2="two")))], {})
    assert raw.table["_x_1"].to_pylist() == ["1", ""]
    assert raw.table["_x_2"].to_pylist() == ["", "two"]


BROKEN: list[tuple[object, str]] = [
    ('{"id": "cut off", "type": "struc', "is not complete JSON"),
    ("[1, 2]", "is not a JSON object"),
    ({"type": "structures", "attributes": ATTRIBUTES}, "has no id"),
    ({"type": "structures", "id": "", "attributes": ATTRIBUTES}, "has no id"),
    ({"type": "structures", "id": True, "attributes": ATTRIBUTES}, "has no id"),
    ({"type": "structures", "id": "x"}, "(id 'x') has no attributes"),
    ({"type": "structures", "id": "x", "attributes": None}, "(id 'x') has no attributes"),
    ({"type": "structures", "id": "x", "attributes": {}}, "(id 'x') has no attributes"),
    ({"id": "x", "year": "1988"}, "has no type and no attributes of a structure"),
    ({"type": 5, "id": "x"}, "has no type and no attributes of a structure"),
    (resource("x", _n={"$numberInt": "many"}), "holds a number or a date that can't be read"),
    (resource("x", _n={"$numberInt": None}), "holds a number or a date that can't be read"),
    (resource("x", _n={"$date": 1e300}), "holds a number or a date that can't be read"),
    (json.dumps(resource("x", _n=5)).replace('"_n": 5', '"_n": 1e999'), "holds a number or a date that can't be read"),
    (
        '{"id": "x", "type": "structures", "attributes": {"_x": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        "is not complete JSON",
    ),
]


@pytest.mark.parametrize(("broken", "words"), BROKEN)
def test_a_broken_line_costs_no_other(tmp_path, broken, words):
    raw = read([source(tmp_path, lines(HEADER, resource("a"), broken, resource("b")))], {})
    assert raw.table["id"].to_pylist() == ["a", "b"]
    assert raw.table["source_record"].to_pylist() == ["line 2", "line 4"]
    assert reasons(raw) == [
        ("line 3", "record.malformed", f"optimade.jsonl: line 3 {words}; correct it, or fetch it again"),
    ]
    (rejection,) = raw.rejections
    assert rejection.rule_id in RULES
    assert json.loads(rejection.raw)
    assert len(rejection.raw) < 30_000


def test_a_broken_first_line_costs_no_other(tmp_path):
    raw = read([source(tmp_path, lines('{"id": "cut', resource("b")))], {})
    assert raw.table["source_record"].to_pylist() == ["line 2"]
    assert len(raw.rejections) == 1


def test_a_broken_resource_of_a_response_costs_no_other(tmp_path):
    raw = read([source(tmp_path, {"data": [resource("a"), 5, {"type": "structures"}, resource("b")]})], {})
    assert raw.table["source_record"].to_pylist() == ["data[0]", "data[3]"]
    assert [(where, why) for where, _, why in reasons(raw)] == [
        ("data[1]", "optimade.jsonl: data[1] is not a JSON object; correct it, or fetch it again"),
        ("data[2]", "optimade.jsonl: data[2] has no id; correct it, or fetch it again"),
    ]
    assert [json.loads(r.raw) for r in raw.rejections] == [5, {"type": "structures"}]


@pytest.mark.parametrize("harm", [b"\xff\xfe", rb"\ud800"])
@pytest.mark.parametrize("template", [b'%s\n{"id": "b", %s}\n', b'[%s,{"id": "b", %s}]'])
def test_bytes_that_are_no_text_cost_no_other(tmp_path, harm, template):
    good = json.dumps(resource("a")).encode()
    bad = b'"type": "structures", "attributes": {"_x": "' + harm + b'"}'
    raw = read([source(tmp_path, template % (good, bad))], {})
    assert raw.table["id"].to_pylist() == ["a"]
    assert [r.rule_id for r in raw.rejections] == ["record.undecodable"]
    raw.rejections[0].raw.encode()


def test_numbers_that_are_none_are_kept_as_words(tmp_path):
    row = one(tmp_path, '{"id": "a", "type": "structures", "attributes": {"_gap": NaN, "_hull": -Infinity}}')
    assert (row["_gap"], row["_hull"]) == ("NaN", "-Infinity")
    assert "NaN" in row["raw"]


def test_several_files_are_told_apart_and_their_columns_joined(tmp_path):
    files = [
        source(tmp_path, lines(resource("a", _x=1), "{"), "first.jsonl"),
        source(tmp_path, {"data": [resource("b", _y=2)]}, "second.json"),
    ]
    raw = read(files, {})
    assert raw.table["source_record"].to_pylist() == ["first.jsonl line 1", "second.json data[0]"]
    assert raw.table["file_sha256"].to_pylist() == [file.sha256 for file in files]
    assert [r.source_record for r in raw.rejections] == ["first.jsonl line 2"]
    assert raw.rejections[0].file_sha256 == files[0].sha256
    assert raw.rejections[0].reason.startswith("first.jsonl: line 2 is not")
    assert {"_x", "_y"} <= set(raw.table.column_names)


def test_packed_files_and_members_of_archives(tmp_path):
    packed = source(tmp_path, bz2.compress(lines(resource()).encode()), "a.jsonl.bz2")
    assert read([packed], {}).table["id"].to_pylist() == ["mp-1"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("deep/optimade.jsonl", lines(resource("z")))
        archive.writestr("README", "hello")
    file = SourceFile("a.zip", tmp_path / "a.zip", sha256_of(tmp_path / "a.zip"))
    assert read([file], {"member": "deep/optimade.jsonl"}).table["id"].to_pylist() == ["z"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\n \n", "optimade.jsonl is empty"),
        ("<html>down</html>", "neither JSON nor JSON lines"),
        ('{"data": [{"id": "a", "type": "structures"', "neither JSON nor JSON lines"),
        ('{"data": []}', "has no structures"),
        (json.dumps([REFERENCE]), "has no structures"),
        (lines(HEADER, INFO), "has no structures"),
        ('{"errors": [{"status": "400", "detail": "bad filter"}]}', 'provider\'s error.*"bad filter"'),
    ],
)
def test_files_that_are_unusable_as_a_whole(tmp_path, content, words):
    with pytest.raises(ReadError, match=words):
        read([source(tmp_path, content)], {})


@pytest.mark.parametrize(
    ("options", "words"),
    [({"colour": 1}, "reader optimade has no option 'colour'"), ({"member": 5}, "options.member must be a path")],
)
def test_wrong_options(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        read([source(tmp_path, lines(resource()))], options)


@pytest.mark.parametrize(
    ("path", "records", "column", "cell"),
    [
        ("optimade/raw_test_structures.json", 18, "_exmpl_chemsys", "Ac"),
        ("optimade/special_species.json", 4, "formula", "Ac"),
        ("optimade/test_bad_structures.json", 31, "last_modified", "2019-06-08T05:13:37.331Z"),
        ("optimade/test_data.jsonl", 17, "_exmpl_this_provider_field", "test"),
        ("optimade/test_good_structures.json", 7, "band_gap", "1.23456"),
        ("optimade/test_structures.json", 17, "id", "mpf_1"),
        ("optimade/test_structures_v0.9.7.json", 17, "_mp_chemsys", "Ac"),
        ("optimade_maker/cifs_to_jsonl/optimade.jsonl", 3, "formula", "BaC2N2S2"),
        ("optimade_maker/direct_from_jsonl/optimade.jsonl", 3, "_mcloudarchive_energy", "-0.45"),
    ],
)
def test_real_exports(exports, path, records, column, cell):
    file = exports / path
    raw = read([SourceFile(file.name, file, sha256_of(file))], {})
    assert raw.table.num_rows == records
    assert not raw.rejections
    assert raw.table[column][0].as_py() == cell
    assert all(json.loads(text) for text in raw.table["raw"].to_pylist())
    assert all(column.null_count == 0 for column in raw.table.columns)


def test_real_references_are_no_structures(exports):
    file = exports / "optimade/test_references.json"  # documents that do not say of which type they are
    raw = read([SourceFile(file.name, file, sha256_of(file))], {})
    assert (raw.table.num_rows, len(raw.rejections)) == (0, 4)
