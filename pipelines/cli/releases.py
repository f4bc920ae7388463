"""The command `matstrata release`: names for snapshots, and what differs between two of them.

Not here: naming and comparing them (`store.upkeep`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from matstrata.pipelines.cli.console import err, get_lake, out, plain, print_json, write
from matstrata.pipelines.cli.options import AsJson, Wide, group
from matstrata.pipelines.cli.tables import print_rows

release = group("Name a state of the store, so that it stays readable forever; compare two of them.")

ReleaseName = Annotated[str, typer.Argument(metavar="NAME", help="A release; 'matstrata release list' shows them.")]
Moment = "A release, the number of a snapshot, or a time such as 2026-11-23T09:00 (UTC)."


@release.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Begins with a letter, e.g. 2026.1 is written v2026.1.")],
    snapshot: Annotated[int | None, typer.Option(min=0, help="Which snapshot.", show_default="the newest")] = None,
    note: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Name a snapshot; maintenance never expires it. The same again changes nothing; a name is never moved."""
    from matstrata.store.upkeep.releases import create as create_release

    made = create_release(get_lake(), name, snapshot=snapshot, note=note)
    if as_json:
        print_json(asdict(made))
        return
    verb = "is now" if made.created else "already is"
    out.print(
        f"Release {made.name} {verb} snapshot {made.snapshot}. "
        f"Query it: matstrata sql --as-of {made.name} 'FROM sources'"
    )


@release.command("list")
def list_(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """List the releases."""
    from matstrata.store.upkeep.releases import releases

    rows = [
        {"release": each.name, "snapshot": each.snapshot, "created_at": each.created_at, "note": each.note}
        for each in releases(get_lake())
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(out, list(rows[0]), rows, wide=wide, least=("created_at",))
    else:
        out.print("No release yet; 'matstrata release create NAME' names the newest snapshot.")


@release.command()
def show(name: ReleaseName, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show a release: its snapshot, and what the store held then."""
    from matstrata.store.overview import store_overview
    from matstrata.store.upkeep.releases import get_release

    lake = get_lake()
    named = get_release(lake, name)
    with lake.reader(named.snapshot) as con:
        held = store_overview(con)
    if as_json:
        print_json({"release": asdict(named), "holds": held})
        return
    out.print(f"[bold]{plain(named.name)}[/]: snapshot {named.snapshot}, named {named.created_at:%Y-%m-%d %H:%M} UTC")
    if named.note:
        out.print(plain(named.note))
    for kind, keys in (
        ("sources", ["source", "kind", "rows_in", "rows_rejected", "observations", "materials"]),
        ("feature_sets", ["name", "version", "entity", "columns", "rows"]),
        ("models", ["property", "source", "model_id", "serving", "predictions"]),
    ):
        if held[kind]:
            print_rows(out, keys, held[kind], wide=wide, title=kind.replace("_", " "))


@release.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=Moment)],
    after: Annotated[str, typer.Argument(metavar="B", help="As A.")],
    examples: Annotated[int, typer.Option(min=0, help="How many values of each kind to show.")] = 5,
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs from A to B: sources, rows, values, schema, features, metrics. Counts first, then examples."""
    from matstrata.store.upkeep.release_diff import diff as compare

    differences = compare(get_lake(), before, after, examples)
    if as_json:
        print_json(differences)
        return
    out.print(
        f"From {plain(before)} (snapshot {differences['from']['snapshot']}) to {plain(after)} "
        f"(snapshot {differences['to']['snapshot']}):"
    )
    kinds = [kind for kind, rows in differences.items() if kind not in ("from", "to") and rows]
    for kind in kinds:
        print_rows(out, list(differences[kind][0]), differences[kind], wide=wide, title=kind)
    if not kinds:
        out.print("nothing differs.")


@release.command()
def checkout(name: ReleaseName) -> None:
    """Print the SQL with which any DuckDB client sees the store as of a release, read-only.

    'matstrata release checkout v1 > v1.sql', then 'duckdb -init v1.sql'. 'matstrata sql --as-of v1' needs no client.
    """
    from matstrata.store.upkeep.releases import attach_statement, get_release

    lake = get_lake()
    write(attach_statement(lake, get_release(lake, name).snapshot))
    err.print(f"Or: matstrata sql --as-of {plain(name)} '…'; in Python: FeatureStore.open(as_of={plain(repr(name))})")
