"""The published figures, recomputed from published predictions; the official folds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from matstrata.pipelines.benchmarks.tasks import Task, read_task
from matstrata.pipelines.ingest.fetching.files import locate_all
from matstrata.schemas.benchmarks import benchmarks, get_benchmark
from matstrata.schemas.errors import InputError


def task(name: str, mirror: str, cache: Path) -> Task:
    spec = get_benchmark(name)
    mirrors = [Path(folder) for folder in mirror.split(os.pathsep)]
    located = locate_all({key: (place,) for key, place in spec.files.items()}, cache=cache, mirrors=mirrors)
    return read_task(name, {key: file.path for key, (file,) in located.items()})


def test_the_papers_own_figures_come_out_of_its_predictions(mirror: str, tmp_path: Path) -> None:
    benchmark = task("kauwe2020", mirror, tmp_path)
    assert (benchmark.folds == -1).sum() == 1986
    assert (benchmark.folds == 0).sum() == 497
    assert benchmark.published["svr"]["rmse"] == pytest.approx(0.606, abs=0.001)
    assert benchmark.published["ensemble"]["rmse"] == pytest.approx(0.549, abs=0.001)
    assert benchmark.published["ensemble"]["mae"] == pytest.approx(0.369, abs=0.001)


def test_the_official_folds_are_those_of_the_leaderboard(mirror: str, tmp_path: Path) -> None:
    benchmark = task("matbench_expt_gap", mirror, tmp_path)
    assert np.bincount(benchmark.folds).tolist() == [921, 921, 921, 921, 920]
    assert benchmark.published["darwin"]["mae"] == pytest.approx(0.2865, abs=0.001)
    assert benchmark.published["darwin"]["mae_nonmetal"] == pytest.approx(0.559, abs=0.001)
    assert benchmark.published["saasbo_crabnet"]["mae_nonmetal"] == pytest.approx(0.537, abs=0.001)


def test_every_benchmark_names_its_make_up() -> None:
    assert set(benchmarks()) == {"kauwe2020", "matbench_expt_gap", "formation_enthalpy", "refractive_index"}
    for spec in benchmarks().values():
        assert spec.files or spec.target
    with pytest.raises(InputError, match="choose one of: kauwe2020"):
        get_benchmark("kauwe")
