"""The second property, from pinned files in a mirror: measured gaps with computed ones from five databases.

A part of each file, so that the test is short: all records of every 24th measured composition, and of GaN; of computed
ones, every 120th and those of these compositions. The figures of all are those of `matstrata benchmark`
(docs/learning.md).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.schemas.contracts import load_contract
from matstrata.schemas.ensembles import get_ensemble
from tests.end_to_end.conftest import SMALL_MODELS
from tests.end_to_end.workplace import PROJECT, Workplace

pytestmark = pytest.mark.slow

CONTRACTS = PROJECT / "schemas" / "sources"
EVERY = {"zhuo_2018_gaps": 12}  # every 120th of the others; enough that 3 % are two standard errors of a coverage


def elements(line: str) -> frozenset[tuple[str, str]]:
    """What a line's formula, in its first or second column, is made of: K4Mn4O8 in whichever order."""
    first, second, *_ = line.split(",")
    formula = second if first.startswith("SM-") else first
    return frozenset((element, amount or "1") for element, amount in re.findall(r"([A-Z][a-z]?)([\d.]*)", formula))


def cut(source: str, folder: Path, mirrors: list[Path], kept: set[frozenset[tuple[str, str]]]) -> int:
    """Write a contract for a part of a source's files into a folder; returns the number of records in them."""
    shipped = CONTRACTS / f"{source}.yaml"
    files, records = [], 0
    numbers: dict[frozenset[tuple[str, str]], int] = {}  # of compositions: what was measured repeatedly stays together
    for place, file in enumerate(locate(load_contract(shipped).files, cache=folder / "cache", mirrors=mirrors)):
        heading, *lines = file.path.read_text(encoding="utf-8").splitlines(keepends=True)
        every = EVERY.get(source, 120)
        made_of = [elements(line) for line in lines]
        part = [
            line
            for made, line in zip(made_of, lines, strict=True)
            if numbers.setdefault(made, len(numbers)) % every == 0 or made in kept
        ]
        (folder / f"{source}_{place}.csv").write_text("".join([heading, *part]), encoding="utf-8")
        files.append({"path": f"{source}_{place}.csv"})
        records += len(part)
    contract = yaml.safe_load(shipped.read_text(encoding="utf-8")) | {"files": files}
    (folder / shipped.name).write_text(yaml.safe_dump(contract), encoding="utf-8")
    return records


@pytest.fixture(scope="module")
def records(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A folder of contracts, and how many records each has."""
    folder = tmp_path_factory.mktemp("contracts")
    mirrors = [Path(each) for each in mirror.split(os.pathsep)]
    spec = get_ensemble("band_gap")
    counts = {spec.target: cut(spec.target, folder, mirrors, {elements("GaN,")})}
    measured = (folder / f"{spec.target}_0.csv").read_text(encoding="utf-8").splitlines()
    kept = {elements(line) for line in measured[1:]}
    counts |= {source: cut(source, folder, mirrors, kept) for source in spec.source_names if source != spec.target}
    return folder, counts


@pytest.fixture(scope="module")
def gaps(records: tuple[Path, dict[str, int]], tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    variables = {"MATSTRATA_CONTRACTS": str(records[0]), "PYTHONPATH": str(SMALL_MODELS)}
    place = Workplace(tmp_path_factory.mktemp("band_gap"), variables)
    place.run("run", "band_gap")
    return place


def test_every_record_is_accepted_or_rejected(gaps: Workplace, records: tuple[Path, dict[str, int]]) -> None:
    counts = gaps.rows(
        "SELECT source, rows_in, rows_accepted, rows_rejected, (SELECT count(DISTINCT source_record) FROM observations o "
        "WHERE o.source = s.source) AS accepted, (SELECT count(DISTINCT source_record) FROM rejections r "
        "WHERE r.source = s.source) AS rejected FROM sources s ORDER BY source"
    )
    assert {row["source"]: row["rows_in"] for row in counts} == records[1]
    for row in counts:
        assert (row["accepted"], row["rejected"]) == (row["rows_accepted"], row["rows_rejected"])
        assert row["rows_in"] == row["accepted"] + row["rejected"]


def test_repeated_measurements_scatter_as_is_known_of_them(gaps: Workplace) -> None:
    noise = gaps.value("SELECT value FROM model_metrics WHERE metric = 'pooled_sd' LIMIT 1")
    assert noise == pytest.approx(0.16, abs=0.05)


def test_the_learning_curve_falls(gaps: Workplace) -> None:
    curve = gaps.rows(
        "SELECT n_trained, mae FROM learning_curves WHERE setting = 'without_dft' AND subset = 'all' ORDER BY n_trained"
    )
    assert len(curve) == 3
    errors = [point["mae"] for point in curve]
    assert errors == sorted(errors, reverse=True)


def test_computed_gaps_lower_the_error_and_intervals_hold(gaps: Workplace) -> None:
    rows = gaps.rows(
        "SELECT setting, subset, metric, m.value FROM model_metrics m JOIN models USING (model_id) "
        "WHERE models.source IS NULL AND serving AND protocol = 'grouped_kfold'"
    )
    figures = {(row["setting"], row["subset"], row["metric"]): row["value"] for row in rows}
    errors = [figures[setting, "all", "mae"] for setting in ("known_dft", "without_dft", "single", "mean")]
    assert errors == sorted(errors)
    assert figures["known_dft", "all", "mae"] < figures["strict", "all", "mae"] < figures["single", "all", "mae"]
    for setting in ("known_dft", "strict", "without_dft"):
        assert 0.87 <= figures[setting, "all", "coverage_90"] <= 0.93
        for subset in ("metal", "non-metal", "in_domain"):
            assert 0.84 <= figures[setting, subset, "coverage_90"] <= 0.96
        assert figures[setting, "in_domain", "mae"] < figures[setting, "out_of_domain", "mae"]


def test_predictions_name_sources_neighbors_and_citations(gaps: Workplace) -> None:
    nitride, selenide = json.loads(gaps.run("predict", "GaN", "Ag0.5Pb1.75GeSe4", "--property", "band_gap", "--json"))
    assert nitride["value"] == pytest.approx(3.4, abs=0.5)
    assert nitride["unit"] == "eV"
    assert {each["source"] for each in nitride["contributions"]} == {
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
