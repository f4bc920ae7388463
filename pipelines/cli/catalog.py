"""The overview of the store in a terminal: tables, and the lineage of what predicts as a tree.

Not here: counting what it says (`store.overview`), and the page (`pipelines.reports.store_page`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.cli.plain import plain_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree


def print_catalogue(console: Console, found: Mapping[str, Any], fresh_for: Mapping[str, float], now: datetime) -> None:
    """Print the catalogue as tables, and the lineage of what predicts as a tree."""
    console.print(
        f"Snapshot {found['snapshot']} of {found['newest_at']:%Y-%m-%d %H:%M} UTC; {found['snapshots']:,} snapshots "
        f"are kept, {len(found['releases']):,} of them as releases."
    )
    sources = [
        [
            row["source"],
            row["kind"],
            f"{row['rows_in']:,}",
            f"{row['rows_rejected']:,}",
            f"{row['observations']:,}",
            f"{row['materials']:,}",
            _age(row["refreshed_at"], now, fresh_for.get(row["source"])),
            _listed(row["properties"]),
        ]
        for row in found["sources"]
    ]
    heads = ["source", "kind", "records", "rejected", "observations", "materials", "refreshed", "properties"]
    _table(console, "sources", heads, sources, numeric=(2, 3, 4, 5))
    _table(
        console,
        "properties",
        ["property", "unit", "observations", "materials", "lowest", "median", "highest", "sources"],
        [
            [
                row["property"],
                row["unit"],
                f"{row['observations']:,}",
                f"{row['materials']:,}",
                *(f"{row[key]:.4g}" for key in ("lowest", "median", "highest")),
                _listed(row["sources"]),
            ]
            for row in found["properties"]
        ],
        numeric=(2, 3, 4, 5, 6),
    )
    _table(
        console,
        "feature sets",
        ["feature set", "entity", "columns", "rows", "failed", "since snapshot", ""],
        [
            [
                f"{row['name']}_v{row['version']}",
                row["entity"],
                str(row["columns"]),
                f"{row['rows']:,}",
                f"{row['failed']:,}",
                str(row["created_snapshot"]),
                "newest" if row["newest"] else "older, readable",
            ]
            for row in found["feature_sets"]
        ],
        numeric=(2, 3, 4, 5),
    )
    _table(
        console,
        "releases",
        ["release", "snapshot", "named", "note"],
        [
            [row["name"], str(row["snapshot"]), f"{row['created_at']:%Y-%m-%d %H:%M}", row["note"] or ""]
            for row in found["releases"]
        ],
        numeric=(1,),
    )
    for tree in _trees(found["lineage"]):
        console.print(tree)


def _table(console: Console, title: str, heads: list[str], rows: list[list[str]], *, numeric: tuple[int, ...]) -> None:
    from rich.markup import escape

    if not rows:
        return
    table = plain_table(heads, numeric=numeric, title=title)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _listed(names: list[str]) -> str:
    """A few names, or how many there are; JSON and the page have all."""
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _age(then: datetime | None, now: datetime, fresh_for: float | None) -> str:
    if then is None:
        return ""
    hours = (now - then).total_seconds() / 3600
    told = f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"
    return f"{told}, overdue" if fresh_for is not None and hours > fresh_for else told


def _trees(lineage: list[dict[str, Any]]) -> list[Tree]:
    """What each set of predictions rests on, down to the sources."""
    from rich.markup import escape
    from rich.tree import Tree

    parents: dict[str, list[tuple[str, int]]] = {}
    for edge in lineage:
        parents.setdefault(edge["to"], []).append((edge["from"], edge["rows"]))

    def grow(tree: Tree, node: str) -> None:
        observed: dict[str, list[tuple[str, int]]] = {}  # by source: it may report many properties
        for parent, rows in parents.get(node, []):
            source, _, property_name = parent.removeprefix("observations ").partition("/")
            if parent.startswith("observations "):
                observed.setdefault(source, []).append((property_name, rows))
            else:
                grow(tree.add(escape(f"{parent} ({rows:,} rows)" if rows else parent)), parent)
        for source, found in observed.items():
            names = _listed([property_name for property_name, _ in found])
            tree.add(escape(f"source {source}: {names} ({found[0][1]:,} rows)"))

    trees = []
    for node in sorted(node for node in parents if node.startswith("predictions ")):
        tree = Tree(f"[bold]{escape(node)}[/] come from")
        grow(tree, node)
        trees.append(tree)
    return trees
