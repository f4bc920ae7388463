"""The catalogue: what a store holds, since when, and what came from what. Counted from the public tables.

Not here: how it is shown (`pipelines.cli.store`, `pipelines.reports`).
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.store.lake.lake import current_snapshot

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
_FEATURE_SETS = """
    SELECT f.name, f.version, f.entity, f.version =
            arg_max(f.version, (coalesce(f.current, false), f.version)) OVER (PARTITION BY f.name) AS current,
        len(f.columns) AS columns, f.rows, coalesce(x.failed, 0) AS failed, f.created_snapshot, f.created_at
    FROM feature_sets f
    LEFT JOIN (SELECT name, version, count(*) AS failed FROM feature_failures GROUP BY name, version) x
        USING (name, version)
    ORDER BY f.name, f.version
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


def catalogue(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What the store holds as `con` sees it: rows of sources, properties, feature sets, training sets, models.

    Returns:
        These, each a list of rows, with `snapshot`, `snapshots` (how many are kept), `newest_at`, `tables` with their
        rows, `releases`, and `lineage`: the edges from sources to predictions, as `{from, to, rows}`.
    """

    def rows(statement: str) -> Rows:
        return con.execute(statement).to_arrow_table().to_pylist()

    snapshots = rows("SELECT count(*) AS kept, max(snapshot_time) AS newest_at FROM lake.snapshots()")[0]
    models = rows(_MODELS)
    helpers = {row["model_id"]: _helpers(row.pop("parameters")) for row in models}
    found: dict[str, Any] = {
        "snapshot": current_snapshot(con),
        "snapshots": snapshots["kept"],
        "newest_at": snapshots["newest_at"],
        "releases": rows("SELECT name, snapshot, note, created_at FROM releases ORDER BY snapshot, name"),
        "sources": rows(_SOURCES),
        "properties": [row | _vocabulary(row["property"]) for row in rows(_PROPERTIES)],
        "feature_sets": rows(_FEATURE_SETS),
        "training_sets": rows(_TRAINING_SETS),
        "models": models,
    }
    return found | {"lineage": _lineage(con, found, helpers)}


def _vocabulary(name: str) -> dict[str, str | None]:
    try:
        declared = get_property(name)
    except InputError:  # an older or newer version knew it
        return {"title": name, "definition": None}
    return {"title": declared.title, "definition": declared.definition}


def _helpers(parameters: str | None) -> dict[str, str]:
    """The models that an ensemble asks, by source."""
    return dict(json.loads(parameters or "{}").get("helpers", {}))


def _lineage(con: duckdb.DuckDBPyConnection, found: dict[str, Any], helpers: dict[str, dict[str, str]]) -> Rows:
    """The edges source -> observations -> features -> training set -> model -> predictions; only of serving models."""
    edges: list[tuple[str, str, int]] = []
    counted = con.execute("SELECT source, property, count(*) FROM observations GROUP BY ALL ORDER BY ALL").fetchall()
    for source, property_name, count in counted:
        edges.append((f"source {source}", f"observations {source}/{property_name}", count))
    rows_of = {f"{row['name']}_v{row['version']}": row["rows"] for row in found["feature_sets"]}
    sets = {(row["training_set_id"], row["ensemble"]): row for row in found["training_sets"]}
    for model in found["models"]:
        if not model["serving"]:
            continue
        name = f"model {model['model_id']}"
        training_set = sets.get((model["training_set_id"], model["property"]))
        if training_set is not None:
            target = f"training set {training_set['training_set_id'][:12]}"
            source = training_set["source"].partition(":")[0]
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
