"""The command says what there is, and prints what it found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.cli_benchmark import _print


def test_an_unknown_benchmark_is_said_in_a_sentence() -> None:
    command = [sys.executable, "-m", "pipelines.cli", "benchmark", "matbench"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are: kauwe2020" in " ".join(done.stderr.split())


def test_ours_stand_beside_the_published(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"mae": 0.1, "rmse": 0.2, "r2": 0.9, "mae_nonmetal": None, "coverage_90": 0.9, "n": 12}
    gain = {"mae": 0.01, "ci95": [0.0, 0.02], "method": "paired over 5 folds"}
    result = {
        "title": "Test",
        "split_words": "five folds",
        "plain_random_forest": figures,
        "n": 12,
        "unit": "eV",
        "protocols": dict.fromkeys(("strict", "known_dft", "without_dft"), figures),
        "published": {"theirs": {"mae": 0.3, "recomputed": False, "note": "a paper"}},
        "gain_from_dft": {"strict": gain, "known_dft": gain},
        "seconds": 1.0,
    }
    _print(result)
    printed = capsys.readouterr().out
    assert "theirs" in printed
    assert "0.300" in printed
    assert "as printed" in printed
