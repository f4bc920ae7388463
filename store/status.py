"""What a store holds, in a few numbers."""

from __future__ import annotations

from typing import Any

from matstrata.store.lake.lake import Lake


def summarise(lake: Lake) -> dict[str, Any]:
    """Sources, feature sets, serving models and the last commits; empty where there is no store."""
    if not lake.exists():
        return {"store": lake.address, "exists": False}
    with lake.reader() as con:

        def rows(statement: str) -> list[dict[str, Any]]:
            return con.execute(statement).to_arrow_table().to_pylist()

        return {
            "store": lake.address,
            "exists": True,
            "snapshot": rows("SELECT max(snapshot_id) AS n FROM lake.snapshots()")[0]["n"],
            "materials": rows("SELECT count(*) AS n FROM materials")[0]["n"],
            "observations": rows("SELECT count(*) AS n FROM observations")[0]["n"],
            "sources": rows(
                "SELECT source, kind, rows_in, rows_accepted, rows_rejected, refreshed_at FROM sources ORDER BY source"
            ),
            "feature_sets": rows("SELECT name, version, rows, created_at FROM feature_sets ORDER BY name, version"),
            "models": rows(
                "SELECT property, source, model_id, created_at FROM models WHERE serving ORDER BY property, source"
            ),
            "commits": rows(
                "SELECT snapshot_id, snapshot_time, author, commit_message FROM lake.snapshots() "
                "ORDER BY snapshot_id DESC LIMIT 5"
            ),
        }
