"""The commands that look after the store: `catalog`, `maintain`, `backup`, `restore`, `doctor`.

Not here: the work (`store.upkeep`), how the overview looks (`pipelines.cli.catalog`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matstrata.pipelines.cli.console import get_lake, open_page, out, plain, print_json, progress, write
from matstrata.pipelines.cli.options import AsJson, Wide

if TYPE_CHECKING:
    from matstrata.store.upkeep.maintenance import Maintained, Space

store = typer.Typer()


@store.command()
def catalog(
    *,
    page: Annotated[bool, typer.Option("--page", help="Write it as a page and open that.")] = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show what the store holds: sources, properties, feature sets, versions, rows, freshness, what came from what."""
    from matstrata.pipelines.cli.catalog import print_catalog
    from matstrata.pipelines.ingest.sources import contracts
    from matstrata.pipelines.reports.store_page import freshness_hours, write_store_page
    from matstrata.store.overview import store_overview

    lake = get_lake()
    if page:
        written = write_store_page(lake, freshness_hours(contracts().values()))
        write(f"{written}\n")
        open_page(written)
        return
    with lake.reader() as con:
        overview = store_overview(con)
    if as_json:
        print_json(overview)
        return
    print_catalog(out, overview, freshness_hours(contracts().values()), datetime.now(UTC), wide=wide)


@store.command()
def maintain(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done and freed.")] = False,
    keep_snapshots: Annotated[int, typer.Option(min=1, help="Keep so many of the newest snapshots.")] = 20,
    keep_days: Annotated[float, typer.Option(min=0, help="Keep all snapshots of so many days.")] = 7,
    grace_hours: Annotated[
        float,
        typer.Option(
            min=0, help="Delete no file that was needed or written so recently; 0 only while nobody else works."
        ),
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Expire old snapshots, merge small files, rewrite those full of deleted rows, delete what nothing needs.

    What a release, a frozen training set or a model pins stays readable. It can be stopped at any moment, and can run
    while the store is read and written.
    """
    from matstrata.store.upkeep.maintenance import Policy, plan
    from matstrata.store.upkeep.maintenance import maintain as do

    lake, policy = get_lake(), Policy(keep_snapshots, keep_days, grace_hours)
    if dry_run:
        done = plan(lake, policy)
    else:
        lake.snapshot()  # an error if there is no store
        with progress("looking after the store"):
            done = do(lake, policy)
    if as_json:
        print_json(asdict(done) | {"dry_run": dry_run})
        return
    _print_maintained(done, grace_hours, "would be " if dry_run else "")


@store.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder that does not exist yet.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy the store to a folder, consistently even while it is read and written; it appears whole or not at all."""
    from matstrata.schemas.errors import InputError
    from matstrata.store.upkeep.backup import backup as copy

    lake = get_lake()
    if lake.shared is not None:
        raise InputError(
            f"'matstrata backup' copies an embedded store; {lake.address} is shared: use pg_dump for its catalog and "
            "the versioning of its bucket, or 'matstrata migrate --back' for a copy (docs/shared_store.md)"
        )
    with progress("copying"):
        done = copy(lake, target)
    if as_json:
        print_json(asdict(done))
        return
    out.print(
        f"{done.files:,} files, {_bytes(done.bytes)}, snapshot {done.snapshot}. "
        f"To restore it: matstrata restore {plain(target)} --to FOLDER",
        soft_wrap=True,
    )


@store.command()
def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that 'matstrata backup' made.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder of the store, empty or new.", show_default="MATSTRATA_STORE"),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Restore a backup; every file is compared with its hash. An existing store is never overwritten."""
    from matstrata.store.settings import Settings
    from matstrata.store.upkeep.backup import restore as copy

    with progress("copying"):
        done = copy(backup, to or Settings().store)
    if as_json:
        print_json(asdict(done))
        return
    out.print(
        f"{done.files:,} files, {_bytes(done.bytes)}, snapshot {done.snapshot}, in {plain(done.place)}", soft_wrap=True
    )


@store.command()
def doctor(
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Read every row of every file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare catalog and files, files and hashes, counts and rows; print how to repair each fault.

    Ends with exit code 1 if something needs repair.
    """
    from matstrata.store.upkeep.doctor import examine

    with progress("looking"):
        report = examine(get_lake(), deep=deep)
    if as_json:
        print_json(asdict(report) | {"healthy": report.healthy})
    else:
        looked = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in report.looked_at.items())
        for finding in report.findings:
            word = "[bold red]damage[/]" if finding.damage else "[yellow]note[/]"
            out.print(f"{word} ({finding.check}): {plain(finding.what)}\n  {plain(finding.mend)}", soft_wrap=True)
        verdict = "nothing needs repair" if report.healthy else "[bold red]something needs repair[/]"
        out.print(f"Looked at {looked}: {verdict}.")
    if not report.healthy:
        raise typer.Exit(1)


def _print_maintained(done: Maintained, grace_hours: float, would_be: str) -> None:
    pinned = sum(map(len, done.pinned.values()))
    out.print(
        f"snapshots: {len(done.expired):,} {would_be}expired, {done.kept:,} kept "
        f"({len(done.pinned):,} of them pinned by {pinned:,} releases, training sets and models)"
    )
    out.print(
        f"files: {done.merged:,} {would_be}merged or rewritten; only expired snapshots need {_space(done.unneeded)}"
    )
    besides = ", besides the files that merging replaces" if would_be and done.merged else ""  # not known beforehand
    out.print(f"freed: {_space(done.deleted)} {would_be}deleted{besides}")
    if done.waiting.files:
        out.print(f"later: {_space(done.waiting)}, after {grace_hours:g} h in which queries may still read them")


def _space(space: Space) -> str:
    return f"{space.files:,} files, {_bytes(space.bytes)}"


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if unit != "bytes" else f"{number:.0f} bytes"
        number /= 1000
    return f"{number:.3g} GB"
