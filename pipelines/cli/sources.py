"""The command `matstrata sources`: from an unknown file to observations in the store.

Not here: drafting, checking and reading files (`pipelines.ingest`), refreshing them (`pipelines.cli.runs`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import err, get_lake, out, plain, print_json, progress, write
from matstrata.pipelines.cli.options import AsJson, Wide, group
from matstrata.pipelines.cli.tables import print_grid, print_rows

sources = group("Bring in data: draft a contract for a file, check it, add it; see what became of every record.")

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of a source; 'sources list' shows them.")]
ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract, a YAML file.")]


@sources.command("list")
def list_(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """List all contracts, and what the store holds of each."""
    from matstrata.pipelines.ingest.sources import contracts
    from matstrata.store.overview import summarize

    held = {row["source"]: row for row in summarize(get_lake()).get("sources", [])}
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
        print_json(rows)
        return
    titles = ["source", "kind", "records in", "accepted", "rejected", "title"]
    keys = ["source", "kind", "records_in", "accepted", "rejected", "title"]
    print_grid(out, titles, [[row[key] for key in keys] for row in rows], wide=wide, least=("accepted", "rejected"))


@sources.command()
def show(source: SourceName, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show a source: its contract, what it reports, which records were refused, how far its replicates scatter."""
    from matstrata.pipelines.ingest.sources import get_contract
    from matstrata.store.records.checks import conservation
    from matstrata.store.records.noise import replicate_noise
    from matstrata.store.records.sources import ingested, reported

    contract = get_contract(source)
    lake = get_lake()
    row = None
    if lake.exists():
        with lake.reader() as con:
            row = ingested(con, source).get(source)
            by_rule = conservation(con, source).by_rule
    facts: dict[str, Any] = {"contract": contract.model_dump(mode="json"), "ingested": row}
    if row is not None:
        facts["reports"] = reported(lake, source)
        facts["rejections"] = dict(by_rule)
        facts["replicate_noise"] = {name: replicate_noise(lake, source, name) for name in contract.properties}
    if as_json:
        print_json(facts)
        return
    out.print(f"[bold]{plain(contract.title)}[/]\n{plain(contract.description.strip())}\n")
    out.print(
        f"{contract.kind}, {plain(contract.method)}; license: {plain(contract.licence)}; "
        f"{plain(contract.homepage or '')}"
    )
    out.print(f"labels: {contract.reconcile.policy}; files: {plain(', '.join(file.label for file in contract.files))}")
    if row is None:
        out.print(f"Not in the store yet: 'matstrata refresh {source}' brings it in.")
        return
    out.print(
        f"{row['rows_in']:,} records in, {row['rows_accepted']:,} accepted, {row['rows_rejected']:,} rejected; "
        f"refreshed {row['refreshed_at']:%Y-%m-%d %H:%M} UTC; files {plain(row['file_sha256'][:12])}"
    )
    print_rows(out, list(facts["reports"][0]), facts["reports"], wide=wide, least=("flagged", "kind", "method"))
    for name, noise in facts["replicate_noise"].items():
        if noise is not None:
            out.print(f"Repeated observations of {name} scatter by {noise:.4g} (pooled standard deviation).")
    for rule_id, count in facts["rejections"].items():
        out.print(f"{count:,} records refused by {rule_id}: 'matstrata sources rejections {source} --rule {rule_id}'")


@sources.command()
def rejections(
    source: SourceName,
    rule: Annotated[str | None, typer.Option(help="Only those of this rule.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List the records of a source that were refused, with the rule and a sentence each."""
    from matstrata.pipelines.ingest.sources import get_contract
    from matstrata.store.records.sources import rejected

    get_contract(source)
    rows = rejected(get_lake(), source, rule, limit)
    if as_json:
        print_json(rows)
    elif not rows:
        out.print("none")
    else:
        print_rows(out, ["source_record", "rule_id", "reason"], rows, wide=wide, least=("rule_id",))


@sources.command()
def draft(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV, Excel, JSON, JSON lines or Parquet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the contract here; never over a file.")
    ] = None,
) -> None:
    """Look at an unknown file and write a contract to start from; what is uncertain stands in comments."""
    from matstrata.pipelines.ingest.drafting.draft import draft as draft_contract
    from matstrata.schemas.errors import InputError

    text = draft_contract(file, output.stem if output else None).as_yaml()
    if output is None:
        write(text)
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
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show what a contract would accept and refuse, and why, without writing anything."""
    from dataclasses import asdict

    from matstrata.pipelines.ingest.dry_run import dry_run
    from matstrata.pipelines.ingest.sources import locate_files
    from matstrata.schemas.contracts import load_contract
    from matstrata.schemas.errors import InputError

    declared = load_contract(contract)
    with progress("reading"):
        outcome = dry_run(declared, locate_files(declared), examples)
    if as_json:
        print_json(asdict(outcome))
        return
    out.print(
        f"{outcome.rows_in:,} records: {outcome.accepted:,} would be accepted as {outcome.observations:,} "
        f"observations, {outcome.rows_in - outcome.accepted:,} refused. Nothing was written."
    )
    if outcome.examples:
        print_rows(out, list(outcome.examples[0]), outcome.examples, wide=wide, title="accepted, for example")
    for rule_id, count in outcome.rejected.items():
        title = f"{count:,} refused by {rule_id}, for example"
        refused = [[row["source_record"], row["reason"]] for row in outcome.refused[rule_id]]
        print_grid(out, ["record", "reason"], refused, wide=wide, title=title)
    for rule_id, count in outcome.flagged.items():
        out.print(f"{count:,} observations flagged {rule_id} (kept)")
    if not outcome.accepted:
        raise InputError("no record would be accepted, so the source would be refused; correct contract or file")
    out.print(f"To bring it in: matstrata sources add {plain(contract)}")


@sources.command()
def add(
    contract: ContractFile,
    *,
    accept_change: Annotated[
        bool, typer.Option("--accept-change", help="Accept data that differ much from the last refresh.")
    ] = False,
) -> None:
    """Bring in a source; its contract is kept with the store, so that it is refreshed with the others."""
    from matstrata.pipelines.ingest.onboarding import add_source
    from matstrata.pipelines.ingest.validating.second_process import second_process
    from matstrata.store.settings import Settings

    settings = Settings()
    with progress("reading"), second_process():
        done = add_source(
            get_lake(),
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

    removed = remove_source(get_lake(), source)
    out.print(f"{plain(source)}: {removed:,} observations removed.")
