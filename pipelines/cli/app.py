"""The `matstrata` command. Each subcommand parses its words, calls a package, and prints.

Everything heavy is imported by the subcommand that needs it: `matstrata --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from matstrata.pipelines.cli.benchmark import benchmark
from matstrata.pipelines.cli.console import dagster_home, err, open_page, out, plain, progress
from matstrata.pipelines.cli.dataset import dataset
from matstrata.pipelines.cli.features import features
from matstrata.pipelines.cli.migrate import migrate
from matstrata.pipelines.cli.models import models
from matstrata.pipelines.cli.releases import release
from matstrata.pipelines.cli.sources import sources
from matstrata.pipelines.cli.stats import stats
from matstrata.pipelines.cli.store import store
from matstrata.schemas.contracts import Kind

app = typer.Typer(
    name="matstrata",
    help="Materials data from many sources in one validated, versioned store: SQL, descriptors, stacked predictions.",
    epilog="Start with 'matstrata run'; 'matstrata status' shows the settings. "
    "Exit codes: 0 done, 1 the work failed, 2 the request or its input was wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sources, name="sources")
app.add_typer(models, name="models")
app.add_typer(features, name="features")
app.add_typer(dataset, name="dataset")
app.add_typer(release, name="release")
app.add_typer(store)
app.command()(benchmark)

PropertyOption = Annotated[
    str | None, typer.Option("--property", "-p", help="What to predict; needed where several properties have a model.")
]


class Format(StrEnum):
    """How `sql` prints its result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@app.command()
def run(
    properties: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROPERTY]...", help="Which properties to build, e.g. band_gap.  [default: refractive_index]"
        ),
    ] = None,
) -> None:
    """Do everything: ingest, validate, describe, train, stack, predict, report.

    What did not change since the last run is not done again. The default needs no network: its two sources come with
    the installed packages. 'matstrata run band_gap' needs pinned files, from MATSTRATA_MIRROR or the network.
    """
    from matstrata.pipelines.ingest.sources import locate_sources
    from matstrata.schemas.ensembles import get_ensemble

    specs = [get_ensemble(name) for name in properties or ["refractive_index"]]
    locate_sources(source for spec in specs for source in spec.source_names)
    with progress("starting"):
        from matstrata.pipelines.definitions import execute  # deferred: 3 s, Dagster

        for spec in specs:
            execute(spec)
    from matstrata.pipelines.cli.summary import print_summary
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    for spec in specs:
        print_summary(out, Lake.of(Settings()), spec)


@app.command()
def refresh(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Which sources.  [default: all]")
    ] = None,
) -> None:
    """Bring sources up to date: what did not change is not read, and only what differs is written.

    Pinned files come from the cache, from MATSTRATA_MIRROR, or from the network. A source that fails costs no other.
    """
    from matstrata.pipelines.cli.runs import bring_up_to_date
    from matstrata.pipelines.ingest.sources import known_sources

    wanted = names or known_sources()
    with progress("starting"):
        failed = bring_up_to_date(wanted)
    for source, reason in failed.items():
        err.print(f"[bold red]failed:[/] {plain(source)}: {plain(reason)}", soft_wrap=True)
    done = len(set(wanted) - failed.keys())
    out.print(f"{done} of {len(wanted)} sources are up to date; 'matstrata sources list' shows them.")
    if failed:
        raise typer.Exit(1)


@app.command()
def conflicts(
    property: Annotated[str, typer.Argument(metavar="PROPERTY", help="E.g. band_gap.")],
    kind: Annotated[
        Kind, typer.Option(help="Whose values to compare; computed ones differ by their method.")
    ] = "experiment",
    limit: Annotated[int, typer.Option(min=1, help="How many to print.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all of them.")] = False,
) -> None:
    """List materials about which sources of one kind disagree by more than measurements scatter, the worst first."""
    import json

    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.lake.lake import Lake
    from matstrata.store.lake.views import TIMES
    from matstrata.store.records.conflicts import conflicts as find
    from matstrata.store.settings import Settings

    threshold, rows = find(Lake.of(Settings()), property, kind)
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    keys = ["material_id", "source_a", "value_a", "n_a", "source_b", "value_b", "n_b", "difference", "remark"]
    out.print(grid(keys, [[row[key] for key in keys] for row in rows[:limit]]))
    out.print(
        f"{len(rows):,} pairs of labels of {property} contradict each other: "
        f"{sum(row['difference'] > threshold for row in rows):,} differ by more than {threshold:.3g}, {TIMES:g} times "
        "the scatter of repeated measurements; the others are explained by the remark."
    )


