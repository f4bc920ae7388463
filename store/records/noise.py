"""Replicate noise: how far repeated measurements of one material lie apart, the floor under any model's error.

Not here: the view `replicate_noise`, which computes it (`store.lake.views`).
"""

from __future__ import annotations

from matstrata.schemas.source_refs import SourceRef
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.views import POOLED_NOISE


def replicate_noise(lake: Lake, source: str, property_name: str) -> float | None:
    """The pooled standard deviation of a source's replicates, in the property's unit; None where nothing is repeated.

    Only values of the source's own kind count; of several methods, the one that 'source:method' names, or the one with
    most observations.
    """
    reference = SourceRef.parse(source)
    return _number(
        lake,
        "SELECT pooled_sd FROM replicate_noise n JOIN sources s USING (source) WHERE n.kind = s.kind AND source = ? "
        "AND (? = '' OR n.method = ?) AND property = ? ORDER BY observations DESC LIMIT 1",
        [reference.source, reference.method, reference.method, property_name],
    )


def pooled_noise(lake: Lake, property_name: str) -> float | None:
    """As `replicate_noise`, pooled over the measurements of all sources; only within a source are they replicates."""
    return _number(
        lake,
        f"SELECT pooled_sd FROM ({POOLED_NOISE}) WHERE property = ?",
        [property_name],
    )


def _number(lake: Lake, statement: str, values: list[str]) -> float | None:
    with lake.reader() as con:
        row = con.execute(statement, values).fetchone()
    return None if row is None or row[0] is None else float(row[0])
