"""The command `matstrata release`: names for snapshots, and what differs between two of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import err, out, plain

release = typer.Typer(
    no_args_is_help=True,
    help="Name a state of the store, so that it stays readable for ever; compare two of them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReleaseName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a release; 'release list' shows them.")]
Moment = "A release, the number of a snapshot, or a time such as 2026-11-23T09:00 (UTC)."


@release.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Begins with a letter, e.g. 2026.1 is written v2026.1.")],
    snapshot: Annotated[int | None, typer.Option(min=0, help="Which snapshot.  [default: the newest]")] = None,
    note: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Name a snapshot; maintenance never expires it. The same again changes nothing; a name is never moved."""
    from matstrata.store.upkeep.releases import create as create_release

    made = create_release(_lake(), name, snapshot=snapshot, note=note)
    if as_json:
        _print_json(asdict(made))
        return
    was = "is now" if made.anew else "already is"
    out.print(
        f"Release {made.name} {was} snapshot {made.snapshot}. Ask it: matstrata sql --as-of {made.name} 'FROM sources'"
    )


@release.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the releases."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.upkeep.releases import releases

    rows = [
        {"release": each.name, "snapshot": each.snapshot, "created_at": each.created_at, "note": each.note}
        for each in releases(_lake())
    ]
    if as_json:
        _print_json(rows)
    elif rows:
        out.print(grid(list(rows[0]), [list(row.values()) for row in rows]))
    else:
        out.print("No release yet; 'matstrata release create NAME' names the newest snapshot.")


@release.command()
def show(name: ReleaseName, *, as_json: AsJson = False) -> None:
    """Show a release: its snapshot, and what the store held then."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.overview import catalogue
    from matstrata.store.upkeep.releases import get_release

    lake = _lake()
    found = get_release(lake, name)
    with lake.reader(found.snapshot) as con:
        held = catalogue(con)
    if as_json:
        _print_json({"release": asdict(found), "holds": held})
        return
    out.print(f"[bold]{plain(found.name)}[/]: snapshot {found.snapshot}, named {found.created_at:%Y-%m-%d %H:%M} UTC")
    if found.note:
        out.print(plain(found.note))
    for kind, keys in (
        ("sources", ["source", "kind", "rows_in", "rows_rejected", "observations", "materials"]),
        ("feature_sets", ["name", "version", "entity", "columns", "rows"]),
        ("models", ["property", "source", "model_id", "serving", "predictions"]),
    ):
        if held[kind]:
            out.print(grid(keys, [[row[key] for key in keys] for row in held[kind]], kind.replace("_", " ")))


@release.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=Moment)],
    after: Annotated[str, typer.Argument(metavar="B", help="As A.")],
    examples: Annotated[int, typer.Option(min=0, help="How many values of each kind to show.")] = 5,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what differs from A to B: sources, rows, values, schema, features, metrics. Counts first, then examples."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.upkeep.release_diff import diff as compare

    found = compare(_lake(), before, after, examples)
    if as_json:
        _print_json(found)
        return
    out.print(
        f"From {plain(before)} (snapshot {found['from']['snapshot']}) to {plain(after)} "
        f"(snapshot {found['to']['snapshot']}):"
    )
    kinds = [kind for kind in found if kind not in ("from", "to") and found[kind]]
    for kind in kinds:
        out.print(grid(list(found[kind][0]), [list(row.values()) for row in found[kind]], kind))
    if not kinds:
        out.print("nothing differs.")


@release.command()
def checkout(name: ReleaseName) -> None:
    """Print the SQL by which any DuckDB client sees the store as it was at a release, read-only.

    'matstrata release checkout v1 > v1.sql', then 'duckdb -init v1.sql'. 'matstrata sql --as-of v1' needs no client.
    """
    from matstrata.store.upkeep.releases import attach_statement, get_release

    lake = _lake()
    sys.stdout.write(attach_statement(lake, get_release(lake, name).snapshot))
    err.print(f"Or: matstrata sql --as-of {plain(name)} '…'; in Python: FeatureStore.open(as_of={plain(repr(name))})")


def _lake() -> Any:
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    return Lake.of(Settings())


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