@app.command()
def cite(
    things: Annotated[
        list[str],
        typer.Argument(metavar="THING...", help="Sources, training sets, models (ids or beginnings), properties."),
    ],
) -> None:
    """Print BibTeX for whatever was used: sources, a training set, a model, the predictions of a property."""
    from matstrata.store.citations import cite as find
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    sys.stdout.write("\n\n".join(find(Lake.of(Settings()), things)) + "\n")


@app.command(context_settings={"ignore_unknown_options": True})  # SQL may begin with a comment: -- …
def sql(
    statement: Annotated[
        str | None,
        typer.Argument(metavar="[SQL]", help="One reading statement, e.g. 'SHOW ALL TABLES'.  [default: ask for some]"),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to print the result.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Ask the store as it was: a snapshot, a release, or a time (UTC).")
    ] = None,
) -> None:
    """Query the store. Read-only; it can't reach files or the network. Without SQL, a prompt; or SQL from a pipe.

    Tables: sources, materials, observations, rejections, validations, feature_sets, features.<name>_v<version>,
    training_sets, models, model_metrics, out_of_fold, learning_curves, importances, effects, predictions. Views:
    labels, labels_wide, coverage, conflicts, lineage, replicate_noise. 'DESCRIBE observations' shows columns. Ctrl-C
    stops a statement.
    """
    from matstrata.pipelines.cli.sql import ask
    from matstrata.pipelines.cli.tables import write_result
    from matstrata.store.lake.as_of import resolve_as_of
    from matstrata.store.lake.lake import Lake
    from matstrata.store.lake.query import connect_locked
    from matstrata.store.settings import Settings

    lake = Lake.of(Settings())
    con = connect_locked(lake, None if as_of is None else resolve_as_of(lake, as_of))
    # rows that run over the terminal are progress enough
    quiet = output is None and format != Format.TABLE and sys.stdout.isatty()

    def run(text: str) -> None:
        ask(con, text, lambda result: write_result(result, format, output, out), quiet=quiet)

    try:
        if statement is not None:
            run(statement)
            return
        from matstrata.pipelines.cli.sql_prompt import from_stream, prompt

        if sys.stdin.isatty():
            prompt(con, run)
        else:
            from_stream(sys.stdin, run)
    finally:
        con.close()


@app.command()
def predict(
    formulas: Annotated[
        list[str], typer.Argument(metavar="FORMULA...", help="Compositions, e.g. GaN 'Ag0.5Pb1.75GeSe4'.")
    ],
    property: PropertyOption = None,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell, too, which sources and descriptors move each prediction.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object per formula.")] = False,
) -> None:
    """Predict a property: value, 90 % interval, domain, what each source says, measured neighbours, whom to cite."""
    from matstrata.pipelines.cli.tables import print_predictions
    from matstrata.pipelines.serving.predictor import Predictor

    predictor = Predictor.load(property)
    results = predictor.predict(formulas, explain=explain)
    print_predictions(out, results, as_json=as_json)
    if any(result.reason for result in results):
        raise typer.Exit(2)


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the settings and where they come from, and what the store holds."""
    from matstrata.pipelines.cli.tables import print_status
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings, describe
    from matstrata.store.status import summarise

    settings = Settings()
    print_status(out, describe(settings), summarise(Lake.of(settings)), as_json=as_json)


@app.command()
def docs(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Whose page.  [default: the index of all]")
    ] = None,
    *,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, or only print its path.")
    ] = True,
) -> None:
    """Open what validation found: Great Expectations' Data Docs of each source's last refresh; no network is needed.

    Where a source was refused, its page says what was broken; the store still holds what it held.
    """
    from matstrata.pipelines.ingest.validating.data_docs import find_page
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    page = find_page(Lake.of(Settings()), source)
    sys.stdout.write(f"{page}\n")
    if browser:
        open_page(page)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port of the page.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI: assets, checks, runs, schedules. Ends with Ctrl-C."""
    home = dagster_home()
    err.print(f"Dagster UI: http://{host}:{port}  (DAGSTER_HOME={home}; Ctrl-C ends it)")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "matstrata.pipelines.definitions"]
    command += ["-h", host, "-p", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 (our own interpreter; Ctrl-C must reach Dagster itself)


app.command()(stats)
app.command()(migrate)
