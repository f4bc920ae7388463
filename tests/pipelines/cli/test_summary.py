"""The errors that `matstrata run` ends with, for ensembles with and without computed sources."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from matstrata.pipelines.cli.summary import _print_errors
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.terms import Baseline, Metric, Setting

ERRORS = {Metric.N: 312.0, Metric.MAE: 0.25, Metric.RMSE: 0.5, Metric.R2: 0.75}


@pytest.mark.parametrize("helpers", [(), ("dft",)])
def test_errors_are_printed_for_every_setting_that_was_evaluated(helpers: tuple[str, ...]) -> None:
    spec = EnsembleSpec(name="band_gap", target="lab", helpers=helpers, features=("magpie",))
    settings = list(Setting) if helpers else [Setting.WITHOUT_DFT]
    figures = {(model, metric): value for model in [*settings, Baseline.MEAN] for metric, value in ERRORS.items()}
    figures |= {(setting, Metric.COVERAGE_90): 0.9 for setting in settings}
    out = io.StringIO()
    _print_errors(Console(file=out, width=160), spec, figures, " (eV)")
    printed = out.getvalue()
    assert "312 materials" in printed
    assert printed.count("90.0%") == len(settings)
    assert printed.count("0.250") == len(settings) + 1
