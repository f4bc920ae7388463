"""The Magpie descriptors: equal to matminer's, right by the literature, and never silent."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matstrata.pipelines.descriptors.composition import magpie
from matstrata.schemas.composition import parse_formula
from matstrata.schemas.elements import ELEMENTS

NAMES = [column.name for column in magpie.COLUMNS]
WITHOUT_DATA = ("Nh", "Fl", "Mc", "Lv", "Ts", "Og")
COMPOUNDS = """
GaN GaAs ZnO SiO2 TiO2 Fe2O3 Fe3O4 Al2O3 MgAl2O4 CaTiO3 BaTiO3 PbTe PbSe SnSe Bi2Te3 Sb2Te3 CdTe HgTe InSb
YBa2Cu3O7 LiCoO2 LiFePO4 Li7La3Zr2O12 CsPbI3 MnAl2 NaCl KBr CaF2 UO2 ThO2 PuO2 AmF3 HeO XeF2 KrF2 RnF2
FrCl RaCl2 AtI BkO2 CfCl3 EsF3 LrCl3 RfCl4 CnF2 NaN CO CO2 CH4 C60 C6H6 CH3NH3PbI3 HfO2 HF HoN TaC WC
Cu1.8S Hg0.7Cd0.3Te Pb0.999Sn0.001Te Ag0.5Pb1.75GeSe4 Zn0.98Al0.02O Ga0.47In0.53As Na0.33CoO2
CoCrFeMnNi Al0.3CoCrFeNi Zr41.2Ti13.8Cu12.5Ni10Be22.5 Fe80B20 Nd2Fe14B SmCo5 Nb3Sn MgB2 LaH10 H3S
CuSO4(H2O)5 KAl(SO4)2(H2O)12 Ca10(PO4)6(OH)2 Ca5(PO4)3F Mg3Si4O12H2 K4Fe(CN)6 NH4H2PO4 LuAl3(BO3)4
"""
FORMULAS = (*(symbol for symbol in ELEMENTS if symbol not in WITHOUT_DATA), *COMPOUNDS.split())


def lists(*formulas: str) -> tuple[pa.ListArray, pa.ListArray]:
    compositions = [parse_formula(formula) for formula in formulas]
    return (
        pa.array([c.elements for c in compositions], pa.list_(pa.string())),
        pa.array([c.fractions for c in compositions], pa.list_(pa.float64())),
    )


def described(formula: str) -> dict[str, float]:
    matrix, reasons = magpie.compute(*lists(formula))
    assert reasons == [None]
    return dict(zip(NAMES, matrix[0].tolist(), strict=True))


def assert_equal(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)  # atol: a deviation that should be 0


def test_equals_matminer_values_names_and_missing_ones() -> None:
    from matminer.featurizers.composition import ElementProperty  # deferred: 4 s
    from pymatgen.core.composition import Composition

    featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
    theirs = np.array([featurizer.featurize(Composition(formula)) for formula in FORMULAS], dtype=float)
    ours, reasons = magpie.compute(*lists(*FORMULAS))
    assert [column.matminer for column in magpie.COLUMNS] == featurizer.feature_labels()
    assert len(FORMULAS) > 190
    assert set(reasons) == {None}
    assert np.isnan(ours).any(), "the list should include elements with missing properties"
    assert_equal(ours, theirs)


def test_gallium_nitride_has_the_values_of_the_periodic_table() -> None:
    gan = described("GaN")
    assert gan["electronegativity_mean"] == pytest.approx((1.81 + 3.04) / 2)  # Pauling scale
    assert gan["electronegativity_range"] == pytest.approx(3.04 - 1.81)
    assert (gan["atomic_number_min"], gan["atomic_number_max"], gan["atomic_number_mean"]) == (7, 31, 19)
    assert gan["atomic_number_mode"] == 7  # a tie: the smaller one
    assert gan["atomic_weight_mean"] == pytest.approx((69.723 + 14.007) / 2, rel=1e-4)
    assert gan["melting_temperature_max"] == pytest.approx(302.91)  # Ga melts in the hand


def test_the_mode_is_that_of_the_most_abundant_element() -> None:
    assert described("Fe2O3")["atomic_number_mode"] == 8
    assert described("Fe3O")["atomic_number_mode"] == 26


def test_an_element_by_itself_has_no_spread() -> None:
    iron = described("Fe")
    assert iron["atomic_number_mean"] == 26
    assert all(value == 0 for name, value in iron.items() if name.endswith(("_range", "_avg_dev")))


def test_a_missing_property_is_missing_only_where_it_enters() -> None:
    helium = described("HeO")  # no electronegativity of He is known
    assert np.isnan(helium["electronegativity_mean"])
    assert helium["atomic_number_mean"] == 5


@pytest.mark.parametrize(("formula", "element"), [("OgF2", "Og"), ("Nh2O3", "Nh")])
def test_an_element_without_data_costs_its_row_alone_and_says_so(formula: str, element: str) -> None:
    matrix, reasons = magpie.compute(*lists("GaN", formula, "ZnO"))
    assert reasons == [None, f"no Magpie data for element {element}", None]
    assert np.isnan(matrix[1]).all()
    assert not np.isnan(matrix[[0, 2]]).any()


def test_deuterium_and_tritium_have_the_data_of_hydrogen() -> None:
    matrix, reasons = magpie.compute(*lists("H2O", "D2O", "T2O"))
    assert reasons == [None, None, None]
    assert np.array_equal(matrix[0], matrix[1])
    assert np.array_equal(matrix[0], matrix[2])


def test_rows_that_are_no_compositions_say_so() -> None:
    elements = pa.array([[], None, ["Ga", "N"], ["Ga", "N"], ["Xx"], ["Fe"]], pa.list_(pa.string()))
    fractions = pa.array([[], None, [0.5, None], [1.0, 0.0], [1.0], [1.0]], pa.list_(pa.float64()))
    matrix, reasons = magpie.compute(elements, fractions)
    assert reasons == [
        "the composition has no elements",
        "the composition has no elements",
        "the fraction of N is not a positive number",
        "the fraction of N is not a positive number",
        "no Magpie data for element Xx",
        None,
    ]
    assert np.isnan(matrix[:5]).all()


def test_nothing_in_nothing_out() -> None:
    matrix, reasons = magpie.compute(*lists())
    assert matrix.shape == (0, 132)
    assert reasons == []


def test_lists_that_do_not_match_are_an_error() -> None:
    elements, _ = lists("GaN")
    _, fractions = lists("Fe2O3Y")
    with pytest.raises(ValueError, match="one fraction per element"):
        magpie.compute(elements, fractions)
    with pytest.raises(ValueError, match="symbol is null"):
        magpie.compute(pa.array([["Ga", None]]), pa.array([[0.5, 0.5]]))


def test_a_slice_of_a_larger_array_is_just_as_good() -> None:
    elements, fractions = lists(*FORMULAS)
    whole, _ = magpie.compute(elements, fractions)
    part, _ = magpie.compute(elements[100:120], fractions[100:120])
    np.testing.assert_array_equal(part, whole[100:120])


parts = st.dictionaries(
    st.sampled_from([symbol for symbol in ELEMENTS if symbol not in WITHOUT_DATA]),
    st.floats(0.001, 1000),
    min_size=1,
    max_size=8,
)


@given(st.lists(parts, min_size=1, max_size=4), st.floats(0.01, 100), st.randoms())
def test_order_and_scale_do_not_matter(rows: list[dict[str, float]], factor: float, shuffle: object) -> None:
    def arrays(rows: list[dict[str, float]]) -> tuple[pa.ListArray, pa.ListArray]:
        return pa.array([list(row) for row in rows]), pa.array([list(row.values()) for row in rows])

    changed = [{s: row[s] * factor for s in shuffle.sample(sorted(row), len(row))} for row in rows]  # type: ignore[attr-defined]
    assert_equal(magpie.compute(*arrays(rows))[0], magpie.compute(*arrays(changed))[0])


def test_columns_are_named_for_sql() -> None:
    assert len(NAMES) == len(set(NAMES)) == 132
    assert all(name.isidentifier() and name.islower() for name in NAMES)
    assert {"melting_temperature_range", "gs_volume_per_atom_avg_dev", "electronegativity_mode"} <= set(NAMES)
    assert next(c.unit for c in magpie.COLUMNS if c.name == "gs_band_gap_mean") == "eV"


def test_the_tables_that_are_read_can_be_hashed() -> None:
    files = magpie.FEATURE_SET.data_files
    assert len(files) == 22
    assert all(path.is_file() for path in files)


def test_computing_imports_neither_matminer_nor_pymatgen() -> None:
    code = (
        "import sys, pyarrow as pa; from matstrata.pipelines.descriptors.composition import magpie;"
        "magpie.compute(pa.array([['Fe']]), pa.array([[1.0]]));"
        "print([name for name in ('matminer', 'pymatgen') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
