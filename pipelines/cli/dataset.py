"""The command `matstrata dataset`: training sets that are frozen, named, checked and published."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from matstrata.pipelines.cli.console import err, out, plain, progress

dataset = typer.Typer(
    no_args_is_help=True,
    help="Training sets: labels and features as of a snapshot, frozen under a hash, made again from a manifest.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Thing = Annotated[
    str, typer.Argument(metavar="DATASET", help="A name, an id or its beginning, or an exported manifest.json.")
]


class DataFormat(StrEnum):
    """How `dataset export` writes the data."""

    PARQUET = "parquet"
    CSV = "csv"


@dataset.command()
def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    property: Annotated[str, typer.Option("--property", "-p", help="What is labelled, e.g. band_gap.")],
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features", "-f", help="A feature set, 'magpie' or 'magpie_v1'; repeat it for more.  [default: magpie]"
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", "-s", help="Only labels of this source, or 'source:method'; repeat it for more."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="Only labels that are an experiment or a computation.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="As it was known then: a snapshot, a release, or a time (2026-05-31T12:00Z)."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Freeze a training set: one row for each material, source, kind and method, with its descriptors.

    The same request on the same data is the same set, and is frozen once.
    """
    from matstrata.store.datasets import named as datasets
    from matstrata.store.datasets.labelled import Request
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    settings = Settings()
    lake = Lake.of(settings)
    lake.snapshot()  # there must be a store
    lake.init()
    with progress("freezing"):
        frozen = datasets.build(lake, name, Request.of(property, features or ["magpie"], source, kind), as_of)
    for note in frozen.notes:
        err.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True)
    if as_json:
        _print_json(datasets.manifest(lake, frozen.training_set_id))
        return
    missing = len(frozen) - frozen.table["reason"].null_count
    out.print(
        f"{plain(name)}: {len(frozen):,} rows from {plain(frozen.source)}, {len(frozen.descriptors)} descriptors "
        f"({', '.join(frozen.features)}), snapshot {frozen.snapshot}\n"
        f"{missing:,} rows lack descriptors; their column 'reason' says why.\nid {frozen.training_set_id}"
    )


@dataset.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all frozen training sets, the newest first: those with a name, and those of ensembles."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.datasets.named import listing
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    rows = listing(Lake.of(Settings()))
    if as_json:
        _print_json(rows)
        return
    keys = ["name", "ensemble", "id", "properties", "sources", "features", "snapshot", "rows"]
    out.print(grid(keys, [[{**row, "id": row["training_set_id"][:12]}[key] for key in keys] for row in rows]))


@dataset.command()
def show(thing: Thing, *, as_json: AsJson = False) -> None:
    """Show the manifest: request, snapshot, hashes, feature versions, sources and whom to cite."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.datasets.named import manifest
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    found = manifest(Lake.of(Settings()), thing)
    if as_json:
        _print_json(found)
        return
    facts = {key: value for key, value in found.items() if not isinstance(value, list)}
    out.print(grid(["", thing], [[key, str(value)] for key, value in facts.items()]))
    out.print(grid(["feature set", "signature"], [[row["label"], row["signature"]] for row in found["feature_sets"]]))
    keys = ["source", "kind", "method", "licence", "doi", "contract_sha256"]
    out.print(grid(keys, [[row[key] for key in keys] for row in found["sources"]]))
    out.print(f"{len(found['columns'])} columns; --json shows what they mean, and the BibTeX to cite.")


@dataset.command()
def export(
    thing: Thing,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder.  [default: the name]")] = None,
    format: Annotated[DataFormat, typer.Option("--format", help="How to write the data.")] = DataFormat.PARQUET,
) -> None:
    """Write a dataset to a folder: data, manifest, Croissant metadata (croissant.json), CITATION.bib and .cff."""
    from matstrata.pipelines.serving.publishing import publish
    from matstrata.store.datasets.named import load, manifest
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    lake = Lake.of(Settings())
    found = manifest(lake, thing)
    name = Path(thing).stem if thing.endswith(".json") else thing
    with progress("writing"):
        files = publish(output or Path(name), name, load(lake, found), found, format.value)
    for file in files:
        sys.stdout.write(f"{file}\n")


@dataset.command()
def verify(thing: Thing, *, as_json: AsJson = False) -> None:
    """Check a frozen training set: its file, and the same set made anew from the store, against the manifest."""
    from dataclasses import asdict

    from matstrata.store.datasets.named import manifest
    from matstrata.store.datasets.named import verify as check
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    lake = Lake.of(Settings())
    with progress("making it anew"):
        found = check(lake, manifest(lake, thing))
    if as_json:
        _print_json({**asdict(found), "holds": found.holds})
    else:
        out.print(
            f"{plain(thing)}: {found.rows:,} rows, SHA-256 of the content {found.content_sha256}\n"
            f"the frozen file: {found.file}\nmade anew from snapshot {found.snapshot}: {plain(found.rebuilt)}"
        )
    if not found.holds:
        raise typer.Exit(1)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
