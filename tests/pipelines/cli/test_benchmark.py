"""The command says what there is, and prints what it found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from matstrata.pipelines.cli.benchmark import Method, _print
from matstrata.pipelines.learning.methods import METHODS


def test_an_unknown_benchmark_is_said_in_a_sentence() -> None:
    command = [Path(sys.executable).with_name("matstrata"), "benchmark", "matbench"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "choose one of: kauwe2020" in " ".join(done.stderr.split())


def test_every_method_can_be_named() -> None:
    assert [*Method] == ["stack", *METHODS, "all"]


def test_ours_stand_beside_the_published(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"mae": 0.1, "rmse": 0.2, "r2": 0.9, "mae_nonmetal": None, "coverage_90": 0.9, "n": 12}
    ends = {"n": 4, "mae": 0.17, "rmse": 0.2, "coverage_90": 0.8, "width_90": 0.63}
    inside = {f"{name}_in_domain": value for name, value in ends.items()}
    gain = {"mae": 0.01, "ci95": [0.0, 0.02], "method": "paired over 5 folds"}
    result = {
        "title": "Test",
        "split_words": "five folds",
        "plain_random_forest": figures,
        "n": 12,
        "unit": "eV",
        "protocols": dict.fromkeys(("strict", "known_dft", "without_dft"), figures | inside),
        "published": {"theirs": {"mae": 0.3, "recomputed": False, "note": "a paper"}},
        "gain_from_dft": {"strict": gain, "known_dft": gain},
        "replicate_noise": 0.15603,
        "seconds": 1.0,
        "methods": {
            "transfer": {"protocols": {"strict": {**figures, "mae": 0.125}}, "summaries": [], "seconds": 1.0},
            "sisso": {"protocols": {"strict": figures}, "summaries": ["gap = 1 + 2 · (a)/(b)"], "seconds": 1.0},
            "delta": {"protocols": {}, "summaries": [], "reason": "no computed source", "seconds": 0.0},
        },
    }
    _print(result, wide=False)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    table = [line.split()[:3] for line in lines]
    assert ["stack", "strict", "0.100"] in table
    assert ["transfer", "strict", "0.125"] in table
    assert ["12", "rows,", "eV"] in table
    assert ["strict", "in", "domain", "0.170", "0.200", "0.800", "0.630", "4"] in [each.split() for each in lines]
    assert "scatter by 0.156 eV" in printed
    assert "sisso: gap = 1 + 2 · (a)/(b)" in printed
    assert "delta: no computed source" in printed
    assert "theirs" in printed
    assert "0.300" in printed
    assert "as printed" in printed
