"""The command `matstrata sources`: from an unknown file to observations in the store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import err, out, plain, progress

sources = typer.Typer(
    no_args_is_help=True,
    help="Bring in data: draft a contract for a file, check it, add it; see what became of every record.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of a source; 'sources list' shows them.")]
ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract, a YAML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@sources.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all contracts, and what the store holds of each."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.pipelines.ingest.sources import contracts
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings
    from matstrata.store.status import summarise

    held = {row["source"]: row for row in summarise(Lake.of(Settings())).get("sources", [])}
    rows = [
        {
            "source": contract.source,
            "kind": contract.kind,
            "properties": list(contract.properties),
            "records_in": held.get(contract.source, {}).get("rows_in"),
            "accepted": held.get(contract.source, {}).get("rows_accepted"),
            "rejected": held.get(contract.source, {}).get("rows_rejected"),
            "refreshed_at": held.get(contract.source, {}).get("refreshed_at"),
            "title": contract.title,
        }
        for contract in contracts().values()
    ]
    if as_json:
        _print_json(rows)
        return
    names = ["source", "kind", "records in", "accepted", "rejected", "title"]
    keys = ["source", "kind", "records_in", "accepted", "rejected", "title"]
    out.print(grid(names, [[row[key] for key in keys] for row in rows]))


@sources.command()
def show(source: SourceName, *, as_json: AsJson = False) -> None:
    """Show a source: its contract, what it reports, what was refused, how far its replicates scatter."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.pipelines.ingest.sources import get_contract
    from matstrata.store.lake.lake import Lake
    from matstrata.store.records.checks import conservation
    from matstrata.store.records.noise import replicate_noise
    from matstrata.store.records.sources import ingested, reported
    from matstrata.store.settings import Settings

    contract = get_contract(source)
    lake = Lake.of(Settings())
    row = None
    if lake.exists():
        with lake.reader() as con:
            row = ingested(con, source).get(source)
            by_rule = conservation(con, source).by_rule
    shown: dict[str, Any] = {"contract": contract.model_dump(mode="json"), "ingested": row}
    if row is not None:
        shown["reports"] = reported(lake, source)
        shown["rejections"] = dict(by_rule)
        shown["replicate_noise"] = {name: replicate_noise(lake, source, name) for name in contract.properties}
    if as_json:
        _print_json(shown)
        return
    out.print(f"[bold]{plain(contract.title)}[/]\n{plain(contract.description.strip())}\n")
    out.print(
        f"{contract.kind}, {plain(contract.method)}; licence: {plain(contract.licence)}; {contract.homepage or ''}"
    )
    out.print(f"labels: {contract.reconcile.policy}; files: {plain(', '.join(file.label for file in contract.files))}")
    if row is None:
        out.print(f"Not in the store yet: 'matstrata refresh {source}' brings it in.")
        return
    out.print(
        f"{row['rows_in']:,} records in, {row['rows_accepted']:,} accepted, {row['rows_rejected']:,} rejected; "
        f"refreshed {row['refreshed_at']:%Y-%m-%d %H:%M} UTC; files {row['file_sha256'][:12]}…"
    )
    out.print(grid(list(shown["reports"][0]), [list(each.values()) for each in shown["reports"]]))
    for name, noise in shown["replicate_noise"].items():
        if noise is not None:
            out.print(f"Repeated observations of {name} scatter by {noise:.4g} (pooled standard deviation).")
    for rule_id, count in shown["rejections"].items():
        out.print(f"{count:,} records refused by {rule_id}: 'matstrata sources rejections {source} --rule {rule_id}'")


