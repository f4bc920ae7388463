"""The command `matstrata dataset`: training sets that are frozen, named, checked and published.

Not here: making and rebuilding them (`store.datasets`), the exported files (`pipelines.serving.publishing`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from matstrata.pipelines.cli.console import (
    err,
    get_lake,
    get_writable_lake,
    out,
    plain,
    print_json,
    progress,
    write,
)
from matstrata.pipelines.cli.options import AsJson, Wide, group
from matstrata.pipelines.cli.tables import print_grid, print_rows
from matstrata.schemas.terms import Kind

dataset = group("Training sets: labels and features as of a snapshot, frozen under a hash, made again from a manifest.")

Identifier = Annotated[
    str, typer.Argument(metavar="DATASET", help="A name, an id or its beginning, or an exported manifest.json.")
]


class DataFormat(StrEnum):
    """How `dataset export` writes the data."""

    PARQUET = "parquet"
    CSV = "csv"


@dataset.command()
def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    property: Annotated[str, typer.Option("--property", "-p", help="The property that is labeled, e.g. band_gap.")],
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            "-f",
            help="A feature set, 'magpie' or 'magpie_v1'; repeat it for more.",
            show_default="magpie",
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", "-s", help="Only labels of this source, or 'source:method'; repeat it for more."),
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option("--kind", "-k", help="Only labels of this kind; repeat it for both.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="As of then: a snapshot, a release, or a time (2026-05-31T12:00Z)."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Freeze a training set: one row for each material, source, kind and method, with its descriptors.

    The same request on the same data is the same set, and is frozen once.
    """
    from matstrata.store.datasets import named as datasets
    from matstrata.store.datasets.labelled import Request

    lake = get_writable_lake()
    with progress("freezing"):
        frozen = datasets.build(lake, name, Request.of(property, features or ["magpie"], source, kind), as_of)
    for note in frozen.notes:
        err.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True)
    if as_json:
        print_json(datasets.manifest(lake, frozen.training_set_id))
        return
    missing = len(frozen) - frozen.table["reason"].null_count
    out.print(
        f"{plain(name)}: {len(frozen):,} rows from {plain(frozen.source)}, {len(frozen.descriptors)} descriptors "
        f"({', '.join(frozen.features)}), snapshot {frozen.snapshot}\n"
        f"{missing:,} rows lack descriptors; their column 'reason' says why.\nid {frozen.training_set_id}"
    )


@dataset.command("list")
def list_(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """List all frozen training sets, the newest first: those with a name, and those of ensembles."""
    from matstrata.store.datasets.named import listing

    rows = listing(get_lake())
    if as_json:
        print_json(rows)
        return
    keys = ["name", "ensemble", "id", "properties", "sources", "features", "snapshot", "rows"]
    listed = [{**row, "id": row["training_set_id"][:12]} for row in rows]
    print_rows(out, keys, listed, wide=wide, least=("properties", "features", "snapshot", "ensemble"))


@dataset.command()
def show(identifier: Identifier, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show the manifest: request, snapshot, hashes, feature versions, sources and whom to cite."""
    from matstrata.store.datasets.named import manifest

    facts = manifest(get_lake(), identifier)
    if as_json:
        print_json(facts)
        return
    single = [[key, value] for key, value in facts.items() if not isinstance(value, list)]
    print_grid(out, ["", identifier], single, wide=wide)
    versions = [[row["label"], row["signature"]] for row in facts["feature_sets"]]
    print_grid(out, ["feature set", "signature"], versions, wide=wide)
    print_rows(out, ["source", "kind", "method", "licence", "doi", "contract_sha256"], facts["sources"], wide=wide)
    out.print(f"{len(facts['columns'])} columns; --json shows what they mean, and the BibTeX to cite.")


@dataset.command()
def export(
    identifier: Identifier,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder.", show_default="the name")
    ] = None,
    format: Annotated[DataFormat, typer.Option("--format", help="How to write the data.")] = DataFormat.PARQUET,
) -> None:
    """Write a dataset to a folder: data, manifest, Croissant metadata (croissant.json), CITATION.bib and .cff."""
    from matstrata.pipelines.serving.publishing import publish
    from matstrata.store.datasets.named import load, manifest

    lake = get_lake()
    facts = manifest(lake, identifier)
    name = Path(identifier).stem if identifier.endswith(".json") else identifier
    with progress("writing"):
        files = publish(output or Path(name), name, load(lake, facts), facts, format.value)
    for file in files:
        write(f"{file}\n")


@dataset.command()
def verify(identifier: Identifier, *, as_json: AsJson = False) -> None:
    """Check a frozen training set: its file, and the same set rebuilt from the store, against the manifest."""
    from dataclasses import asdict

    from matstrata.store.datasets.named import manifest
    from matstrata.store.datasets.named import verify as check

    lake = get_lake()
    with progress("rebuilding it"):
        verdict = check(lake, manifest(lake, identifier))
    if as_json:
        print_json({**asdict(verdict), "holds": verdict.holds})
    else:
        out.print(
            f"{plain(identifier)}: {verdict.rows:,} rows, SHA-256 of the content {verdict.content_sha256}\n"
            f"the frozen file: {plain(verdict.file)}\n"
            f"rebuilt from snapshot {verdict.snapshot}: {plain(verdict.rebuilt)}"
        )
    if not verdict.holds:
        raise typer.Exit(1)
