"""The refractiveindex.info reader: the bundled database against the literature, and every way in which a file can be bad."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.readers.refractiveindex_info import read
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.rules import RULES

SHA = "cd" * 32
OPTIONS = {"wavelength_um": 0.5893, "computed": ["database/MoO3/Lajaunie-"]}
GOOD = "REFERENCES: 'X'\nCOMMENTS: '20 °C'\nDATA:\n  - type: tabulated nk\n    data: |\n      0.5 1.5 0\n      0.7 1.7 0.2\n"


def read_yaml(folder: Path, *texts: str | bytes, name: str = "database/SiO2/{}.yml") -> RawRecords:
    path = folder / "database.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for i, text in enumerate(texts):
            content = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name.format(i))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return read([SourceFile("database.tar.xz", path, SHA)], OPTIONS)


@pytest.fixture(scope="module")
def bundled() -> RawRecords:
    package = find_spec("matminer")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "utils/data_files/optical_polyanskiy/database.tar.xz"
    return read([SourceFile(path.name, path, SHA)], OPTIONS)


def test_every_bundled_file_is_a_row_or_a_rejection(bundled: RawRecords) -> None:
    assert bundled.table.num_rows + len(bundled.rejections) == 804
    records = [*bundled.table["source_record"].to_pylist(), *(r.source_record for r in bundled.rejections)]
    assert len(set(records)) == 804
    assert Counter(r.rule_id for r in bundled.rejections) == {"optics.out_of_range": 196, "optics.only_extinction": 3}
    assert bundled.table.num_rows >= 500
    assert len(set(bundled.table["formula"].to_pylist())) >= 210


@pytest.mark.parametrize(
    ("record", "n"),
    [
        ("SiO2/Malitson", 1.4585),  # doi:10.1364/JOSA.55.001205
        ("C/Peter", 2.417),
        ("NaCl/Li", 1.544),
        ("Al2O3/Malitson-o", 1.768),  # doi:10.1364/JOSA.52.001377
        ("Si/Aspnes", 3.97),
        ("Si/Green-2008", 3.97),
        ("H2O/Daimon-20.0C", 1.3330),
        ("CaF2/Malitson", 1.4338),
        ("AgBr/Schroter", 2.253),
        ("Ar/Peck-0C", 1.000282),
    ],
)
def test_literature_values_at_the_sodium_d_line(bundled: RawRecords, record: str, n: float) -> None:
    index = bundled.table["source_record"].to_pylist().index(f"database/{record}.yml")
    assert float(bundled.table["n"][index].as_py()) == pytest.approx(n, rel=0.003)


def test_bundled_rows_are_complete(bundled: RawRecords) -> None:
    for row in bundled.table.to_pylist():
        conditions = json.loads(row["conditions"])
        assert conditions["wavelength_um"] == 0.5893
        assert conditions["range_um"][0] <= 0.5893 <= conditions["range_um"][1]
        assert 0 < float(row["n"]) < 20
        assert row["formula"] == row["source_record"].split("/")[1]
        assert row["reference"]
        assert len(row["raw"]) < 5000
        assert isinstance(json.loads(row["raw"]), dict)
        assert row["temperature_k"] == "" or 4 < float(row["temperature_k"]) < 1200
    computed = [row["source_record"] for row in bundled.table.to_pylist() if row["kind"] == "computation"]
    assert computed == [f"database/MoO3/Lajaunie-{axis}.yml" for axis in ("alpha", "beta", "gamma")] + [
        "database/Ta/Werner-DFT.yml"
    ]


def test_a_row_says_under_which_conditions(tmp_path: Path) -> None:
    (row,) = read_yaml(
        tmp_path, GOOD + "SPECS:\n  film_thickness: 20 nm\n  wavelength_vacuum: true\n"
    ).table.to_pylist()
    assert float(row["n"]) == pytest.approx(1.5893)
    assert (row["source_record"], row["formula"], row["temperature_k"]) == ("database/SiO2/0.yml", "SiO2", "293.15")
    conditions = json.loads(row["conditions"])
    assert conditions["extinction_coefficient"] == pytest.approx(0.0893)
    assert conditions["interpolated_between_um"] == [0.5, 0.7]
    assert (conditions["film_thickness"], conditions["wavelength_vacuum"]) == ("20 nm", True)


def test_index_and_extinction_may_come_from_two_blocks(tmp_path: Path) -> None:
    text = (
        "DATA:\n  - type: formula 5\n    wavelength_range: 0.5 0.7\n    coefficients: 1.5\n"
        "  - type: tabulated k\n    data: |\n      0.5 0.1\n      0.6786 0.3\n"
    )
    (row,) = read_yaml(tmp_path, text).table.to_pylist()
    assert row["n"] == "1.5"
    assert json.loads(row["conditions"])["extinction_coefficient"] == pytest.approx(0.2)


def formula(number: int | str, coefficients: str, span: str = "0.4 0.7") -> str:
    return f"DATA:\n  - type: formula {number}\n    wavelength_range: {span}\n    coefficients: {coefficients}\n"


BAD = {
    "not YAML": ("a: [1", "record.malformed"),
    "not a mapping": ("- 1\n- 2\n", "record.malformed"),
    "empty": ("", "record.malformed"),
    "no DATA": ("REFERENCES: X\n", "record.malformed"),
    "DATA is text": ("DATA: hello\n", "record.malformed"),
    "DATA is a list of text": ("DATA: [hello]\n", "record.malformed"),
    "SPECS is a list": (GOOD + "SPECS: [1]\n", "record.malformed"),
    "nested deeply": ("[" * 300_000 + "]" * 300_000, "record.malformed"),
    "aliases": ("a: &a [x]\nb: *a\n" + GOOD, "record.malformed"),
    "a timestamp that is none": ("a: 2020-13-45\n" + GOOD, "record.malformed"),
    "a ragged table": ("DATA:\n  - type: tabulated n\n    data: |\n      0.5 1.5\n      0.7\n", "record.malformed"),
    "an empty table": ("DATA:\n  - type: tabulated n\n", "record.malformed"),
    "text in a table": ("DATA:\n  - type: tabulated n\n    data: |\n      0.5 high\n", "record.malformed"),
    "no range": ("DATA:\n  - type: formula 1\n    coefficients: 0 1 0.1\n", "record.malformed"),
    "text as coefficient": (formula(1, "0 x 0.1"), "record.malformed"),
    "no coefficients": (formula(1, "''"), "record.malformed"),
    "half a pair": (formula(1, "0 1"), "record.malformed"),
    "not UTF-8": (GOOD.encode("utf-16"), "record.undecodable"),
    "imaginary index": (formula(1, "0 -5 0.1"), "value.not_a_number"),
    "a pole": (formula(6, f"0 1 {0.5893**-2!r}"), "value.not_a_number"),
    "NaN in a table": ("DATA:\n  - type: tabulated n\n    data: |\n      0.5 .nan\n".replace(".nan", "nan") + "      0.7 1.5\n", "value.not_a_number"),
    "infrared only": (formula(1, "0 1 0.1", "2 12"), "optics.out_of_range"),
    "extinction only": ("DATA:\n  - type: tabulated k\n    data: |\n      0.5 1\n      0.7 1\n", "optics.only_extinction"),
    "formula 12": (formula(12, "0 1 0.1"), "optics.unknown_form"),
    "no type": ("DATA:\n  - data: 1\n", "optics.unknown_form"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_by_its_rule_and_costs_no_other(case: str, tmp_path: Path) -> None:
    text, rule_id = BAD[case]
    records = read_yaml(tmp_path, GOOD, text, GOOD)
    assert records.table["source_record"].to_pylist() == ["database/SiO2/0.yml", "database/SiO2/2.yml"]
    (rejection,) = records.rejections
    assert (rejection.source_record, rejection.rule_id, rejection.file_sha256) == ("database/SiO2/1.yml", rule_id, SHA)
    assert rule_id in RULES
    assert rejection.reason.startswith("database/SiO2/1.yml: ")
    assert isinstance(json.loads(rejection.raw), dict)
    assert len(rejection.raw) < 20_000


def test_the_sentence_about_the_range_gives_the_range(tmp_path: Path) -> None:
    (rejection,) = read_yaml(tmp_path, formula(1, "0 1 0.1", "2.5 12")).rejections
    assert "2.5 to 12 µm" in rejection.reason
    assert "0.5893" in rejection.reason


def test_a_file_without_a_folder_has_no_formula(tmp_path: Path) -> None:
    (rejection,) = read_yaml(tmp_path, GOOD, name="{}.yml").rejections
    assert rejection.rule_id == "record.malformed"
    assert "folder" in rejection.reason


def test_an_archive_without_records_or_truncated_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no YAML file"):
        read_yaml(tmp_path, "hello", name="readme{}.txt")
    path = tmp_path / "database.tar.xz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReadError, match=r"database.tar.xz is truncated"):
        read([SourceFile("database.tar.xz", path, SHA)], OPTIONS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wavelength_um": 0},
        {"wavelength_um": "D"},
        {"wavelength_um": 0.5, "computed": "x"},
        {"wavelength_um": 0.5, "n": 1},
    ],
)
def test_a_wrong_option_is_an_error(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="option"):
        read([], options)