@sources.command()
def rejections(
    source: SourceName,
    rule: Annotated[str | None, typer.Option(help="Only those of this rule.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the records of a source that were refused, with the rule and a sentence each."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.pipelines.ingest.sources import get_contract
    from matstrata.store.lake.lake import Lake
    from matstrata.store.records.sources import rejected
    from matstrata.store.settings import Settings

    get_contract(source)
    rows = rejected(Lake.of(Settings()), source, rule, limit)
    if as_json:
        _print_json(rows)
    elif not rows:
        out.print("none")
    else:
        keys = ["source_record", "rule_id", "reason"]
        out.print(grid(keys, [[row[key] for key in keys] for row in rows]))


@sources.command()
def draft(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV, Excel, JSON, JSON lines or Parquet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the contract here; never over a file.")
    ] = None,
) -> None:
    """Look at an unknown file and write a contract to start from, with the doubts as comments."""
    from matstrata.pipelines.ingest.drafting.draft import draft as draft_contract
    from matstrata.schemas.errors import InputError

    text = draft_contract(file, output.stem if output else None).as_yaml()
    if output is None:
        sys.stdout.write(text)
        return
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{output} can't be written: {error.strerror}; name another file") from error
    err.print(f"Wrote {plain(output)}. Look through its comments, then: matstrata sources check {plain(output)}")


@sources.command()
def check(
    contract: ContractFile,
    examples: Annotated[int, typer.Option(min=1, help="How many examples of each rule.")] = 3,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a contract would accept and refuse, and why, without writing anything."""
    from dataclasses import asdict

    from matstrata.pipelines.cli.tables import grid
    from matstrata.pipelines.ingest.dry_run import dry_run
    from matstrata.pipelines.ingest.sources import locate_files
    from matstrata.schemas.contracts import load_contract
    from matstrata.schemas.errors import InputError

    declared = load_contract(contract)
    with progress("reading"):
        found = dry_run(declared, locate_files(declared), examples)
    if as_json:
        _print_json(asdict(found))
        return
    out.print(
        f"{found.rows_in:,} records: {found.accepted:,} would be accepted as {found.observations:,} observations, "
        f"{found.rows_in - found.accepted:,} refused. Nothing was written."
    )
    if found.examples:
        rows = [list(row.values()) for row in found.examples]
        out.print(grid(list(found.examples[0]), rows, "accepted, for example"))
    for rule_id, count in found.rejected.items():
        refused = [[row["source_record"], row["reason"]] for row in found.refused[rule_id]]
        out.print(grid(["record", "reason"], refused, f"{count:,} refused by {rule_id}, for example"))
    for rule_id, count in found.flagged.items():
        out.print(f"{count:,} observations flagged {rule_id} (kept)")
    if not found.accepted:
        raise InputError("no record would be accepted, so that the source would be refused: mend contract or file")
    out.print(f"To bring it in: matstrata sources add {plain(contract)}")


@sources.command()
def add(
    contract: ContractFile,
    *,
    accept_change: Annotated[
        bool, typer.Option("--accept-change", help="Even if the data differ much from the last refresh.")
    ] = False,
) -> None:
    """Bring in a source; its contract is kept with the store, so that it is refreshed with the others."""
    from matstrata.pipelines.ingest.onboarding import add_source
    from matstrata.pipelines.ingest.validating.second_process import process_beside
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    settings = Settings()
    with progress("reading"), process_beside():
        done = add_source(
            Lake.of(settings),
            contract,
            cache=settings.cache,
            mirrors=settings.mirror,
            accept_change=accept_change,
        )
    out.print(
        f"{done.source}: {done.rows_in:,} records in, {done.rows_accepted:,} accepted, {done.rows_rejected:,} "
        f"rejected; {done.inserted:,} observations added, {done.updated:,} changed, {done.deleted:,} removed."
    )
    if done.rows_rejected:
        out.print(f"See why: matstrata sources rejections {done.source}")


@sources.command()
def remove(source: SourceName) -> None:
    """Take a source out of the store; what was frozen or trained from it stays, as do earlier snapshots.

    A source that comes with Matstrata is brought in again by the next refresh of all.
    """
    from matstrata.pipelines.ingest.onboarding import remove_source
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    removed = remove_source(Lake.of(Settings()), source)
    out.print(f"{plain(source)}: {removed:,} observations removed.")


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
