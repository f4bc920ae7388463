"""Replicate noise: how far repeated measurements of one material lie apart, the floor under any model's error."""

from __future__ import annotations

from store.lake import Lake


def replicate_noise(lake: Lake, source: str, property_name: str) -> float | None:
    """The pooled standard deviation of a source's replicates, in the property's unit; None where nothing is repeated.

    Pooled over materials with at least two observations: sqrt(sum of squared deviations / sum of (n - 1)).
    """
    with lake.reader() as con:
        row = con.execute(
            "SELECT sqrt(sum(squares) / sum(n - 1)) FROM (SELECT count(*) AS n, var_pop(value) * count(*) AS squares "
            "FROM observations o JOIN sources s ON o.source = s.source AND o.kind = s.kind "
            "WHERE o.source = ? AND property = ? GROUP BY material_id) WHERE n > 1",
            [source, property_name],
        ).fetchone()
    return None if row is None or row[0] is None else float(row[0])
