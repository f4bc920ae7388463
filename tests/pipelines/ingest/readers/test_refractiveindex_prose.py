"""What comments and references say, in the spellings that occur in the database."""

from __future__ import annotations

import pytest

from matstrata.pipelines.ingest.readers import refractiveindex_prose as prose


@pytest.mark.parametrize(
    ("name", "stated", "comments", "expected"),
    [
        ("Li", "", "297 K (24 °C).", (297.0, None)),
        ("Kato-e", "", "Extraordinary ray (e); 20.0 °C", (293.15, None)),
        ("Kato-e", "", "Extraordinary ray (e). 20–22 °C.", (294.15, None)),
        ("Zelmon-o", "", "Ordinary ray (o); 21-22 °C.", (294.65, None)),
        ("DeBell-20K", "", "20 K (-253.1 °C)", (20.0, None)),
        ("Warren", "-7 °C", "Water ice at -7 °C", (266.15, None)),
        ("Choi", "", "Single crystalline film. Room temperature.", (None, "room temperature")),
        ("Chandler-Horowitz", "", "Room temperatue.", (None, "room temperature")),
        (
            "Peter",
            "",
            "Diamond. Room temperature; no effect in the temperature interval 10 - 30 °C",
            (None, "room temperature"),
        ),
        ("Palm", "", "Magnesium, Room temperature, vacuum annealed 2 hr 350 °C.", (None, "room temperature")),
        ("Li-750K", "", "700 K (477 °C)", (750.0, None)),  # a slip of the database: the file name decides
        ("Coulter-300", "", "Evaporated Rh deposited at 300 °C", (None, None)),
        ("Hass-300C", "", "Thin film deposited at 300 °C", (None, None)),
        ("Larruquert", "", "Density: 6.81 g/cm3. Film deposited at room temperature.", (None, None)),
        ("Koch", "", "Wavelength is λair at 15 °C", (None, None)),
        ("Johnson", "", "", (None, None)),
    ],
)
def test_temperature(name: str, stated: str, comments: str, expected: tuple[float | None, str | None]) -> None:
    assert prose.temperature(name, stated, comments) == expected


@pytest.mark.parametrize(
    ("name", "comments", "expected"),
    [
        ("Malitson-o", "Ordinary ray (o), 20 °C", "ordinary"),
        ("Boyd-o", "Ordinary ray (e)", "ordinary"),
        ("Boyd-20-e", "Extrardinary ray (e); 20 °C", "extraordinary"),
        ("Shi-e-110C", "", "extraordinary"),
        ("Kato-gamma", "nγ; 20 °C.", "gamma"),
        ("Simon-a", "Polarization parallel to a-axis.", "a axis"),
        ("Malitson", "Synthetic sapphire, Ordinary ray (o), 24 °C", "ordinary"),
        ("Johnson", "Room temperature", None),
        ("Olmon-ev", "Evaporated gold", None),
    ],
)
def test_ray(name: str, comments: str, expected: str | None) -> None:
    assert prose.ray(name, comments) == expected


@pytest.mark.parametrize(
    ("name", "comments", "computed"),
    [
        ("Werner-DFT", "Theoretical density function theory (DFT) calculations.", True),
        ("X", "Ab initio calculation.", True),
        ("Rakic-BB", "Fit of experimental data from several sources to Brendel-Bormann (BB) model", False),
        ("Bodurov", "Refractive index of nanoparticles calculated using Bruggeman's effective medium model.", False),
        ("Werner", "Experimental data: Derived from reflection electron energy-loss spectra.", False),
    ],
)
def test_only_electronic_structure_calculations_count_as_computed(name: str, comments: str, computed: bool) -> None:
    assert prose.is_computed(name, comments) is computed


def test_references_keep_their_dois_and_lose_their_markup() -> None:
    markup = (
        '1) A. B. <i>Title of SiO<sub>2</sub></i>, <a href="  https://doi.org/10.1364/JOSA.55.001205"><b>55</b>, 1205</a>'
        '<br>2) C &amp; D, <a href="http://dx.doi.org/doi:10.1/x">E</a> [<a href="https://example.org">script</a>] n<1'
    )
    assert prose.plain_text(markup) == (
        "1) A. B. Title of SiO2, 55, 1205 https://doi.org/10.1364/JOSA.55.001205; "
        "2) C & D, E https://doi.org/10.1/x [script] n<1"
    )


def test_state_lists_what_is_said_once() -> None:
    assert prose.state("Liquid argon at 90 K. A liquid; thin films.") == "liquid, film"
    assert prose.state("Room temperature") is None
