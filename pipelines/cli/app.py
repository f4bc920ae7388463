"""The `matstrata` command. Each subcommand parses its arguments, calls a package, and prints.

Everything heavy is imported by the subcommand that needs it: `matstrata --help` answers at once. Not here: the groups
of commands, each in a module of its name.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from matstrata.pipelines.cli.benchmark import benchmark
from matstrata.pipelines.cli.console import (
    dagster_home,
    err,
    get_lake,
    open_page,
    out,
    plain,
    print_json,
    progress,
    write,
)
from matstrata.pipelines.cli.dataset import dataset
from matstrata.pipelines.cli.features import features
from matstrata.pipelines.cli.migrate import migrate
from matstrata.pipelines.cli.models import models
from matstrata.pipelines.cli.options import CONTEXT, AsJson, Main, Wide, reflow_help
from matstrata.pipelines.cli.releases import release
from matstrata.pipelines.cli.sources import sources
from matstrata.pipelines.cli.stats import stats
from matstrata.pipelines.cli.store import store
from matstrata.schemas.terms import Kind

app = typer.Typer(
    name="matstrata",
    cls=Main,
    help="Materials data from many sources in one validated, versioned store: SQL, descriptors, stacked predictions.",
    epilog="Start with 'matstrata run'; 'matstrata status' shows the settings. "
    "Exit codes: 0 done, 1 the work failed, 2 the request or its input was wrong, 130 and 143 stopped by a signal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)
app.add_typer(sources, name="sources")
app.add_typer(models, name="models")
app.add_typer(features, name="features")
app.add_typer(dataset, name="dataset")
app.add_typer(release, name="release")
app.add_typer(store)
app.command()(benchmark)


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
            metavar="PROPERTY", help="Which properties to build, e.g. band_gap.", show_default="refractive_index"
        ),
    ] = None,
) -> None:
    """Do everything: ingest, validate, describe, train, stack, predict, report.

    What has not changed since the last run is not done again. The default needs no network: its two sources come with
    the installed packages. 'matstrata run band_gap' needs pinned files, from MATSTRATA_MIRROR or the network.
    """
    from matstrata.pipelines.ingest.sources import locate_sources
    from matstrata.schemas.ensembles import get_ensemble

    specs = [get_ensemble(name) for name in properties or ["refractive_index"]]
    locate_sources(source for spec in specs for source in spec.source_names)
    with progress("starting"):
        from matstrata.pipelines.cli.runs import execute  # deferred: 3 s, Dagster

        for spec in specs:
            execute(spec)
    from matstrata.pipelines.cli.summary import print_summary

    for spec in specs:
        print_summary(out, get_lake(), spec)


@app.command()
def refresh(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Which sources.", show_default="all")
    ] = None,
) -> None:
    """Bring sources up to date: what has not changed is not read, and only what differs is written.

    Pinned files come from the cache, from MATSTRATA_MIRROR, or from the network. If one source fails, the rest is
    refreshed all the same.
    """
    from matstrata.pipelines.cli.runs import bring_up_to_date
    from matstrata.pipelines.ingest.sources import known_sources

    requested = names or known_sources()
    with progress("starting"):
        failed = bring_up_to_date(requested)
    for source, reason in failed.items():
        err.print(f"[bold red]failed:[/] {plain(source)}: {plain(reason)}", soft_wrap=True)
    done = len(set(requested) - failed.keys())
    out.print(f"{done} of {len(requested)} sources are up to date; 'matstrata sources list' shows them.")
    if failed:
        raise typer.Exit(1)


@app.command()
def conflicts(
    property: Annotated[str, typer.Argument(metavar="PROPERTY", help="E.g. band_gap.")],
    kind: Annotated[
        Kind, typer.Option(help="Which values to compare; computed ones differ by their method.")
    ] = Kind.EXPERIMENT,
    limit: Annotated[int, typer.Option(min=1, help="How many to print.")] = 20,
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List materials on which sources of one kind disagree by more than measurements scatter, the worst first."""
    from matstrata.pipelines.cli.answers import print_conflicts
    from matstrata.store.records.conflicts import conflicts as find

    threshold, rows = find(get_lake(), property, kind)
    if as_json:
        print_json(rows)
        return
    print_conflicts(out, property, threshold, rows, limit, wide=wide)


@app.command()
def cite(
    subjects: Annotated[
        list[str],
        typer.Argument(metavar="SUBJECT", help="Sources, training sets, models (ids or beginnings), properties."),
    ],
) -> None:
    """Print BibTeX for whatever was used: sources, a training set, a model, the predictions of a property."""
    from matstrata.store.citations import cite as find

    write("\n\n".join(find(get_lake(), subjects)) + "\n")


@app.command(context_settings={"ignore_unknown_options": True})  # SQL may begin with a comment: -- …
def sql(
    statement: Annotated[
        str | None,
        typer.Argument(metavar="SQL", help="One reading statement, e.g. 'SHOW ALL TABLES'.", show_default="a prompt"),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to print the result.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Query the store as it was: a snapshot, a release, or a time (UTC).")
    ] = None,
    *,
    wide: Wide = False,
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
    from matstrata.store.lake.query import connect_locked

    lake = get_lake()
    con = connect_locked(lake, None if as_of is None else resolve_as_of(lake, as_of))
    # rows that run over the terminal are progress enough
    quiet = output is None and format != Format.TABLE and sys.stdout.isatty()

    def run(text: str) -> None:
        ask(con, text, lambda result: write_result(result, format, output, out, wide=wide), quiet=quiet)

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
        list[str], typer.Argument(metavar="FORMULA", help="Compositions, e.g. GaN 'Ag0.5Pb1.75GeSe4'.")
    ],
    property: Annotated[
        str | None,
        typer.Option("--property", "-p", help="What to predict; needed if several properties have a model."),
    ] = None,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also print the effect of each source and descriptor on each prediction.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict a property: value, 90 % interval, domain, contribution of each source, measured neighbors, citations."""
    from matstrata.pipelines.cli.answers import print_predictions
    from matstrata.pipelines.serving.predictor import Predictor

    results = Predictor.load(property).predict(formulas, explain=explain)
    if as_json:
        print_json([result.as_dict() for result in results])
    else:
        print_predictions(out, results)
    if any(result.reason for result in results):
        raise typer.Exit(2)


@app.command()
def status(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show the settings and where they come from, and what the store holds."""
    from matstrata.pipelines.cli.answers import print_status
    from matstrata.store.overview import summarize
    from matstrata.store.settings import Settings, describe

    settings, held = describe(Settings()), summarize(get_lake())
    if as_json:
        print_json({"settings": settings, **held})
        return
    print_status(out, settings, held, wide=wide)


@app.command()
def docs(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="Which source's page.", show_default="the index of all")
    ] = None,
    *,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, or only print its path.")
    ] = True,
) -> None:
    """Open the results of validation: Great Expectations' Data Docs of each source's last refresh; needs no network.

    If a source was refused, its page shows the broken rules; the store still holds what it held.
    """
    from matstrata.pipelines.ingest.validating.data_docs import find_page

    page = find_page(get_lake(), source)
    write(f"{page}\n")
    if browser:
        open_page(page)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port of the page.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI: assets, checks, runs, schedules. Ends with Ctrl-C."""
    home = dagster_home()
    err.print(f"Dagster UI: http://{host}:{port}  (DAGSTER_HOME={plain(home)}; Ctrl-C ends it)")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "matstrata.pipelines.definitions"]
    command += ["-h", host, "-p", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 (our own interpreter; Ctrl-C must reach Dagster itself)


app.command()(stats)
app.command()(migrate)
reflow_help(app)
