"""A mistake in a declaration of ensembles is reported in a sentence that names the place."""

import pytest

from matstrata.schemas.ensembles import ensembles, get_ensemble, read_ensembles
from matstrata.schemas.errors import InputError


def test_one_line_adds_a_helper() -> None:
    text = "band_gap: {target: ours, helpers: [a_dft, 'b_dft:HSE06'], features: [magpie]}"
    spec = read_ensembles(text)["band_gap"]
    assert spec.sources == ("ours", "a_dft", "b_dft:HSE06")
    assert spec.source_names == ("ours", "a_dft", "b_dft")
    assert spec.serving_setting == "known_dft"


def test_without_a_computed_source_no_computed_values_serve() -> None:
    spec = read_ensembles("band_gap: {target: ours, helpers: [], features: [magpie]}")["band_gap"]
    assert spec.serving_setting == "without_dft"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("band_gap: {target: ours, helper: [a], features: [magpie]}", "band_gap is not valid: helpers: Field required"),
        ("band_gap: {target: ours, helpers: 3, features: [magpie]}", "helpers: Input should be a valid tuple"),
        ("band_gap: ours", "band_gap: give target, helpers and features"),
        ("bandgap: {target: ours, helpers: [], features: [magpie]}", "bandgap: .*unknown property"),
        ("[]", "one entry for each property"),
        ("band_gap: {", "is not valid YAML"),
    ],
)
def test_a_mistake_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_ensembles(text)


def test_declared_ensembles_can_be_looked_up() -> None:
    assert {get_ensemble(name).name for name in ensembles()} == {"band_gap", "refractive_index"}
    with pytest.raises(
        InputError, match="no ensemble is declared for 'hardness', only for: refractive_index, band_gap"
    ):
        get_ensemble("hardness")
