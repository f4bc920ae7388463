"""The command `matstrata features`: which descriptors there are, in which versions, and computing them.

Not here: the descriptors (`pipelines.descriptors`), their tables (`store.features`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import get_lake, get_writable_lake, out, plain, print_json, progress
from matstrata.pipelines.cli.options import AsJson, Wide, group
from matstrata.pipelines.cli.tables import print_grid, print_rows

features = group("Feature sets: versioned descriptors of materials and structures, each computed once.")

SetNames = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Which feature sets, e.g. magpie.", show_default="all")
]
SetName = Annotated[str, typer.Argument(metavar="NAME", help="A feature set, or one version of it: magpie_v1.")]


@features.command("list")
def list_(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """List all feature sets and their versions; 'current' is what the present code computes."""
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
        for label, row in _stored().items()
    ] + _not_computed()
    if as_json:
        print_json(rows)
        return
    keys = ["version", "entity", "columns", "rows", "failed", "current", "deprecated"]
    print_rows(out, keys, rows, wide=wide, least=("columns", "deprecated", "entity"))


@features.command()
def describe(name: SetName, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Describe a feature set: what its columns mean, what its version depends on, why rows failed."""
    from matstrata.store.features.versions import failure_reasons
    from matstrata.store.lake.code import unwrapped

    versions = _stored()
    label = _label(versions, name)
    row = dict(versions[label])
    declared = row.pop("declared")
    lake = get_lake()
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
        function = unwrapped(declared.compute)
        row |= {
            "description": declared.description,
            "constants": declared.constants,
            "libraries": list(declared.libraries),
            "code": f"{function.__module__}.{function.__qualname__}",
            "data_files": [file.name for file in declared.data_files],
        }
    if as_json:
        print_json(row)
        return
    facts = [
        [key, value] for key, value in row.items() if key not in ("columns", "failures") and value not in (None, {})
    ]
    print_grid(out, ["", label], facts, wide=wide)
    print_grid(out, ["column", "meaning"], [[each["name"], each["meaning"]] for each in row["columns"]], wide=wide)
    for reason, count in row["failures"].items():
        out.print(f"{count:,} failed: {plain(reason)}")


@features.command()
def materialize(names: SetNames = None) -> None:
    """Compute the descriptors that are missing, and nothing else.

    The version rises by itself where code, parameters, columns, element tables or the libraries behind the values
    changed. What failed is tried again only when its inputs or the version change.
    """
    _compute(names)


@features.command()
def backfill(
    names: SetNames = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Describe what the store held then: a snapshot, a release, or a time."),
    ] = None,
) -> None:
    """Compute as materialize does, for entities that the store held earlier too, and again for those that failed."""
    from matstrata.store.lake.as_of import resolve_as_of

    snapshot = None if as_of is None else resolve_as_of(get_lake(), as_of)
    _compute(names, snapshot=snapshot, retry=True)


@features.command()
def deprecate(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="E.g. magpie_v1.")],
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; shown to readers of the version.")] = None,
    *,
    newest: Annotated[bool, typer.Option("--newest", help="Even if it is the version that the name means.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the mark away.")] = False,
) -> None:
    """Mark a version as not to be used any more; it stays readable under its full name."""
    from matstrata.schemas.errors import InputError
    from matstrata.store.features.versions import deprecate as mark

    if undo == (reason is not None) or (reason is not None and not reason.strip()):
        raise InputError("give either --reason TEXT, or --undo")
    mark(get_writable_lake(), version, None if undo else reason, newest=newest)
    out.print(f"{plain(version)} is {'in use again' if undo else 'deprecated'}.")


def _compute(names: list[str] | None, *, snapshot: int | None = None, retry: bool = False) -> None:
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS, get_feature_set
    from matstrata.store.features.sets import materialize

    feature_sets = [get_feature_set(name) for name in names or FEATURE_SETS]
    lake = get_writable_lake()
    with progress("computing"):
        results = [materialize(lake, feature_set, snapshot=snapshot, retry=retry) for feature_set in feature_sets]
    for result in results:
        out.print(
            f"{result.label}: {result.computed:,} computed, {result.failed:,} failed, {result.rows:,} rows in all; "
            f"snapshot {result.snapshot}"
        )
        if result.failed:
            out.print(f"See why: matstrata features describe {result.label}")


def _stored() -> dict[str, dict[str, Any]]:
    """All versions in the store, each with its declaration if it has one, and whether that is still the same."""
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS
    from matstrata.store.features.versions import failure_counts, versions

    lake = get_lake()
    if not lake.exists():
        return {}
    with lake.reader() as con:
        rows, failed = versions(con), failure_counts(con)
    stored: dict[str, dict[str, Any]] = {}
    for label, row in rows.items():
        declared = FEATURE_SETS.get(row["name"])
        stored[label] = {
            **row,
            "deprecated": row.get("deprecated"),
            "failed": failed.get(label, 0),
            "current": declared is not None and declared.signature() == row["signature"],
            "declared": declared,
        }
    return stored


def _not_computed() -> list[dict[str, Any]]:
    """What the present code would compute and the store does not have, in the shape of the list."""
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS

    computed = {row["name"] for row in _stored().values() if row["current"]}
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
        if feature_set.name not in computed
    ]


def _label(versions: dict[str, dict[str, Any]], name: str) -> str:
    from matstrata.schemas.errors import InputError

    if name in versions:
        return name
    labels = [label for label, row in versions.items() if row["name"] == name]
    if not labels:
        raise InputError(f"no feature set {name!r} in the store; there are: {', '.join(versions) or 'none yet'}")
    return next((label for label in labels if versions[label]["current"]), labels[-1])
