"""The few lines that `matstrata run` ends with. The report says the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.cli.plain import plain_table
from matstrata.pipelines.reports.report import report_path
from matstrata.pipelines.reports.wording import SETTINGS_IN_SHORT
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.models import serving

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_summary(console: Console, lake: Lake, spec: EnsembleSpec) -> None:
    """Print what a run came to: records, materials, features, errors, and where to go from here."""
    with lake.reader() as con:

        def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            return con.execute(statement, list(values)).fetchall()

        sources = rows(
            "SELECT source, kind, rows_in, rows_accepted, rows_rejected FROM sources "
            "WHERE source IN (SELECT unnest(?))",
            list(spec.source_names),
        )
        features = rows(
            "SELECT name, max(version), arg_max(len(columns), version), arg_max(rows, version) "
            "FROM feature_sets GROUP BY name ORDER BY name"
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
    unit = "" if spec.predicts.unit == "1" else f" {spec.predicts.unit}"
    console.print(f"\n[bold]{spec.predicts.title}[/]   store snapshot {snapshot}, model {model_id}\n")
    console.print(_sources_table(spec, sources))
    listed = ", ".join(f"{name} v{version} ({columns} columns, {n:,} rows)" for name, version, columns, n in features)
    console.print(f"  {materials:,} materials; features {listed}\n")
    console.print(_errors_table(spec, figures, unit))
    noise = figures.get(("measurement", "pooled_sd"))
    if noise is not None:
        console.print(
            f"  Repeated measurements of one material scatter by {noise:.3g}{unit} (pooled standard deviation)."
        )
    _print_directions(console, lake, spec, [f"{name}_v{version}" for name, version, *_ in features])


def _sources_table(spec: EnsembleSpec, sources: list[tuple[Any, ...]]) -> Table:
    table = plain_table(("source", "kind", "records in", "accepted", "rejected"), numeric=(2, 3, 4))
    for source, kind, *counts in sorted(sources, key=lambda row: spec.source_names.index(row[0])):
        table.add_row(source, kind, *(f"{count:,}" for count in counts))
    return table


def _errors_table(spec: EnsembleSpec, figures: dict[tuple[str, str], float], unit: str) -> Table:
    n = int(figures["known_dft", "n"])
    titles = (f"out of group, {n:,} materials", f"MAE{unit}", f"RMSE{unit}", "R²", "in 90 % interval")
    table = plain_table(titles, numeric=(1, 2, 3, 4))
    names = {"target": spec.target, "helpers": " and ".join(spec.helpers)}
    for setting, text in SETTINGS_IN_SHORT.items():
        if (setting, "mae") not in figures:
            continue
        coverage = figures.get((setting, "coverage_90"))
        table.add_row(
            text.format(**names),
            *(f"{figures[setting, metric]:.3f}" for metric in ("mae", "rmse", "r2")),
            "" if coverage is None else f"{coverage:.1%}",
        )
    return table


def _print_directions(console: Console, lake: Lake, spec: EnsembleSpec, features: list[str]) -> None:
    command = os.path.relpath(sys.argv[0]) if Path(sys.argv[0]).name == "matstrata" else "matstrata"
    highest = f"WHERE property = '{spec.name}' ORDER BY value DESC LIMIT 10"
    queries = (
        f"SELECT material_id, value, n_observations, spread FROM labels {highest}",
        "SELECT source, rule_id, count(*) AS records FROM rejections GROUP BY ALL ORDER BY records DESC",
        f"SELECT * EXCLUDE (model_id) FROM predictions JOIN features.{features[-1]} USING (material_id) {highest}",
    )
    console.print(f"\n  Store   {lake.address}", soft_wrap=True, highlight=False)
    console.print(f"  Report  {report_path(lake, spec.name)}", soft_wrap=True, highlight=False)
    console.print(f"  UI      {command} ui")
    console.print(f"  Ask     {command} predict GaN --property {spec.name}")
    console.print("  SQL     three to try:")
    for query in queries:
        console.print(f'    {command} sql "{query}"', soft_wrap=True, highlight=False, markup=False)
