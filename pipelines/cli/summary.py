"""The few lines with which `matstrata run` ends. Not here: all the rest, which the report has (`pipelines.reports`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.cli.console import plain
from matstrata.pipelines.cli.tables import print_grid
from matstrata.pipelines.reports.report import report_path
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.terms import MEASUREMENT, POOLED_SD, Baseline, Metric, Setting
from matstrata.schemas.units import unit_suffix
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.models import serving

if TYPE_CHECKING:
    from rich.console import Console

_SETTINGS = {
    Baseline.MEAN: "the mean of what was measured",
    Baseline.SINGLE: "a plain random forest",
    Setting.WITHOUT_DFT: "stack on {target} alone",
    Setting.STRICT: "stack with {helpers}, test compositions unseen",
    Setting.KNOWN_DFT: "stack with {helpers}, test compositions' computed values known",
}
"""What each setting of the evaluation is, in a few words."""


def print_summary(console: Console, lake: Lake, spec: EnsembleSpec) -> None:
    """Print the results of a run: records, materials, features, errors, and where to go from here."""
    with lake.reader() as con:

        def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            return con.execute(statement, list(values)).fetchall()

        sources = rows(
            "SELECT source, kind, rows_in, rows_accepted, rows_rejected FROM sources "
            "WHERE source IN (SELECT unnest(?))",
            list(spec.source_names),
        )
        features = rows(
            "SELECT name, version, len(columns), rows FROM feature_sets QUALIFY version = "
            "arg_max(version, (coalesce(current, false), version)) OVER (PARTITION BY name) ORDER BY name"
        )
        materials = rows("SELECT count(*) FROM materials")[0][0]
        model_id = serving(lake, spec.name)["model_id"]
        figures = {
            (setting, metric): value
            for setting, metric, value in rows(
                "SELECT setting, metric, value FROM model_metrics WHERE model_id = ? AND subset = 'all' "
                "AND protocol IN ('grouped_kfold', 'replicates')",
                model_id,
            )
        }
        snapshot = current_snapshot(con)
    unit = unit_suffix(spec.predicts.unit)
    console.print(f"\n[bold]{plain(spec.predicts.title)}[/]   store snapshot {snapshot}, model {plain(model_id)}\n")
    _print_sources(console, spec, sources)
    listed = ", ".join(f"{name} v{version} ({columns} columns, {n:,} rows)" for name, version, columns, n in features)
    console.print(f"  {materials:,} materials; features {plain(listed)}\n")
    _print_errors(console, spec, figures, unit)
    noise = figures.get((MEASUREMENT, POOLED_SD))
    if noise is not None:
        console.print(
            f"  Repeated measurements of one material scatter by {noise:.3g}{plain(unit)} (pooled standard deviation)."
        )
    _print_directions(console, lake, spec, [f"{name}_v{version}" for name, version, *_ in features])


def _print_sources(console: Console, spec: EnsembleSpec, sources: list[tuple[Any, ...]]) -> None:
    ordered = sorted(sources, key=lambda row: spec.source_names.index(row[0]))
    print_grid(console, ("source", "kind", "records in", "accepted", "rejected"), ordered, least=("kind",))


def _print_errors(console: Console, spec: EnsembleSpec, figures: dict[tuple[str, str], float], unit: str) -> None:
    n = int(figures[spec.serving_setting, Metric.N])
    titles = (f"out of fold, by group, {n:,} materials", f"MAE{unit}", f"RMSE{unit}", "R²", "in 90 % interval")
    names = {"target": spec.target, "helpers": " and ".join(spec.helpers)}
    rows = []
    for setting, text in _SETTINGS.items():
        if (setting, Metric.MAE) not in figures:
            continue
        coverage = figures.get((setting, Metric.COVERAGE_90))
        errors = (f"{figures[setting, metric]:.3f}" for metric in (Metric.MAE, Metric.RMSE, Metric.R2))
        rows.append([text.format(**names), *errors, "" if coverage is None else f"{coverage:.1%}"])
    print_grid(console, titles, rows, numeric=titles[1:], least=(f"RMSE{unit}",))


def _print_directions(console: Console, lake: Lake, spec: EnsembleSpec, features: list[str]) -> None:
    command = os.path.relpath(sys.argv[0]) if Path(sys.argv[0]).name == "matstrata" else "matstrata"
    highest = f"WHERE property = '{spec.name}' ORDER BY value DESC LIMIT 10"
    queries = (
        f"SELECT material_id, value, n_observations, spread FROM labels {highest}",
        "SELECT source, rule_id, count(*) AS records FROM rejections GROUP BY ALL ORDER BY records DESC",
        f"SELECT * EXCLUDE (model_id) FROM predictions JOIN features.{features[-1]} USING (material_id) {highest}",
    )
    console.print(f"\n  Store   {plain(lake.address)}", soft_wrap=True, highlight=False)
    console.print(f"  Report  {plain(report_path(lake, spec.name))}", soft_wrap=True, highlight=False)
    console.print(f"  UI      {plain(command)} ui")
    console.print(f"  Ask     {plain(command)} predict GaN --property {spec.name}")
    console.print("  SQL     three to try:")
    for query in queries:
        console.print(f'    {command} sql "{query}"', soft_wrap=True, highlight=False, markup=False)
