"""Where sources of one kind disagree about a material by more than measurements of it scatter.

Not here: what becomes a label (`labels`), and noise itself (`store.noise`).
"""

from __future__ import annotations

from typing import Any

from schemas.contracts import Kind
from schemas.errors import InputError
from schemas.properties import get_property
from store.lake import Lake
from store.noise import pooled_noise

TIMES = 2.0  # noise beyond which two labels contradict each other

_PAIRS = """
WITH replicates AS (
    SELECT *, avg(value) OVER (PARTITION BY material_id, source, method) AS mean
    FROM observations WHERE property = $property AND kind = $kind
), values_of AS (
    SELECT material_id, source, method, min(value) AS lowest, arg_min(value, abs(value - mean)) AS nearest
    FROM replicates GROUP BY ALL
), known AS (
    SELECT l.*, lowest, nearest FROM labels l JOIN values_of USING (material_id, source, method)
    WHERE l.property = $property AND l.kind = $kind
), pairs AS (
    SELECT a.material_id,
        a.source AS source_a, a.method AS method_a, a.value AS value_a, a.n_observations AS n_a,
        b.source AS source_b, b.method AS method_b, b.value AS value_b, b.n_observations AS n_b,
        abs(a.value - b.value) AS difference,
        CASE
            WHEN b.n_observations > 1 AND a.value = b.lowest AND a.value < b.nearest
                THEN a.source || ' has the smallest of ' || b.source || ', not that nearest to their mean'
            WHEN a.n_observations > 1 AND b.value = a.lowest AND b.value < a.nearest
                THEN b.source || ' has the smallest of ' || a.source || ', not that nearest to their mean'
            ELSE ''
        END AS remark
    FROM known a JOIN known b ON a.material_id = b.material_id AND (a.source, a.method) < (b.source, b.method)
)
SELECT * FROM pairs WHERE difference > $threshold OR remark <> ''
ORDER BY difference DESC, material_id, source_a, source_b
"""


def conflicts(lake: Lake, property: str, kind: Kind) -> tuple[float, list[dict[str, Any]]]:
    """The threshold, in the property's unit, and the pairs of labels that contradict each other, the worst first.

    They do where they lie further apart than the threshold, and where one is the smallest of the other's replicates
    though another is nearer to their mean: a choice that biases. The threshold is `TIMES` the noise of repeated
    measurements, pooled over all sources that measure the property; 0 where nothing was measured twice.

    Raises:
        InputError: there is no such property, or no source of that kind reports it.
    """
    get_property(property)
    threshold = TIMES * (pooled_noise(lake, property) or 0.0)
    with lake.reader() as con:
        if not con.execute(
            "SELECT 1 FROM observations WHERE property = ? AND kind = ? LIMIT 1", [property, kind]
        ).fetchone():
            raise InputError(
                f"the store has no {kind} of {property}; 'matstrata sources list' shows what there is, and --kind "
                "chooses between experiment and computation"
            )
        wanted = {"property": property, "kind": kind, "threshold": threshold}
        rows = con.execute(_PAIRS, wanted).to_arrow_table().to_pylist()
    return threshold, rows
