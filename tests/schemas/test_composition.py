"""Formulas as people write them, the exact key and the coarse key; pymatgen is the judge where it is right."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import pickle
import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matstrata.schemas.composition import GROUP_TOLERANCE, FormulaError, parse_formula, read_key
from matstrata.schemas.contracts import SHIPPED, load_contract
from matstrata.schemas.elements import ELEMENTS, SYMBOLS
from matstrata.schemas.rules import RULES

ACCEPTED = {
    "Fe2O3": "Fe2O3",
    "GaN": "GaN",
    "CO": "CO",
    "Co": "Co",
    "NaN": "NNa",  # sodium nitride (as 1:1), not a missing value
    "Fe4O6": "Fe2O3",
    "O3Fe2": "Fe2O3",
    " Fe 2 O 3 ": "Fe2O3",
    "CH3COOH": "CH2O",
    "NH4H2PO4": "H6NO4P",
    "Cu1.8S": "Cu9S5",
    "Te0.5Se0.5": "SeTe",
    "Pb.5Sn.5Te": "PbSnTe2",
    "Ag0.5Pb1.75GeSe4": "Ag2Ge4Pb7Se16",
    "Pb0.999Sn0.001Te": "Pb999SnTe1000",
    "Ca(OH)2": "CaH2O2",
    "LuAl3(BO3)4": "Al3B4LuO12",
    "K4[Fe(CN)6]": "C6FeK4N6",
    "{[Ca(OH)2]2}3": "CaH2O2",
    "(Ga0.5In0.5)2O3": "GaInO3",
    "H₂O": "H2O",
    "Cu₀.₅Zn₀.₅O": "CuO2Zn",
    "D2O": "D2O",
    "T2O": "OT2",
    "HDO": "DHO",
    "CuSO4·5H2O": "CuH10O9S",
    "CuSO4 • 5 H2O": "CuH10O9S",
    "CuSO4*5H2O": "CuH10O9S",
    "CuSO4●5H2O": "CuH10O9S",
    "CuSO4･5H2O": "CuH10O9S",
    "MgCl2.6NH3": "Cl2H18MgN6",
    "Ｆｅ２Ｏ３": "Fe2O3",
    "\u200eFe2\xadO3\u202c": "Fe2O3",  # directions of writing and a soft hyphen, from a web page
    "CuSO4.5H2O": "CuH10O9S",
    "CuSO4(H2O)5": "CuH10O9S",
    "CuSO4.H2O": "CuH2O5S",
    "CuSO4·5D2O": "CuD10O9S",
    "CaSO4.0.5H2O": "Ca2H2O9S2",
    "CaSO4·0.5H2O": "Ca2H2O9S2",
    "CaSO4·½H2O": "Ca2H2O9S2",
    "CaSO4·1/2H2O": "Ca2H2O9S2",
    "La1/3Sr2/3MnO3": "LaMn3O9Sr2",
    "La2⁄3Ca1⁄3MnO3": "CaLa2Mn3O9",
    "CaSO4·1½H2O": "Ca2H6O11S2",
    "CaSO4·1.5H2O": "Ca2H6O11S2",
    "K0.25CoO2.5H2O": "Co4H40KO28",
    "CoK0.25.5H2O": "Co4H40KO20",
    "1.5H2O": "H2O",
    "Na0.33CoO2.1.3H2O": "Co100H260Na33O330",
    "K0.5H2O": "H4KO2",  # K0 is nothing, so this dot can't be that of a hydrate
    "3CaO·Al2O3": "Al2Ca3O6",
    "MgO.Al2O3": "Al2MgO4",
    "Al2O3·2SiO2·2H2O": "Al2H4O9Si2",
    "LiCo0.5Ni0.5O1.9F0.1": "Co5FLi10Ni5O19",
    "(CaO·SiO2)2": "CaO3Si",
    "2H2O": "H2O",
}

REFUSED = {
    "": "formula.empty",
    " \t\u200b": "formula.empty",
    "Fe3+": "formula.charged",
    "SO4^2-": "formula.charged",
    "SO4--": "formula.charged",
    "SO4-2": "formula.charged",
    "Fe³⁺": "formula.charged",
    "²H2O": "formula.syntax",
    "LaAlO3/SrTiO3": "formula.syntax",
    "Fe1/0O": "formula.syntax",
    "Na+Cl-": "formula.charged",
    "[Fe(CN)6]4-": "formula.charged",
    "Li1-xCoO2": "formula.variable_amount",
    "Li(1-x)CoO2": "formula.variable_amount",
    "LixCoO2": "formula.variable_amount",
    "CoOx": "formula.variable_amount",
    "AlxGa1-xAs": "formula.variable_amount",
    "YBa2Cu3O7-δ": "formula.variable_amount",
    "CuSO4·nH2O": "formula.variable_amount",
    "ZnO:Al": "formula.dopant_notation",
    "GaAs0.1P0.9G1128": "formula.unknown_element",
    "Uu2O": "formula.unknown_element",
    "Ga1128As": "formula.amount_out_of_range",
    "GaAs0.1P0.9Ga1128": "formula.amount_out_of_range",
    "(Fe501)2O3": "formula.amount_out_of_range",
    "Al2329O2612N588": "formula.amount_out_of_range",
    "Fe2O0": "formula.amount_out_of_range",
    "Fe0O0.0": "formula.amount_out_of_range",
    "Ca(OH)0": "formula.amount_out_of_range",
    "Fe-2O3": "formula.amount_out_of_range",
    "fe2o3": "formula.syntax",
    "nan": "formula.syntax",
    "C o": "formula.syntax",
    "Fe2(O3": "formula.syntax",
    "Fe2O3)": "formula.syntax",
    "(Fe]2": "formula.syntax",
    "()": "formula.syntax",
    "Fe2O3·": "formula.syntax",
    "Fe3.4½": "formula.syntax",
    "Fe2 3": "formula.syntax",
    "CuSO4 5H2O": "formula.syntax",
    "Cu1,8S": "formula.syntax",
    "AgCNO,231": "formula.syntax",
    "AgCNO,0": "formula.syntax",
    "Li-Fe-O": "formula.syntax",
    "ZnO + Al2O3": "formula.syntax",
    "Al2O3.2SiO2.2H2O": "formula.syntax",  # kaolinite, Al2O3·2SiO2·2H2O, or O3.2?
    "3Al2O3.2SiO2": "formula.syntax",  # mullite
    "Fe_2O_3": "formula.syntax",
    "Fe٢O٣": "formula.syntax",
    "12": "formula.syntax",
    "-": "formula.syntax",
    "2023-01-05": "formula.syntax",
    "w-ZnO": "formula.syntax",
    "CaSO4.2H2O.NaCl": "formula.syntax",
    "0.7BaTiO3-0.3SrTiO3": "formula.syntax",
    "Fe0.9-1.0O": "formula.syntax",
    "YBa2Cu3O7-delta": "formula.variable_amount",
    "(Fe)" * 1000: "formula.syntax",
    "H" + "9" * 990: "formula.amount_out_of_range",
    "(" * 900: "formula.syntax",
}

amounts = st.dictionaries(st.sampled_from(sorted(SYMBOLS)), st.integers(1, 1000), min_size=1, max_size=7)


def written(parts: dict[str, int | str]) -> str:
    return "".join(f"{symbol}{amount}" for symbol, amount in parts.items())


def refusal(text: str) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    return caught.value


@pytest.mark.parametrize(("text", "material_id"), ACCEPTED.items())
def test_reads_what_people_write(text: str, material_id: str) -> None:
    assert parse_formula(text).material_id == material_id
    assert read_key(text, 1000) == (material_id, parse_formula(text).space_group)


@pytest.mark.parametrize(("text", "rule_id"), REFUSED.items())
def test_refuses_with_a_declared_rule_and_a_sentence(text: str, rule_id: str) -> None:
    error = refusal(text)
    assert error.rule_id == rule_id
    assert rule_id in RULES
    assert str(error).endswith(".")
    assert len(str(error)) < 250


@given(st.text("FeOHCuxNaClD0123456789.·*()[]{}-+^,:₂²½δ/ \t", max_size=15))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        composition = parse_formula(text)
    except FormulaError:
        return  # anything else that is raised fails the test
    assert parse_formula(composition.material_id, max_amount=1e99).amounts == composition.amounts
    assert composition.group_id


def test_a_refusal_says_what_where_and_what_to_do() -> None:
    assert str(refusal("GaAs0.1P0.9G1128")) == (
        "Formula 'GaAs0.1P0.9G1128', character 12: 'G' is not an element; correct the symbol."
    )
    assert "Ga exceeds 1000" in str(refusal("Ga1128As"))
    assert "'x'" in str(refusal("Li1-xCoO2"))


def test_a_refusal_survives_the_way_back_from_a_worker_process() -> None:
    error = refusal("ZnO:Al")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.rule_id, str(copy)) == (error.rule_id, str(error))


def test_a_larger_max_amount_admits_large_cells() -> None:
    assert parse_formula("Al2329O2612N588", max_amount=5000).material_id == "Al2329N588O2612"
    assert refusal("Al2329O2612N588").rule_id == "formula.amount_out_of_range"  # though the other call succeeded


@pytest.mark.parametrize(("text", "space_group"), [("AgCNO,65", 65), ("SiO2, 152", 152), ("GaN,1", 1), ("GaN", None)])
def test_a_trailing_number_is_the_space_group(text: str, space_group: int | None) -> None:
    assert parse_formula(text).space_group == space_group


def test_describes_gallium_nitride() -> None:
    gan = parse_formula("NGa")
    assert gan.amounts == (("Ga", 1), ("N", 1))
    assert gan.elements == ("Ga", "N")
    assert gan.fractions == (0.5, 0.5)
    assert gan.chemical_system == "Ga-N"
    assert gan.n_elements == 2


def test_there_are_118_elements_and_two_isotopes() -> None:
    assert len(set(ELEMENTS)) == 118
    assert {symbol: ELEMENTS.index(symbol) + 1 for symbol in ("H", "Fe", "U", "Og")} == {
        "H": 1,
        "Fe": 26,
        "U": 92,
        "Og": 118,
    }
    assert len(SYMBOLS) == 120


@given(amounts)
def test_material_id_is_its_own_formula(parts: dict[str, int]) -> None:
    composition = parse_formula(written(parts))
    again = parse_formula(composition.material_id, max_amount=1e9)
    assert again == composition
    assert again.material_id == composition.material_id
    assert sum(composition.fractions) == pytest.approx(1, abs=1e-12)


@given(amounts, st.integers(1, 50), st.randoms())
def test_scale_and_order_do_not_matter(parts: dict[str, int], factor: int, shuffle: random.Random) -> None:
    order = shuffle.sample(sorted(parts), len(parts))
    scaled = parse_formula(written({symbol: parts[symbol] * factor for symbol in order}), max_amount=1e9)
    assert scaled == parse_formula(written(parts))


@given(amounts)
def test_decimals_are_exact(parts: dict[str, int]) -> None:
    thousandths = {symbol: f"{amount // 1000}.{amount % 1000:03d}" for symbol, amount in parts.items()}
    assert parse_formula(written(thousandths)) == parse_formula(written(parts))


@pytest.mark.parametrize(
    ("one", "other"), [("PbTe", "Pb0.999Sn0.001Te"), ("H2O", "D2O"), ("Fe2O3", "Fe1.999O3"), ("CdTe", "Cd0.99Zn0.01Te")]
)
def test_groups_bring_near_identical_materials_together(one: str, other: str) -> None:
    a, b = parse_formula(one), parse_formula(other)
    assert a.material_id != b.material_id
    assert a.group_id == b.group_id == a.material_id


@pytest.mark.parametrize(("one", "other"), [("Fe2O3", "Fe3O4"), ("PbTe", "PbSe"), ("GaAs0.1P0.9", "GaAs0.9P0.1")])
def test_groups_keep_different_materials_apart(one: str, other: str) -> None:
    assert parse_formula(one).group_id != parse_formula(other).group_id


@given(amounts)
def test_a_group_is_the_simplest_formula_within_the_tolerance(parts: dict[str, int]) -> None:
    composition = parse_formula(written(parts))
    group = parse_formula(composition.group_id)
    assert group.group_id == parse_formula(group.material_id).group_id

    hydrogen = {symbol: "H" if symbol in {"D", "T"} else symbol for symbol in composition.elements}
    total = sum(amount for _, amount in composition.amounts)
    exact: dict[str, Fraction] = {}
    for symbol, amount in composition.amounts:
        exact[hydrogen[symbol]] = exact.get(hydrogen[symbol], Fraction(0)) + Fraction(amount, total)

    tolerance = Fraction(str(GROUP_TOLERANCE))
    for size in range(1, 51):  # 1 / (2 * 50) is the tolerance
        rounded = {symbol: round(fraction * size) for symbol, fraction in exact.items()}
        if all(abs(exact[symbol] - Fraction(rounded[symbol], size)) <= tolerance for symbol in exact):
            break
    else:
        pytest.fail("no formula of up to 50 atoms within the tolerance")
    kept = {symbol: amount for symbol, amount in rounded.items() if amount}
    assert group.material_id == parse_formula(written(kept)).material_id


def published_formulas() -> dict[str, bool]:
    """A few thousand formulas from the tables in the mirror's folders: whether a source of the project has them.

    The others may hold anything, also what is refused.
    """
    folders = [folder for folder in os.environ.get("MATSTRATA_MIRROR", "").split(os.pathsep) if folder]
    pinned = {file.sha256 for path in SHIPPED.glob("*.yaml") for file in load_contract(path).files}
    formulas = []
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            reader = csv.DictReader(lines)
            column = next(
                (name for name in reader.fieldnames or () if name.lower() in {"formula", "composition"}), None
            )
            if column:
                is_ours = hashlib.sha256(path.read_bytes()).hexdigest() in pinned
                formulas += [(row[column], is_ours) for _, row in zip(range(3000), reader, strict=False)]
    return dict(random.Random(0).sample(sorted(formulas), min(3000, len(formulas))))


def assert_equals_pymatgen(text: str) -> None:
    from pymatgen.core.composition import Composition  # deferred: 2 s

    ours: dict[str, float] = {}
    composition = parse_formula(text, max_amount=1e9)
    theirs = Composition(text, strict=True)
    for symbol, fraction in zip(composition.elements, composition.fractions, strict=True):
        key = "H" if symbol in {"D", "T"} else symbol  # pymatgen does not tell them apart
        ours[key] = ours.get(key, 0) + fraction
    assert ours == pytest.approx({element.symbol: theirs.get_atomic_fraction(element) for element in theirs}, rel=1e-9)


def test_equals_pymatgen_on_published_formulas() -> None:
    texts = published_formulas()
    if not texts:
        pytest.skip("no published formulas: set MATSTRATA_MIRROR to folders that hold them")
    compared = 0
    for text, is_ours in texts.items():
        if "," not in text:  # a space group follows, which pymatgen does not read
            with contextlib.nullcontext() if is_ours else contextlib.suppress(FormulaError):
                assert_equals_pymatgen(text)
                compared += 1
    assert compared > 0.9 * len(texts)


elements = st.sampled_from(sorted(SYMBOLS))
units = st.tuples(elements, st.sampled_from(["", "2", "13", "0.5", "1.25"])).map("".join)
groups = st.lists(units, min_size=1, max_size=3).map("".join)
brackets = st.tuples(groups, st.sampled_from(["({})2", "[{}]3", "({})0.5", "{}"])).map(lambda t: t[1].format(t[0]))


@settings(deadline=None)  # the first example pays for the import of pymatgen
@given(st.lists(brackets, min_size=1, max_size=4).map("".join))
def test_equals_pymatgen_on_generated_formulas(text: str) -> None:
    assume(not re.search(r"\([IV]+\)", text))  # (V) may be an oxidation state, and is refused
    assert_equals_pymatgen(text)


def test_parsing_imports_nothing_heavy() -> None:
    code = "import sys, matstrata.schemas.composition; print([m for m in ('numpy', 'pymatgen', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Fe(III)Cl3", "charged"),  # not Fe with four iodines
        ("Fe2(III)O3", "charged"),
        ("V(IV)O2", "charged"),
        ("Fe(III)2O3", "charged"),
        ("Fe (III) Cl3", "charged"),
        ("Cu(I)2O", "charged"),
        ("GaAs 1.42", "syntax"),  # a value that lost its column
        ("[2H]2O", "syntax"),  # not H4O
        ("(13C)O2", "syntax"),
        ("GaN 186", "syntax"),  # the space group, not 186 nitrogens
        ("YBa2Cu3O7-d", "variable_amount"),
        ("LaNi5Hₓ", "variable_amount"),
    ],
)
def test_what_would_parse_as_something_else_is_refused(text: str, rule: str) -> None:
    with pytest.raises(FormulaError) as refusal:
        parse_formula(text)
    assert refusal.value.rule_id == f"formula.{rule}"


@pytest.mark.parametrize(
    ("text", "material_id"),
    [("SiO 2", "O2Si"), ("C 12 H 22 O 11", "C12H22O11"), ("Mg(2H2O)", "H4MgO2"), ("Hg(I)2", "HgI2"), ("KI", "IK")],
)
def test_blanks_brackets_and_iodine_stay_what_they_were(text: str, material_id: str) -> None:
    assert parse_formula(text).material_id == material_id


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Pb(Zr,Ti)O3", "give each its amount"),
        ("Cu1,8S", "write decimals with a point"),
        ("Ti-6Al-4V", "amounts of atoms"),
        ("0.7BaTiO3-0.3SrTiO3", "join compounds by ·"),
        ("Fe0.95(1)O", "leave out a number"),
        ("MoS2 (2H)", "(2H) names an isotope or a polytype"),
        ("w-ZnO", "a column of its own"),
        ("Fe2\u041e3", "CYRILLIC CAPITAL LETTER O"),
    ],
)
def test_a_refusal_fits_what_people_mean(text: str, advice: str) -> None:
    assert advice in str(refusal(text))
