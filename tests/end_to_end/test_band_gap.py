"""The second property, from pinned files in a mirror: measured gaps with computed ones from two databases."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.workplace import Workplace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gaps(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("band_gap"), {"MATSTRATA_MIRROR": mirror})
    place.run("run", "band_gap")
    return place


def test_every_record_is_accepted_or_rejected(gaps: Workplace) -> None:
    counts = gaps.rows(
        "SELECT source, rows_in, rows_accepted, rows_rejected, (SELECT count(DISTINCT source_record) FROM observations o "
        "WHERE o.source = s.source) AS accepted, (SELECT count(DISTINCT source_record) FROM rejections r "
        "WHERE r.source = s.source) AS rejected FROM sources s ORDER BY source"
    )
    assert {row["source"]: row["rows_in"] for row in counts} == {
        "aflow_gaps": 27577,
        "gllbsc_gaps": 2398,
        "matbench_mp_e_form": 132752,
        "matbench_mp_gap": 106113,
        "oqmd_gaps": 341608,
        "snumat_gaps": 10481,
        "zhuo_2018_gaps": 6354,
    }
    for row in counts:
        assert (row["accepted"], row["rejected"]) == (row["rows_accepted"], row["rows_rejected"])
        assert row["rows_in"] == row["accepted"] + row["rejected"]


def test_repeated_measurements_scatter_as_is_known_of_them(gaps: Workplace) -> None:
    noise = gaps.value("SELECT value FROM model_metrics WHERE metric = 'pooled_sd' LIMIT 1")
    assert noise == pytest.approx(0.16, abs=0.01)


def test_computed_gaps_lower_the_error_and_intervals_hold(gaps: Workplace) -> None:
    rows = gaps.rows(
        "SELECT setting, subset, metric, m.value FROM model_metrics m JOIN models USING (model_id) "
        "WHERE models.source IS NULL AND serving AND protocol = 'grouped_kfold'"
    )
    figures = {(row["setting"], row["subset"], row["metric"]): row["value"] for row in rows}
    errors = [figures[setting, "all", "mae"] for setting in ("known_dft", "strict", "without_dft", "single", "mean")]
    assert errors == sorted(errors)
    for setting in ("known_dft", "strict", "without_dft"):
        assert 0.88 <= figures[setting, "all", "coverage_90"] <= 0.92
        for subset in ("metal", "non-metal", "in_domain"):
            assert 0.85 <= figures[setting, subset, "coverage_90"] <= 0.95
        assert figures[setting, "in_domain", "mae"] < figures[setting, "out_of_domain", "mae"]


def test_predictions_name_sources_neighbours_and_citations(gaps: Workplace) -> None:
    nitride, selenide = json.loads(gaps.run("predict", "GaN", "Ag0.5Pb1.75GeSe4", "--property", "band_gap", "--json"))
    assert nitride["value"] == pytest.approx(3.4, abs=0.5)
    assert nitride["unit"] == "eV"
    assert {source["source"] for source in nitride["sources"]} == {
        "zhuo_2018_gaps",
        "aflow_gaps",
        "gllbsc_gaps:GLLB-SC",
        "matbench_mp_e_form",
        "matbench_mp_gap",
        "oqmd_gaps",
        "snumat_gaps:HSE06",
        "snumat_gaps:PBE",
    }
    assert nitride["chance_nonzero"] > 0.9
    assert selenide["material_id"] == "Ag2Ge4Pb7Se16"
    assert any("Zhuo" in citation for citation in selenide["citations"])


def test_a_second_run_finds_nothing_to_do(gaps: Workplace) -> None:
    before = gaps.snapshot()
    gaps.run("run", "band_gap")
    assert gaps.snapshot() == before
