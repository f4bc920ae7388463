"""The command `matstrata benchmark`: the ensemble on public rows and splits, compared with published figures.

Not here: the evaluation (`pipelines.benchmarks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import err, get_lake, out, plain, print_json, progress
from matstrata.pipelines.cli.options import AsJson, Wide
from matstrata.pipelines.cli.tables import print_grid
from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.terms import Metric, Setting, Subset
from matstrata.schemas.units import unit_suffix


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
            help="Split by grouped_kfold, chemical_system or cluster (each left out in turn).",
            show_default="as published",
        ),
    ] = None,
    *,
    method: Annotated[
        Method, typer.Option(help="Compare the ensemble (stack) with another way to join sources, or with all.")
    ] = Method.STACK,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate the ensemble on a public benchmark, and compare it with published figures on the same rows.

    'strict': no model has seen anything about a test composition, computed values included. 'known_dft': computed
    values of test compositions may be used, measured ones never. Sources that the benchmark needs are brought up to
    date first; a first time takes some minutes, and their files come from MATSTRATA_MIRROR or the network.
    """
    from matstrata.pipelines.benchmarks.running import run_benchmark, sources_of
    from matstrata.pipelines.cli.runs import bring_up_to_date
    from matstrata.schemas.benchmarks import get_benchmark
    from matstrata.schemas.terms import Split

    spec = get_benchmark(name)
    if split is not None and split not in list(Split):
        raise InputError(f"unknown split {split!r}; there are: {', '.join(Split)}")
    methods = {Method.STACK: [], Method.ALL: [each for each in Method if each not in (Method.STACK, Method.ALL)]}
    rivals = [each.value for each in methods.get(method, [method])]
    with progress("starting"):
        failed = bring_up_to_date(sources_of(spec))
        if failed:
            raise WorkError("; ".join(f"{source}: {reason}" for source, reason in failed.items()))
        result = run_benchmark(get_lake(), spec, None if split is None else Split(split), rivals)
    if as_json:
        print_json(result)
        return
    _print(result, wide=wide)


ERRORS = (Metric.MAE, Metric.RMSE, Metric.R2)
SETTING_TITLES = {
    Setting.STRICT: "strict",
    Setting.KNOWN_DFT: "known DFT",
    Setting.WITHOUT_DFT: "experiment alone",
}


def _print(result: dict[str, Any], *, wide: bool) -> None:
    has_classes = result["protocols"][Setting.STRICT]["mae_nonmetal"] is not None
    keys = [*ERRORS, *(["mae_nonmetal"] if has_classes else []), Metric.COVERAGE_90, Metric.N]
    names = SETTING_TITLES
    rows = [[f"ours, {text}", *_cells(result["protocols"][name], keys)] for name, text in names.items()]
    rows += [["a plain random forest", *_cells(result["plain_random_forest"], keys)]]
    rows += [[name, *_cells(figures, keys)] for name, figures in result["published"].items()]
    unit = unit_suffix(result["unit"])
    out.print(f"[bold]{plain(result['title'])}[/]: {plain(result['split_words'])}\n", soft_wrap=True)
    rows_of = f"{result['n']:,} rows{unit and ','}{unit}"
    print_grid(out, [rows_of, *keys], rows, wide=wide, numeric=keys)
    for name, published in result["published"].items():
        origin = "computed here" if published["recomputed"] else "as printed"
        out.print(f"[dim]{plain(name)}: {plain(published['note'])}; {origin}[/]", soft_wrap=True)
    _print_subgroups(result, names, wide=wide)
    if (noise := result["replicate_noise"]) is not None:
        out.print(f"Repeated measurements of one material scatter by {noise:.3g}{unit} (pooled standard deviation).")
    _print_rivals(result, names, keys, wide=wide)
    for name, gain in result["gain_from_dft"].items():
        low, high = gain["ci95"]
        out.print(
            f"{names[name]}: DFT lowers the MAE by {gain['mae']:.4f} (95 % interval {low:.4f} to {high:.4f}, "
            f"{gain['method']})"
        )
    err.print(f"{result['seconds']:.0f} s of learning")


def _print_subgroups(result: dict[str, Any], settings: Mapping[Setting, str], *, wide: bool) -> None:
    """Errors and 90 % intervals of the classes, and inside and outside of the domain."""
    keys = [Metric.MAE, Metric.RMSE, Metric.COVERAGE_90, Metric.WIDTH_90, Metric.N]
    subsets = {
        "metal": "metals",
        "nonmetal": "non-metals",
        Subset.IN_DOMAIN: "in domain",
        Subset.OUT_OF_DOMAIN: "out of domain",
    }
    rows = []
    for setting in (Setting.STRICT, Setting.KNOWN_DFT):
        figures = result["protocols"][setting]
        parts = {end: text for end, text in subsets.items() if figures.get(f"n_{end}") not in (None, figures["n"])}
        rows += [
            [settings[setting], text, *_cells(figures, [f"{key}_{end}" for key in keys])] for end, text in parts.items()
        ]
    print_grid(out, ["setting", "rows", *keys], rows, wide=wide, numeric=keys)


def _print_rivals(result: dict[str, Any], settings: Mapping[Setting, str], keys: Sequence[str], *, wide: bool) -> None:
    """The stack and the other methods in one table, if a comparison was requested."""
    if not (rivals := result["methods"]):
        return
    compared = [key for key in keys if key != Metric.COVERAGE_90]
    stack = {name: result["protocols"][name] for name in (Setting.STRICT, Setting.KNOWN_DFT)}
    rows = []
    for method, outcome in {"stack": {"protocols": stack}, **rivals}.items():
        rows += [[method, settings[name], *_cells(each, compared)] for name, each in outcome["protocols"].items()]
    print_grid(out, ["method", "setting", *compared], rows, wide=wide, numeric=compared)
    for method, outcome in rivals.items():
        for line in [outcome["reason"]] if "reason" in outcome else outcome["summaries"]:
            out.print(f"[dim]{plain(method)}: {plain(line)}[/]", soft_wrap=True)


def _cells(figures: dict[str, Any], keys: list[str]) -> list[str]:
    def cell(value: Any) -> str:
        return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"

    return [cell(figures.get(key)) for key in keys]
