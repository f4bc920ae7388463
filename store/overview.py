"""The overview of a store: its content, its age and its lineage, counted from the public tables.

Not here: how it is shown (`pipelines.cli.catalog`, `pipelines.reports.store_page`).
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.tables import feature_label
from matstrata.store.features.versions import failure_counts, versions
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.lake import Lake, current_snapshot

Rows = list[dict[str, Any]]

_SOURCES = """
    SELECT s.source, s.title, s.kind, s.method, s.licence, s.doi, s.rows_in, s.rows_accepted, s.rows_rejected,
        coalesce(o.observations, 0) AS observations, coalesce(o.materials, 0) AS materials,
        coalesce(o.properties, []) AS properties, s.refreshed_at
    FROM sources s LEFT JOIN (
        SELECT source, count(*) AS observations, count(DISTINCT material_id) AS materials,
            list_sort(list(DISTINCT property)) AS properties
        FROM observations GROUP BY source
    ) o USING (source) ORDER BY source
"""
_PROPERTIES = """
    SELECT property, any_value(unit) AS unit, count(*) AS observations, count(DISTINCT material_id) AS materials,
        list_sort(list(DISTINCT source)) AS sources, min(value) AS lowest, median(value) AS median,
        max(value) AS highest
    FROM observations GROUP BY property ORDER BY property
"""
_TRAINING_SETS = """
    SELECT training_set_id, ensemble, source, properties, features, snapshot, rows, created_at
    FROM training_sets ORDER BY ensemble, source, snapshot
"""
_MODELS = """
    SELECT m.model_id, m.property, m.source, m.training_set_id, m.snapshot, m.features, m.serving, m.created_at,
        m.parameters, coalesce(p.predictions, 0) AS predictions
    FROM models m LEFT JOIN (SELECT model_id, count(*) AS predictions FROM predictions GROUP BY model_id) p
        USING (model_id)
    ORDER BY m.property, m.source NULLS LAST, m.created_at
"""


def store_overview(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The content of the store as `con` sees it: rows of sources, properties, feature sets, training sets, models.

    Returns:
        These, each a list of rows, with `snapshot`, `snapshots` (the number of them in the store), `newest_at`,
        `releases`, and `lineage`: the edges from sources to predictions, as `{from, to, rows}`.
    """
    snapshots = _rows(con, f"SELECT count(*) AS number, max(snapshot_time) AS newest_at FROM {CATALOG}.snapshots()")[0]
    models = _rows(con, _MODELS)
    helpers = {row["model_id"]: _helpers(row.pop("parameters")) for row in models}
    content: dict[str, Any] = {
        "snapshot": current_snapshot(con),
        "snapshots": snapshots["number"],
        "newest_at": snapshots["newest_at"],
        "releases": _rows(con, "SELECT name, snapshot, note, created_at FROM releases ORDER BY snapshot, name"),
        "sources": _rows(con, _SOURCES),
        "properties": [row | _vocabulary(row["property"]) for row in _rows(con, _PROPERTIES)],
        "feature_sets": _feature_sets(con),
        "training_sets": _rows(con, _TRAINING_SETS),
        "models": models,
    }
    return content | {"lineage": _lineage(con, content, helpers)}


def summarize(lake: Lake) -> dict[str, Any]:
    """A store in a few numbers: sources, feature sets, serving models, the last commits; `exists` is false without it.

    Returns:
        `store` (its address), `exists`, and of an existing store `snapshot`, `materials`, `observations`, and rows of
        `sources`, `feature_sets`, `models`, `commits`.
    """
    if not lake.exists():
        return {"store": lake.address, "exists": False}
    with lake.reader() as con:
        return {
            "store": lake.address,
            "exists": True,
            "snapshot": current_snapshot(con),
            "materials": _rows(con, "SELECT count(*) AS n FROM materials")[0]["n"],
            "observations": _rows(con, "SELECT count(*) AS n FROM observations")[0]["n"],
            "sources": _rows(
                con,
                "SELECT source, kind, rows_in, rows_accepted, rows_rejected, refreshed_at FROM sources ORDER BY source",
            ),
            "feature_sets": _rows(
                con, "SELECT name, version, rows, created_at FROM feature_sets ORDER BY name, version"
            ),
            "models": _rows(
                con, "SELECT property, source, model_id, created_at FROM models WHERE serving ORDER BY property, source"
            ),
            "commits": _rows(
                con,
                f"SELECT snapshot_id, snapshot_time, author, commit_message FROM {CATALOG}.snapshots() "
                "ORDER BY snapshot_id DESC LIMIT 5",
            ),
        }


def _feature_sets(con: duckdb.DuckDBPyConnection) -> Rows:
    """The versions of feature sets; a store that no newer Matstrata has written to says of none that it is current."""
    rows, failures = versions(con), failure_counts(con)
    current = {row["name"]: label for label, row in rows.items()}
    current |= {row["name"]: label for label, row in rows.items() if row.get("current")}
    return [
        {
            "name": row["name"],
            "version": row["version"],
            "entity": row["entity"],
            "current": current[row["name"]] == label,
            "columns": len(row["columns"]),
            "rows": row["rows"],
            "failed": failures.get(label, 0),
            "created_snapshot": row["created_snapshot"],
            "created_at": row["created_at"],
        }
        for label, row in rows.items()
    ]


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> Rows:
    return con.execute(statement).to_arrow_table().to_pylist()


def _vocabulary(name: str) -> dict[str, str | None]:
    try:
        declared = get_property(name)
    except InputError:  # of an older or newer version's vocabulary
        return {"title": name, "definition": None}
    return {"title": declared.title, "definition": declared.definition}


def _helpers(parameters: str | None) -> dict[str, str]:
    """The models whose predictions an ensemble takes, by source."""
    return dict(json.loads(parameters or "{}").get("helpers", {}))


def _lineage(con: duckdb.DuckDBPyConnection, content: dict[str, Any], helpers: dict[str, dict[str, str]]) -> Rows:
    """The edges source -> observations -> features -> training set -> model -> predictions of the serving models."""
    edges: list[tuple[str, str, int]] = []
    counted = con.execute("SELECT source, property, count(*) FROM observations GROUP BY ALL ORDER BY ALL").fetchall()
    for source, property_name, count in counted:
        edges.append((f"source {source}", f"observations {source}/{property_name}", count))
    rows_of = {feature_label(row["name"], row["version"]): row["rows"] for row in content["feature_sets"]}
    sets = {(row["training_set_id"], row["ensemble"]): row for row in content["training_sets"]}
    for model in content["models"]:
        if not model["serving"]:
            continue
        name = f"model {model['model_id']}"
        training_set = sets.get((model["training_set_id"], model["property"]))
        if training_set is not None:
            target = f"training set {training_set['training_set_id'][:12]}"
            source = SourceRef.parse(training_set["source"]).source
            edges += [
                (f"observations {source}/{property_name}", target, training_set["rows"])
                for property_name in training_set["properties"]
            ]
            edges += [(f"features {each}", target, rows_of.get(each, 0)) for each in training_set["features"]]
            edges.append((target, name, training_set["rows"]))
        edges += [(f"model {helper}", name, 0) for helper in helpers[model["model_id"]].values()]
        if model["predictions"]:
            edges.append((name, f"predictions {model['property']}", model["predictions"]))
    return [{"from": a, "to": b, "rows": rows} for a, b, rows in dict.fromkeys(edges)]
