"""Drafted contracts: right about nearly all data sets of the mirror, honest about what can't be known, quick, hard to upset."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as arrow_parquet

from matstrata.pipelines.ingest.drafting.draft import Draft, draft
from matstrata.pipelines.ingest.drafting.property_guesses import guess_kind, guess_property
from matstrata.pipelines.ingest.readers import get_reader
from matstrata.pipelines.ingest.readers.header_units import split_unit
from matstrata.schemas.contracts import Contract, load_contract
from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import properties

GAPS = [{"formula": f, "gap": g} for f, g in [("GaN", 3.4), ("Si", 1.1), ("Fe2O3", 2.2), ("TiO2", 3.0), ("ZnS", 3.6)]]
CSV = "formula,Eg (eV)\n" + "".join(f"{row['formula']},{row['gap']}\n" for row in GAPS)


def write(folder: Path, content: str | bytes, name: str = "gaps.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def of(folder: Path, content: str | bytes, name: str = "gaps.csv") -> Draft:
    return draft(write(folder, content, name))


def filled(drafted: Draft, folder: Path) -> Contract:
    """The contract once a person has filled in what was unknown."""
    fields = yaml.safe_load(drafted.as_yaml())
    fields |= {"kind": "experiment"} if fields["kind"] == "unknown" else {}
    for value in fields["values"]:
        if value["property"] == "unknown":
            value |= {"property": "band_gap", "unit": "eV"}
    path = folder / f"{drafted.source}.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return load_contract(path)


def reread(drafted: Draft) -> pa.Table:
    sample = drafted.sample
    return get_reader(sample.reader).read([sample.file], sample.options).table


def comments(drafted: Draft) -> str:
    return "\n".join(line for line in drafted.as_yaml().splitlines() if "# check:" in line)


def workbook(folder: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["read me"])
    sheet = book.create_sheet("gaps 2019")
    for row in [["measured by us"], [], ["formula", "Eg (eV)"], *[list(r.values()) for r in GAPS]]:
        sheet.append(row)
    book.save(folder / "gaps.xlsx")
    return folder / "gaps.xlsx"


def archive(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "gaps.zip", "w") as packed:
        packed.writestr("README.md", "hello" * 100)
        packed.writestr("x/gaps.csv", CSV)
    return folder / "gaps.zip"


def columns_file(folder: Path) -> Path:
    arrow_parquet.write_table(pa.Table.from_pylist(GAPS), folder / "gaps.parquet")
    return folder / "gaps.parquet"


TAB, SEMI = CSV.replace(",", "\t"), CSV.replace(",", ";")
FILES: Mapping[str, tuple[Callable[[Path], Path], str, Mapping[str, object]]] = {
    "csv": (lambda folder: write(folder, CSV), "delimited", {"delimiter": ","}),
    "tsv": (lambda folder: write(folder, TAB, "gaps.tsv"), "delimited", {"delimiter": "\t"}),
    "semicolons": (lambda folder: write(folder, SEMI), "delimited", {"delimiter": ";"}),
    "blanks": (
        lambda folder: write(folder, CSV.replace("Eg (eV)", "Eg_eV").replace(",", " "), "gaps.dat"),
        "delimited",
        {"delimiter": " "},
    ),
    "preamble": (
        lambda folder: write(folder, "# made by us\n# in 2019, at home, alone\n\n" + CSV),
        "delimited",
        {"delimiter": ",", "skip_rows": 2},
    ),
    "byte order mark": (lambda folder: write(folder, "\ufeff" + CSV), "delimited", {"delimiter": ","}),
    "cp1252": (
        lambda folder: write(folder, (CSV + "SiC,3.0\n").replace("Eg (eV)", "gap für µ (eV)").encode("cp1252")),
        "delimited",
        {"delimiter": ",", "encoding": "cp1252"},
    ),
    "utf-16": (
        lambda folder: write(folder, CSV.encode("utf-16")),
        "delimited",
        {"delimiter": ",", "encoding": "utf-16"},
    ),
    "gzip": (lambda folder: write(folder, gzip.compress(CSV.encode()), "gaps.csv.gz"), "delimited", {"delimiter": ","}),
    "xz": (lambda folder: write(folder, lzma.compress(CSV.encode()), "gaps.csv.xz"), "delimited", {"delimiter": ","}),
    "zip": (archive, "delimited", {"member": "x/gaps.csv", "delimiter": ","}),
    "excel": (workbook, "excel", {"sheet": "gaps 2019", "skip_rows": 2}),
    "json": (lambda folder: write(folder, json.dumps(GAPS), "gaps.json"), "json", {}),
    "json lines": (lambda folder: write(folder, "\n".join(map(json.dumps, GAPS)), "gaps.jsonl"), "json", {}),
    "json under a key": (
        lambda folder: write(folder, json.dumps({"n": 5, "data": {"entries": GAPS}}), "gaps.json"),
        "json",
        {"path": "data.entries"},
    ),
    "nested json": (
        lambda folder: write(folder, json.dumps([{"id": i, "data": row} for i, row in enumerate(GAPS)]), "gaps.json"),
        "json",
        {"flatten": True},
    ),
    "parquet": (columns_file, "parquet", {}),
}


@pytest.mark.parametrize("kind", FILES)
def test_reader_and_options_are_found_and_give_the_drafted_columns(kind: str, tmp_path: Path) -> None:
    make, reader, options = FILES[kind]
    drafted = draft(make(tmp_path))
    assert (drafted.sample.reader, drafted.sample.options) == (reader, options)
    if kind != "cp1252":
        assert [value.property for value in drafted.values] == ["band_gap"]
    table = reread(drafted)
    assert table[drafted.columns["formula"]].to_pylist()[:2] == ["GaN", "Si"]
    assert drafted.values[0].column in table.column_names
    contract = filled(drafted, tmp_path)
    assert contract.files[0].path == drafted.sample.file.path
    assert contract.files[0].sha256 == drafted.sample.file.sha256
    assert contract.options == options


def test_a_file_without_a_header_gets_one(tmp_path: Path) -> None:
    drafted = of(tmp_path, CSV.partition("\n")[2])
    assert drafted.sample.options["header"] == ["column_1", "column_2"]
    assert drafted.columns == {"formula": "column_1"}
    assert [(value.column, value.property) for value in drafted.values] == [("column_2", None)]
    assert reread(drafted).num_rows == len(GAPS)
    assert "no header" in comments(drafted)


def test_headers_that_the_reader_refuses_are_renamed(tmp_path: Path) -> None:
    drafted = of(tmp_path, "formula,gap,gap,raw\nGaN,3.4,3.3,x\nSiC,3.0,2.9,y\n")
    assert drafted.sample.options["header"] == ["formula", "gap", "gap_2", "raw_of_file"]
    assert reread(drafted)["gap_2"].to_pylist() == ["3.3", "2.9"]


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("sample", ["S1", "S2", "S3", "S4"]),
        ("batch", ["C12", "N14", "O16", "C13"]),
        ("note", ["No", "Yes", "I", "In"]),
        ("site", ["Ga", "Si", "Fe", "Ti"]),
        ("space group", ["Pm", "C2", "P1", "I4"]),
        ("who", ["PINK", "BaCON", "Cook", "Spock"]),
        ("formula_anonymous", ["AB", "A", "A2B3", "AB2"]),
    ],
)
def test_words_identifiers_and_symbols_are_no_formulas(header: str, texts: list[str], tmp_path: Path) -> None:
    formulas = ["GaN", "SiC", "Fe2O3", "TiO2"]
    lines = [f"{text},{formula},1.{i}" for i, (text, formula) in enumerate(zip(texts, formulas, strict=True))]
    assert of(tmp_path, "\n".join([f"{header},stuff,gap", *lines])).columns["formula"] == "stuff"
    alone = of(tmp_path, "\n".join([f"{header},gap", *[f"{text},1.{i}" for i, text in enumerate(texts)]]))
    if header != "who":
        assert "formula" not in alone.columns


def test_molecules_and_structures_are_known_by_their_content(tmp_path: Path) -> None:
    smiles = ["CCO", "c1ccccc1", "CC(=O)O", "C1CCCCC1", "CC#N"]
    drafted = of(tmp_path, "\n".join(["mol,measured log solubility", *[f"{text},-1.5" for text in smiles]]))
    assert drafted.columns == {"smiles": "mol"}
    assert [value.property for value in drafted.values] == ["log_solubility"]
    cif = "data_GaN\n_cell_length_a 3.2\n"
    table = "x,gap\n" + "".join(f'"{cif}",{gap}\n' for gap in (1.5, 2.5))
    assert of(tmp_path, table).columns == {"structure": "x"}
    structure = {"@class": "Structure", "lattice": {"a": 1}, "sites": []}
    assert of(tmp_path, json.dumps([{"s": structure, "gap": 1.0}] * 3), "a.json").columns["structure"] == "s"


def test_identifiers_are_unique_and_unnamed_indices_are_none(tmp_path: Path) -> None:
    rows = "".join(f"{i},mp-{i},Ga{i + 1}N,{i}.5\n" for i in range(5))
    assert of(tmp_path, ",material_id,formula,gap\n" + rows).columns["record_id"] == "material_id"
    again = of(tmp_path, ",material_id,formula,gap\n" + rows + "7,mp-1,GaN,3\n")
    assert "record_id" not in again.columns
    assert "'material_id' looks like an identifier but repeats" in comments(again)


def test_units_come_from_brackets_names_and_ranges(tmp_path: Path) -> None:
    table = (
        "formula,gap [meV],E_hull (eV/atom),QP gap,Formation Energy (kJ)\nGaN,3400,0.1,3300,-5\nSiC,3000,0.0,2900,-3\n"
    )
    drafted = of(tmp_path, table)
    units = {value.column: value.unit for value in drafted.values}
    assert units == {
        "gap [meV]": "meV",
        "E_hull (eV/atom)": "eV/atom",
        "QP gap": "meV",
        "Formation Energy (kJ)": "eV/atom",
    }
    assert "values of 'QP gap' don't fit into the bounds of band_gap in eV: meV?" in comments(drafted)
    assert {value.method for value in drafted.values if value.property == "band_gap"} == {"gap [meV]", "qp"}
    filled(drafted, tmp_path)


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("Eg (eV)", "Eg", "eV"),
        ("K_VRH [GPa]", "K_VRH", "GPa"),
        ("gap, meV", "gap", "meV"),
        ("KS_indirect_eV", "KS_indirect", "eV"),
        ("S (µV/K)", "S", "uV/K"),
        ("peak (cm⁻¹)", "peak", "1/cm"),
        ("vpa (Å³/atom)", "vpa", "angstrom^3/atom"),
        ("Energy (fit=standard)", "Energy (fit=standard)", None),
        ("log10(K_VRH)", "log10(K_VRH)", None),
    ],
)
def test_names_are_parted_from_units(header: str, name: str, unit: str | None) -> None:
    assert split_unit(header) == (name, unit)


def test_names_that_say_nothing_are_explained_by_the_file() -> None:
    assert guess_property("target", ["train", "mp_e_hull"]).property == "energy_above_hull"
    assert guess_property("target", ["dielectric", "matbench_csv"]).property == "refractive_index"
    assert guess_property("logp", ["delaney"]).property == "log_solubility"
    assert guess_property("target", ["elasticity_log10(K_VRH)"]).property is None
    assert guess_property("target", ["train", "ExperimentalData"]).property is None
    assert guess_property("gap_pred", ["gaps"]).property is None
    assert guess_property("magnetic moment (mu_B)", []).doubt.startswith("looks like magnetic_moment")
    assert (guess_kind(["expt_gap"]), guess_kind(["mp_gap"]), guess_kind(["gap"])) == (
        "experiment",
        "computation",
        None,
    )


@pytest.mark.parametrize(
    ("header", "context", "property"),
    [
        ("S.n [µV/K]", "ricci", "seebeck_coefficient_n"),  # not the refractive index n
        ("κₑ.n [W/K/m/s]", "ricci", None),
        ("mₑᶜ.n.ε̄ [mₑ]", "ricci", None),
        ("rho (ohm.cm)", "ucsb", None),
        ("e_form", "matbench_perovskites", None),  # eV per cell
        ("data.e_above_hull", "entries", "energy_above_hull"),
        ("expt", "freesolv", "hydration_free_energy"),
        ("ESOL predicted log solubility in mols per litre", "esol", None),
        ("measured log solubility in mols per litre", "esol", "log_solubility"),
        ("bandGap", "x", "band_gap"),
    ],
)
def test_names_from_data_sets_outside_the_mirror(header: str, context: str, property: str | None) -> None:
    assert guess_property(header, [context]).property == property


def test_amounts_of_elements_and_unknown_units_are_pointed_out(tmp_path: Path) -> None:
    drafted = of(
        tmp_path, "formula,cr,mn,n,ni,yield strength (ksi)\nFe2Cr,1.5,2.5,0.5,1.5,200\nFe3Cr,1.5,2.5,0.6,1.5,210\n"
    )
    assert [value.column for value in drafted.values] == ["yield strength (ksi)"]
    assert "amounts of elements are left out: 'cr', 'mn', 'n', 'ni'" in comments(drafted)
    assert "says 'ksi': write that unit as pint does" in comments(drafted)


def test_every_property_is_found_by_its_own_name_and_title() -> None:
    for name, declared in properties().items():
        assert guess_property(name, []).property == name
        assert guess_property(declared.title, []).property == name


def test_missing_values_and_repeated_records_are_noticed(tmp_path: Path) -> None:
    rows = [*[f"Ga{i}N,{i}.5" for i in range(1, 20)], "Ga1N,1.5", "SiC,None", "TiO2,N.A.", "ZnO,", "ZnS,ca. 3"]
    drafted = of(tmp_path, "formula,gap\n" + "\n".join(rows), "expt_gaps.csv")
    assert drafted.missing == ("", "None", "N.A.")
    assert "also holds 'ca. 3'" in comments(drafted)
    assert (drafted.kind, drafted.replicates) == ("experiment", "keep")
    assert "1 of 24 records repeat another" in comments(drafted)
    assert of(tmp_path, "formula,gap\n" + "\n".join(rows), "dft_gaps.csv").replicates == "reject"


def test_a_property_that_the_vocabulary_lacks_is_named_and_left_out(tmp_path: Path) -> None:
    drafted = of(tmp_path, "formula,gap,magnetic moment\nGaN,3.4,12\nSiC,3.0,30\n")
    assert [value.column for value in drafted.values] == ["gap"]
    assert "'magnetic moment' is left out: looks like magnetic_moment, which the vocabulary" in comments(drafted)


def test_decimal_commas_are_seen(tmp_path: Path) -> None:
    drafted = of(tmp_path, "formula;gap\nGaN;3,4\nSiC;3,0\nZnS;3,6\n")
    assert "decimal commas" in comments(drafted)
    written = yaml.safe_load(drafted.as_yaml())
    assert (written["decimal"], written["options"]["delimiter"]) == (",", ";")
    assert written["columns"] == {"formula": "formula"}
    assert [value["column"] for value in written["values"]] == ["gap"]
    assert yaml.safe_load(of(tmp_path, "formula;gap\nGaN;1,000\nSiC;3,000\n").as_yaml()).get("decimal") is None


def test_aligned_columns_are_pointed_out(tmp_path: Path) -> None:
    assert "runs of spaces" in comments(of(tmp_path, "formula   gap\nGaN       3.4\nSiC       3.0\n", "gaps.txt"))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "gaps.csv", "is empty"),
        (b" \n\n", "gaps.csv", "is empty"),
        (bytes(range(256)) * 40, "gaps.csv", "binary file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "gaps.png", "binary file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "gaps.xls", "old Excel"),
        (gzip.compress(CSV.encode(), mtime=0)[:-9], "gaps.csv.gz", "truncated"),
        (b'[{"a": 1}', "gaps.json", "not valid JSON"),
        (b"[]", "gaps.json", "nothing to draft from"),
        (b"PAR1oopsPAR1", "gaps.parquet", "truncated or corrupt"),
    ],
)
def test_what_holds_no_table_is_an_error_that_says_so(content: bytes, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name} .*{message}"):
        of(tmp_path, content, name)


def test_a_missing_file_and_an_archive_without_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.csv is not a file"):
        draft(tmp_path / "nowhere.csv")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.md", "x")
        packed.writestr("b.md", "y")
    with pytest.raises(InputError, match=r"a.zip holds no table, but a.md, b.md"):
        draft(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "content", ["word\nalpha\nbeta\n", "x\n1.5\n2.5\n", "formula\n", "a,b\n1,2\n", "3.5\n", "hello"]
)
def test_a_file_without_compositions_still_gives_a_contract_to_fill_in(content: str, tmp_path: Path) -> None:
    drafted = of(tmp_path, content)
    assert not drafted.columns.keys() & {"formula", "smiles", "structure"}
    assert "no column of formulas, SMILES or structures was found" in comments(drafted)
    assert yaml.safe_load(drafted.as_yaml())["columns"]["formula"] == "unknown"


def test_names_full_of_special_characters_survive(tmp_path: Path) -> None:
    drafted = of(
        tmp_path, 'formula,"gap: ""x"", # {[µ]} \'y\' (eV)",id\nGaN,3.4,a\nSiC,3.0,b\n', "2019 gäps: 'new'.csv"
    )
    assert drafted.source == "source_2019_g_ps_new"
    contract = filled(drafted, tmp_path)
    assert {value.column for value in contract.values} <= set(reread(drafted).column_names)


PIECES = [
    "formula",
    "gap (eV)",
    "GaN",
    "Si",
    "3.4",
    "-",
    "",
    '"',
    "\n",
    "\r\n",
    ",",
    ";",
    "\t",
    " ",
    "µ",
    "{",
    "}",
    "[",
    "]",
    ":",
    "#",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode)
    )
)
def test_any_file_gives_a_contract_or_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    try:
        drafted = of(tmp_path, content)
    except InputError as error:
        assert "gaps.csv" in str(error)  # noqa: PT017
    else:
        assert yaml.safe_load(drafted.as_yaml())["source"] == "gaps"


def test_of_a_large_file_the_beginning_is_looked_at(tmp_path: Path) -> None:
    lines = "".join(
        f"mp-{i},Ga{i % 90 + 1}N{i % 7 + 1},{i % 9}.5,some words to fill the line up to its end\n"
        for i in range(330_000)
    )
    path = write(tmp_path, "id,formula,band_gap,note\n" + lines, "large.csv")
    assert path.stat().st_size > 20_000_000
    drafted = draft(path)
    assert not drafted.sample.whole
    assert "unique in the first 4,000 records" in comments(drafted)


# ---- what was found by looking at each file of the mirror: composition's role and column, main value column, its property
Truth = tuple[str, str, str | None, str | None]
FORMULA_TARGET = ("formula", "formula", "target")
EXPECTED: Mapping[str, Truth] = {
    **{
        f"crabnet_benchmark/CritExam__Ef/{part}.csv": (*FORMULA_TARGET, "formation_energy")
        for part in ("test", "train", "val")
    },
    **{
        f"crabnet_benchmark/OQMD_Bandgap/{part}.csv": (*FORMULA_TARGET, "band_gap") for part in ("test", "train", "val")
    },
    **{f"crabnet_benchmark/aflow__Egap/{part}.csv": (*FORMULA_TARGET, "band_gap") for part in ("test", "train", "val")},
    **{
        f"crabnet_benchmark/mp_bulk_modulus/{part}.csv": (*FORMULA_TARGET, "bulk_modulus")
        for part in ("test", "train", "val")
    },
    **{
        f"crabnet_benchmark/mp_e_hull/{part}.csv": (*FORMULA_TARGET, "energy_above_hull")
        for part in ("test", "train", "val")
    },
    "gaps_multifidelity/beemo/csv/gllbsc.csv": ("formula", "formula", "QP_indirect", "band_gap"),
    "gaps_multifidelity/beemo/csv/snumat.csv": ("formula", "formula", "HSE", "band_gap"),
    "gaps_multifidelity/liu2024_hse/to_publish_HSE_full_data.csv": ("formula", "Compound", "HSE Bandgap", "band_gap"),
    "kauwe2020/ExperimentalData/band_gap_download.csv": ("formula", "composition", "Eg (eV)", "band_gap"),
    "kauwe2020/ExperimentalData/band_gap_download.xlsx": ("formula", "composition", "Eg (eV)", "band_gap"),
    "kauwe2020/ExperimentalData/test.csv": (*FORMULA_TARGET, "band_gap"),  # said nowhere in or around the file
    "kauwe2020/ExperimentalData/train.csv": (*FORMULA_TARGET, "band_gap"),  # the same
    "kauwe2020/NeuralNetwork/Data/Experimental_Band_Gap.csv": (*FORMULA_TARGET, "band_gap"),
    "kauwe2020/NeuralNetwork/Data/aflow-data/aflow_Band_Gap.csv": (*FORMULA_TARGET, "band_gap"),
    "kauwe2020/NeuralNetwork/Data/aflow-train-data/aflow_train_Band_Gap.csv": (*FORMULA_TARGET, "band_gap"),
    "kauwe2020/NeuralNetwork/Data/model_predictions_2018-08-16_12-12-30.496284.csv": (
        "formula",
        "formula",
        "band_gap",
        "band_gap",
    ),
    "kauwe2020/NeuralNetwork/Data/mp-data/mp_Band_Gap.csv": (*FORMULA_TARGET, "band_gap"),
    "kauwe2020/NeuralNetwork/Data/mp-train-data/mp_train_Band_Gap.csv": (*FORMULA_TARGET, "band_gap"),
    "matbench_csv/castelli.csv": (*FORMULA_TARGET, None),  # formation energy, but per cell
    "matbench_csv/dielectric.csv": (*FORMULA_TARGET, "refractive_index"),
    "matbench_csv/elasticity_log10(K_VRH).csv": (*FORMULA_TARGET, None),  # a logarithm
    "matbench_csv/expt_gap.csv": (*FORMULA_TARGET, "band_gap"),
    "matbench_csv/expt_is_metal.csv": (*FORMULA_TARGET, "is_metal"),
    "matbench_csv/glass.csv": (*FORMULA_TARGET, "glass_forming_ability"),
    "matbench_csv/mp_e_form.csv": (*FORMULA_TARGET, "formation_energy"),
    "matbench_csv/mp_gap.csv": (*FORMULA_TARGET, "band_gap"),
    "matbench_csv/phonons.csv": (*FORMULA_TARGET, "phonon_peak"),
    "matbench_csv/steels_yield.csv": (*FORMULA_TARGET, "yield_strength"),
    "matbench_folds/derived/expt_gap_official_folds.csv": ("formula", "composition", "gap_expt_eV", "band_gap"),
    "matminer_csv/dielectric_constant.csv": ("formula", "formula", "poly_total", "dielectric_constant_total"),
    "matminer_csv/double_perovskites_gap.csv": ("formula", "formula", "gap gllbsc", "band_gap"),
    "matminer_csv/expt_formation_enthalpy.csv": ("formula", "formula", "e_form expt", "formation_energy"),
    "matminer_csv/wolverton_oxides.csv": ("formula", "formula", "e_form", "formation_energy"),
    "matminer_datasets/matbench_expt_gap.json.gz": ("formula", "composition", "gap expt", "band_gap"),
    "matminer_datasets/matbench_expt_is_metal.json.gz": ("formula", "composition", "is_metal", "is_metal"),
    "matminer_datasets/matbench_phonons.json.gz": ("structure", "structure", "last phdos peak", "phonon_peak"),
    "molecules/delaney.csv": ("smiles", "smiles", "logp", "log_solubility"),
    "molecules/freesolv.csv": ("smiles", "smiles", "freesolv", "hydration_free_energy"),
    "molecules/qm9_sample.json": ("smiles", "smiles", "property.gap", "homo_lumo_gap"),
    "raw_exports/mp_emmet/Li-Fe-O.json.gz": ("structure", "structure", None, None),  # total energies only
    "raw_exports/mp_emmet/tasks_Li_Fe_V.json.gz": ("formula", "formula_pretty", "output.bandgap", "band_gap"),
    "raw_exports/optimade/raw_test_structures.json": ("formula", "attributes.chemical_formula_reduced", None, None),
    "raw_exports/optimade/special_species.json": ("formula", "attributes.chemical_formula_reduced", None, None),
    "raw_exports/optimade/test_bad_structures.json": ("formula", "pretty_formula", "band_gap", "band_gap"),
    "raw_exports/optimade/test_data.jsonl": ("formula", "attributes.pretty_formula", None, None),
    "raw_exports/optimade/test_good_structures.json": ("formula", "pretty_formula", "band_gap", "band_gap"),
    "raw_exports/optimade/test_structures.json": ("formula", "pretty_formula", None, None),
    "raw_exports/optimade/test_structures_v0.9.7.json": ("formula", "pretty_formula", None, None),
    "raw_exports/optimade_maker/bzipped_pymatgen/part_1.json.bz2": (
        "formula",
        "data.formula",
        "data.band_gap_ind",
        "band_gap",
    ),
    "raw_exports/optimade_maker/cifs_to_jsonl/optimade.jsonl": (
        "formula",
        "attributes.chemical_formula_reduced",
        None,
        None,
    ),
    "raw_exports/optimade_maker/direct_from_jsonl/optimade.jsonl": (
        "formula",
        "attributes.chemical_formula_reduced",
        "attributes._mcloudarchive_energy",
        "energy_per_atom",  # said only in the line that describes the properties
    ),
    "structures/aviary_examples/examples.csv": ("formula", "composition", "E_f", "formation_energy"),
    "structures/aviary_examples/examples.json": ("structure", "structure", "E_f", "formation_energy"),
    **{
        f"structures/mp_20_sample/{part}.csv": ("structure", "cif", "formation_energy_per_atom", "formation_energy")
        for part in ("test", "train", "val")
    },
    **{
        f"structures/perov_5/{part}.csv": ("structure", "cif", "heat_all", "formation_energy")
        for part in ("test", "val")
    },
}
LEFT_OUT: Mapping[str, str] = {
    "/predictions/": "predictions of one model in the order of another file, no composition",
    "kauwe2020/NeuralNetwork/model/": "scores and predictions of a model, no composition",
    "matbench_folds/derived/official_folds_composition_tasks.csv": "which test fold a composition is in, no value",
    "results.json.gz": "predictions by identifiers of matbench, no composition",
    "matminer_csv/jarvis_dft_2d_clean.csv": "its uploader removed every column that says which material it is",
    "raw_exports/optimade/test_references.json": "references, no materials",
}
ENDINGS = (".csv", ".xlsx", ".json", ".jsonl", ".json.gz", ".json.bz2")


def test_a_contract_is_named_as_the_file_it_goes_into(tmp_path: Path) -> None:
    data = write(tmp_path, CSV)
    assert draft(data, "our_gaps").source == "our_gaps"
    assert draft(data, "Our-Gaps").source == "gaps"  # no name of a source: the data's stays


@pytest.mark.parametrize("cells", [["3.4 eV", "<1.1", "~2.2", "3.0±0.1"], ["3,400", "1,100", "2,200", "3,000"]])
def test_a_column_that_needs_cleaning_is_named_with_what_is_wrong(cells: Sequence[str], tmp_path: Path) -> None:
    lines = [f'{row["formula"]},"{cell}"' for row, cell in zip(GAPS, cells, strict=False)]
    drafted = of(tmp_path, "\n".join(["formula,band gap", *lines]))
    assert [(value.column, value.property) for value in drafted.values] == [("band gap", "band_gap")]
    assert f"'{cells[0]}'" in comments(drafted)
    assert "refused: not numbers" in comments(drafted)


def test_records_below_a_key_beside_others_are_found(tmp_path: Path) -> None:
    drafted = of(tmp_path, json.dumps({"meta": {"n": 5}, "data": {"results": GAPS}}), "answer.json")
    assert drafted.sample.options == {"path": "data.results"}
    assert drafted.columns["formula"] == "formula"


@pytest.fixture(scope="module")
def mirrored() -> Mapping[str, Path]:
    """The data tables of the mirror, by their path in its manifest."""
    folders = os.environ.get("MATSTRATA_MIRROR")
    if not folders:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail("continuous integration must set MATSTRATA_MIRROR")
        pytest.skip("needs the pinned data files: set MATSTRATA_MIRROR to a folder that holds them")
    found = {}
    for folder in map(Path, folders.split(os.pathsep)):
        if (folder / "MANIFEST.csv").is_file():
            with (folder / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
                found |= {row["path"]: folder / row["path"] for row in csv.DictReader(stream)}
    # folders that joined the mirror later are nobody's expectation here
    folders_here = {name.partition("/")[0] for name in EXPECTED}
    tables = {
        name: path for name, path in found.items() if name.endswith(ENDINGS) and name.partition("/")[0] in folders_here
    }
    if not tables:
        pytest.skip("the mirror has no MANIFEST.csv that lists tables")
    return tables


@pytest.fixture(scope="module")
def drafts(mirrored: Mapping[str, Path]) -> Mapping[str, Draft]:
    return {name: draft(path) for name, path in mirrored.items()}


def test_every_table_of_the_mirror_is_expected_or_left_out_for_a_reason(mirrored: Mapping[str, Path]) -> None:
    left_out = {name for name in mirrored if any(part in name for part in LEFT_OUT)}
    assert not left_out & EXPECTED.keys()
    assert sorted(mirrored.keys() - left_out) == sorted(EXPECTED)


def test_nine_in_ten_tables_of_the_mirror_are_drafted_right(drafts: Mapping[str, Draft]) -> None:
    wrong: dict[str, list[str]] = {"composition": [], "value column": [], "property": []}
    for name, (role, column, value, property) in EXPECTED.items():
        drafted = drafts[name]
        if drafted.columns.get(role) != column:
            wrong["composition"].append(name)
        found = {guess.column: guess.property for guess in drafted.values}
        if value is None:
            if found:
                wrong["value column"].append(name)
            continue
        if value not in found:
            wrong["value column"].append(name)
        if found.get(value) != (property if property in properties() else None):
            wrong["property"].append(name)
    assert all(len(names) <= 0.1 * len(EXPECTED) for names in wrong.values()), wrong


def test_drafts_of_the_mirror_work_with_their_readers(drafts: Mapping[str, Draft], tmp_path: Path) -> None:
    for name in EXPECTED:
        drafted = drafts[name]
        if not drafted.values and "structure" not in drafted.columns:
            assert "values: []" in drafted.as_yaml()  # a file without values is no source yet
            continue
        contract = filled(drafted, tmp_path)
        if drafted.sample.file.path.stat().st_size < 1_000_000:
            wanted = {*contract.columns.named().values(), *(value.column for value in contract.values)}
            assert wanted <= set(reread(drafted).column_names), name


def test_files_without_materials_are_said_to_have_none(drafts: Mapping[str, Draft]) -> None:
    for name, drafted in drafts.items():
        if any(part in name for part in LEFT_OUT) and "official_folds" not in name:
            assert "no column of formulas, SMILES or structures was found" in comments(drafted), name


@pytest.mark.parametrize("units", [",meV,K", ",(meV),[K]", "unit,meV,-"])
def test_a_row_of_units_below_the_header_is_no_record(units: str, tmp_path: Path) -> None:
    drafted = of(tmp_path, f"formula,band gap,T\n{units}\nGaN,3400,300\nZnO,3300,300\nSi,1100,300\n")
    assert [(value.property, value.unit) for value in drafted.values] == [("band_gap", "meV")]
    assert "row below the header" in drafted.as_yaml()
    assert reread(drafted)["formula"].to_pylist() == ["GaN", "ZnO", "Si"]


def test_potassium_without_a_value_is_no_row_of_units(tmp_path: Path) -> None:
    assert len(of(tmp_path, "formula,gap\nK,\nNaCl,8.9\nLiF,13.6\n").sample.rows) == 3


def test_formulas_with_decimal_commas_are_formulas(tmp_path: Path) -> None:
    drafted = of(tmp_path, "Formel;Eg (eV)\nGaN;3,4\nCu1,8S;1,2\nZn0,5Mg0,5O;3,9\n")
    assert (drafted.columns, drafted.sample.decimal) == ({"formula": "Formel"}, ",")


@pytest.mark.parametrize("name", ["null.csv", "true.csv", "gaps\nsource: other.csv"])
def test_names_of_files_are_no_yaml(name: str, tmp_path: Path) -> None:
    drafted = of(tmp_path, CSV, name)
    assert filled(drafted, tmp_path).source == drafted.source
