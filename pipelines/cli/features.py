"""The command `matstrata features`: what describes entities, in which versions, and making it so."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import out, plain, progress

features = typer.Typer(
    no_args_is_help=True,
    help="Feature sets: versioned descriptors of materials and structures, each computed once.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SetNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Which feature sets, e.g. magpie.  [default: all]")
]
SetName = Annotated[str, typer.Argument(metavar="NAME", help="A feature set, or one version of it: magpie_v1.")]


@features.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all feature sets and their versions; 'current' is what the present code computes."""
    from matstrata.pipelines.cli.tables import grid

    rows = [
        {
            "version": label,
            "entity": row["entity"],
            "columns": len(row["columns"]),
            "rows": row["rows"],
            "failed": row["failed"],
            "current": row["current"],
            "deprecated": row["deprecated"],
            "created_at": row["created_at"],
        }
        for label, row in _known().items()
    ] + _new()
    if as_json:
        _print_json(rows)
        return
    shown = ["version", "entity", "columns", "rows", "failed", "current", "deprecated"]
    out.print(grid(shown, [[row[key] for key in shown] for row in rows]))


@features.command()
def describe(name: SetName, *, as_json: AsJson = False) -> None:
    """Describe a feature set: what its columns mean, what its version depends on, why rows failed."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store.features.sets import failure_reasons
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    known = _known()
    label = _label(known, name)
    row = dict(known[label])
    declared = row.pop("declared")
    lake = Lake.of(Settings())
    with lake.reader() as con:
        comments = dict(
            con.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'features' AND table_name = ?",
                [label],
            ).fetchall()
        )
    row["columns"] = [{"name": column, "meaning": comments.get(column)} for column in row["columns"]]
    row["failures"] = failure_reasons(lake, row["name"], row["version"])
    if declared is not None and row["current"]:
        row |= {
            "description": declared.description,
            "constants": declared.constants,
            "libraries": list(declared.libraries),
            "code": [file.name for file in declared.code],
            "data_files": [file.name for file in declared.data_files],
        }
    if as_json:
        _print_json(row)
        return
    facts = [
        [key, str(value)] for key, value in row.items() if key not in ("columns", "failures") and value is not None
    ]
    out.print(grid(["", label], facts))
    out.print(grid(["column", "meaning"], [[column["name"], column["meaning"]] for column in row["columns"]]))
    for reason, count in row["failures"].items():
        out.print(f"{count:,} failed: {plain(reason)}")


@features.command()
def materialize(names: SetNames = None) -> None:
    """Compute the descriptors that are missing, and nothing else.

    The version rises by itself where code, parameters, columns, element tables or the libraries behind the values
    changed. What failed is tried again only when its inputs or the version change.
    """
    _materialize(names)


@features.command()
def backfill(
    names: SetNames = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Describe what the store held then: a snapshot, a release, or a time."),
    ] = None,
) -> None:
    """As materialize, for entities that the store held earlier, and once more for those that failed."""
    from matstrata.store.lake.as_of import resolve_as_of
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    snapshot = None if as_of is None else resolve_as_of(Lake.of(Settings()), as_of)
    _materialize(names, snapshot=snapshot, retry=True)


@features.command()
def deprecate(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="E.g. magpie_v1.")],
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; shown to whoever reads it.")] = None,
    *,
    newest: Annotated[bool, typer.Option("--newest", help="Even if it is the version that the name means.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the mark away.")] = False,
) -> None:
    """Mark a version as not to be used any more; it stays readable under its full name."""
    from matstrata.schemas.errors import InputError
    from matstrata.store.features.sets import deprecate as mark
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    if undo == (reason is not None) or (reason is not None and not reason.strip()):
        raise InputError("give either --reason TEXT, or --undo")
    settings = Settings()
    mark(_ready(Lake.of(settings)), version, None if undo else reason, newest=newest)
    out.print(f"{plain(version)} is {'in use again' if undo else 'deprecated'}.")


def _materialize(names: list[str] | None, **how: Any) -> None:
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS, get_feature_set
    from matstrata.store.features.sets import materialize
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    wanted = [get_feature_set(name) for name in names or FEATURE_SETS]
    settings = Settings()
    lake = _ready(Lake.of(settings))
    with progress("computing"):
        done = [materialize(lake, feature_set, **how) for feature_set in wanted]
    for each in done:
        out.print(
            f"{each.label}: {each.computed:,} computed, {each.failed:,} failed, {each.rows:,} rows in all; "
            f"snapshot {each.snapshot}"
        )
        if each.failed:
            out.print(f"See why: matstrata features describe {each.label}")


def _ready(lake: Any) -> Any:
    """The lake, with the tables of this version of Matstrata; an error where there is none."""
    lake.snapshot()
    lake.init()
    return lake


def _known() -> dict[str, dict[str, Any]]:
    """All versions in the store, each with its declaration where there is one, and whether that is still the same."""
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS
    from matstrata.store.features.sets import failure_counts, versions
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    lake = Lake.of(Settings())
    stored, failed = {}, {}
    if lake.exists():
        with lake.reader() as con:
            stored, failed = versions(con), failure_counts(con)
    known: dict[str, dict[str, Any]] = {}
    for label, row in stored.items():
        declared = FEATURE_SETS.get(row["name"])
        current = declared is not None and declared.signature() == row["signature"]
        mark = row.get("deprecated")
        known[label] = {
            **row,
            "deprecated": mark,
            "failed": failed.get(label, 0),
            "current": current,
            "declared": declared,
        }
    return known


def _new() -> list[dict[str, Any]]:
    """What the present code would compute and the store does not have, in the shape of the list."""
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS

    there = {row["name"] for row in _known().values() if row["current"]}
    return [
        {
            "version": f"{feature_set.name} (not computed yet)",
            "entity": feature_set.entity,
            "columns": len(feature_set.columns),
            "rows": 0,
            "failed": 0,
            "current": True,
            "deprecated": None,
            "created_at": None,
        }
        for feature_set in FEATURE_SETS.values()
        if feature_set.name not in there
    ]


def _label(known: dict[str, dict[str, Any]], name: str) -> str:
    from matstrata.schemas.errors import InputError

    if name in known:
        return name
    named = [label for label, row in known.items() if row["name"] == name]
    if not named:
        raise InputError(f"no feature set {name!r} in the store; there are: {', '.join(known) or 'none yet'}")
    return named[-1]


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
