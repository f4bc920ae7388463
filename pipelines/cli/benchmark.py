"""`matstrata benchmark`: the ensemble on public rows and splits, beside published figures."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import err, out, plain, progress
from matstrata.schemas.errors import InputError, WorkError


class Method(StrEnum):
    """Ways to join computed sources with experiments."""

    STACK = "stack"
    DELTA = "delta"
    TRANSFER = "transfer"
    SISSO = "sisso"
    ALL = "all"


def benchmark(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="kauwe2020, matbench_expt_gap, formation_enthalpy or refractive_index."),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="Split by grouped_kfold, chemical_system or cluster (each left out in turn).  [default: as published]"
        ),
    ] = None,
    *,
    method: Annotated[
        Method, typer.Option(help="Compare the ensemble (stack) with another way to join sources, or with all.")
    ] = Method.STACK,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: every figure, also by class and by fold.")
    ] = False,
) -> None:
    """Judge the ensemble on a public benchmark, beside published figures on the same rows.

    'strict': no model has seen anything about a test composition, computed values included. 'known_dft': computed
    values of test compositions may be used, measured ones never. Sources that the benchmark needs are brought up to
    date first; a first time takes some minutes, and their files come from MATSTRATA_MIRROR or the network.
    """
    from matstrata.pipelines.benchmarks.stored import run_benchmark, sources_of
    from matstrata.pipelines.cli.runs import bring_up_to_date
    from matstrata.pipelines.learning.splits import Split
    from matstrata.schemas.benchmarks import get_benchmark
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    spec = get_benchmark(name)
    if split is not None and split not in list(Split):
        raise InputError(f"unknown split {split!r}; there are: {', '.join(Split)}")
    chosen = None if split is None else Split(split)
    others = {Method.STACK: [], Method.ALL: [each for each in Method if each not in (Method.STACK, Method.ALL)]}
    rivals = [each.value for each in others.get(method, [method])]
    with progress("starting"):
        failed = bring_up_to_date(sources_of(spec))
        if failed:
            raise WorkError("; ".join(f"{source}: {reason}" for source, reason in failed.items()))
        result = run_benchmark(Lake.of(Settings()), spec, chosen, rivals)
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    _print(result)


def _print(result: dict[str, Any]) -> None:
    from matstrata.pipelines.cli.tables import grid

    classes = result["protocols"]["strict"]["mae_nonmetal"] is not None
    keys = ["mae", "rmse", "r2", *(["mae_nonmetal"] if classes else []), "coverage_90", "n"]
    names = {"strict": "strict", "known_dft": "known DFT", "without_dft": "experiment alone"}
    rows = [[f"ours, {text}", *_cells(result["protocols"][name], keys)] for name, text in names.items()]
    rows += [["a plain random forest", *_cells(result["plain_random_forest"], keys)]]
    rows += [[name, *_cells(each, keys)] for name, each in result["published"].items()]
    unit = "" if result["unit"] in ("", "1", "dimensionless") else f" {result['unit']}"
    out.print(f"[bold]{plain(result['title'])}[/]: {plain(result['split_words'])}", soft_wrap=True)
    rows_of = f"{result['n']:,} rows{unit and ','}{unit}"
    out.print(grid([rows_of, *keys], rows))
    for name, each in result["published"].items():
        how = "computed anew" if each["recomputed"] else "as printed"
        out.print(f"[dim]{plain(name)}: {plain(each['note'])}; {how}[/]", soft_wrap=True)
    _print_subgroups(result, names)
    if (noise := result["replicate_noise"]) is not None:
        out.print(f"Repeated measurements of one material scatter by {noise:.3g}{unit} (pooled standard deviation).")
    _print_rivals(result, names, keys)
    for name, gain in result["gain_from_dft"].items():
        low, high = gain["ci95"]
        out.print(
            f"{names[name]}: DFT lowers the MAE by {gain['mae']:.4f} (95 % interval {low:.4f} to {high:.4f}, "
            f"{gain['method']})"
        )
    err.print(f"{result['seconds']:.0f} s of learning")


def _print_subgroups(result: dict[str, Any], settings: dict[str, str]) -> None:
    """Errors and 90 % intervals of the classes, and inside and outside of the domain."""
    from matstrata.pipelines.cli.tables import grid

    keys = ["mae", "rmse", "coverage_90", "width_90", "n"]
    subsets = {"metal": "metals", "nonmetal": "non-metals", "in_domain": "in domain", "out_of_domain": "out of domain"}
    rows = []
    for setting in ("strict", "known_dft"):
        figures = result["protocols"][setting]
        there = {end: text for end, text in subsets.items() if figures.get(f"n_{end}") not in (None, figures["n"])}
        rows += [
            [settings[setting], text, *_cells(figures, [f"{key}_{end}" for key in keys])] for end, text in there.items()
        ]
    out.print(grid(["setting", "rows", *keys], rows))


def _print_rivals(result: dict[str, Any], settings: dict[str, str], keys: list[str]) -> None:
    """The stack and the other methods in one table, where others were asked for."""
    from matstrata.pipelines.cli.tables import grid

    if not (rivals := result["methods"]):
        return
    shown = [key for key in keys if key != "coverage_90"]
    stack = {name: result["protocols"][name] for name in ("strict", "known_dft")}
    rows = []
    for method, found in {"stack": {"protocols": stack}, **rivals}.items():
        rows += [[method, settings[name], *_cells(each, shown)] for name, each in found["protocols"].items()]
    out.print(grid(["method", "setting", *shown], rows))
    for method, found in rivals.items():
        for line in [found["reason"]] if "reason" in found else found["says"]:
            out.print(f"[dim]{plain(method)}: {plain(line)}[/]", soft_wrap=True)


def _cells(figures: dict[str, Any], keys: list[str]) -> list[str]:
    def cell(value: Any) -> str:
        return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"

    return [cell(figures.get(key)) for key in keys]
