"""The overview of the store in a terminal: tables, and the lineage of predictions as a tree.

Not here: counting it (`store.overview`), and the page (`pipelines.reports.store_page`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.cli.console import plain
from matstrata.pipelines.cli.tables import print_grid, print_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree


def print_catalog(
    console: Console, overview: Mapping[str, Any], fresh_for: Mapping[str, float], now: datetime, *, wide: bool = False
) -> None:
    """Print the overview as tables, and the lineage of predictions as a tree.

    Args:
        console: where it goes.
        overview: of the store, as `store.overview` counts it.
        fresh_for: hours for which each source counts as fresh, where its contract states them.
        now: to which the age of a source is counted.
        wide: print every column whole.
    """
    console.print(
        f"Snapshot {overview['snapshot']} of {overview['newest_at']:%Y-%m-%d %H:%M} UTC; {overview['snapshots']:,} "
        f"snapshots are kept, {len(overview['releases']):,} of them as releases.\n"
    )
    sources = [
        row
        | {
            "refreshed": _age(row["refreshed_at"], now, fresh_for.get(row["source"])),
            "properties": _listed(row["properties"]),
            "records": row["rows_in"],
            "rejected": row["rows_rejected"],
        }
        for row in overview["sources"]
    ]
    properties = [row | {"sources": _listed(row["sources"])} for row in overview["properties"]]
    feature_sets = [
        [
            f"{row['name']}_v{row['version']}",
            *(row[key] for key in ("entity", "columns", "rows", "failed", "created_snapshot")),
            "current" if row["current"] else "readable",
        ]
        for row in overview["feature_sets"]
    ]
    releases = [[row["name"], row["snapshot"], row["created_at"], row["note"]] for row in overview["releases"]]
    if sources:
        keys = ["source", "kind", "records", "rejected", "observations", "materials", "refreshed", "properties"]
        print_rows(
            console, keys, sources, wide=wide, title="sources", least=("kind", "properties", "records", "rejected")
        )
    if properties:
        keys = ["property", "unit", "observations", "materials", "lowest", "median", "highest", "sources"]
        print_rows(
            console,
            keys,
            properties,
            wide=wide,
            title="properties",
            least=("sources", "observations", "lowest", "highest"),
        )
    if feature_sets:
        titles = ["feature set", "entity", "columns", "rows", "failed", "since snapshot", "state"]
        print_grid(
            console, titles, feature_sets, wide=wide, title="feature sets", least=("since snapshot", "entity", "state")
        )
    if releases:
        print_grid(console, ["release", "snapshot", "named", "note"], releases, wide=wide, title="releases")
    for tree in _trees(overview["lineage"]):
        console.print(tree)


def _listed(names: list[str]) -> str:
    """A few names, or how many there are; JSON and the page have all."""
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _age(then: datetime | None, now: datetime, fresh_for: float | None) -> str:
    if then is None:
        return ""
    hours = (now - then).total_seconds() / 3600
    age = f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"
    return f"{age}, overdue" if fresh_for is not None and hours > fresh_for else age


def _trees(lineage: list[dict[str, Any]]) -> list[Tree]:
    """What each set of predictions rests on, down to the sources."""
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
                grow(tree.add(plain(f"{parent} ({rows:,} rows)" if rows else parent)), parent)
        for source, reports in observed.items():
            names = _listed([property_name for property_name, _ in reports])
            tree.add(plain(f"source {source}: {names} ({reports[0][1]:,} rows)"))

    trees = []
    for node in sorted(node for node in parents if node.startswith("predictions ")):
        tree = Tree(f"[bold]{plain(node)}[/] come from")
        grow(tree, node)
        trees.append(tree)
    return trees
