"""The command that moves a store between its embedded and its shared form. Not here: moving it (`store.upkeep`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from matstrata.pipelines.cli.console import get_lake, out, plain, print_json, progress
from matstrata.pipelines.cli.options import AsJson


def migrate(
    *,
    back: Annotated[
        bool, typer.Option("--back", help="From the shared store into the folder MATSTRATA_STORE.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move the store of MATSTRATA_STORE to the shared place that MATSTRATA_CATALOG and MATSTRATA_DATA name.

    All snapshots, training sets and models go with it and keep their numbers. The target must be empty; the source
    stays as it is. Every table is compared afterwards. A migration that was interrupted continues where it stopped.
    """
    from matstrata.schemas.errors import InputError
    from matstrata.store.lake.lake import Lake
    from matstrata.store.upkeep.migrate import migrate as move

    shared = get_lake()
    if shared.shared is None:
        raise InputError("set MATSTRATA_CATALOG and MATSTRATA_DATA to the shared place; docs/shared_store.md shows how")
    embedded = Lake(shared.root, shared.lock_timeout)
    source, target = (shared, embedded) if back else (embedded, shared)
    with progress("looking"):
        done = move(source, target, dry_run=dry_run)
    if as_json:
        print_json(asdict(done))
        return
    out.print(
        f"{plain(done.source)} {'would go' if dry_run else 'went'} to {plain(done.target)}: "
        f"{done.snapshots} snapshots, {sum(done.rows.values()):,} rows in {len(done.rows)} tables, "
        f"{done.files} files of {done.bytes / 1e6:,.1f} MB ({done.copied} to copy{'' if dry_run else ', done'}).",
        soft_wrap=True,
    )
    if not dry_run:
        out.print("Every table was compared and holds the same rows. The source is still there.")
