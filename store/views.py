"""The ready views of the store: plain SQL that any DuckDB client can read.

Not here: making them (`store.lake`).
"""

from __future__ import annotations

# The order in which files are read must not show, not even in the last bit: sums are sorted, ties are broken by value.
_LABELS = """
WITH candidates AS (
    SELECT o.material_id, o.property, o.source, o.kind, o.method, o.unit, o.value, o.rank, s.policy,
        (s.label_min_temperature_k IS NULL OR o.temperature_k IS NULL
            OR o.temperature_k BETWEEN s.label_min_temperature_k AND s.label_max_temperature_k) AS preferred
    FROM observations o JOIN sources s ON o.source = s.source AND (o.kind = s.kind OR o.method <> s.method)
), chosen AS (
    SELECT *, preferred = max(preferred) OVER (PARTITION BY material_id, property, source, kind, method) AS taken
    FROM candidates
)
SELECT material_id, property, source, kind, method, any_value(unit) AS unit,
    coalesce(CASE any_value(policy)
        WHEN 'mean' THEN list_avg(list(value ORDER BY value) FILTER (policy = 'mean'))
        WHEN 'min' THEN min(value) WHEN 'max' THEN max(value)
        WHEN 'lowest_energy' THEN arg_min(value, (rank, value)) FILTER (rank IS NOT NULL)
        WHEN 'newest' THEN arg_max(value, (rank, value)) FILTER (rank IS NOT NULL)
    END, median(value)) AS value,
    count(*) AS n_observations, max(value) - min(value) AS spread, any_value(policy) AS policy
FROM chosen WHERE taken GROUP BY material_id, property, source, kind, method
"""

# Pooled over materials with at least two observations: sqrt(sum of squared deviations / sum of (n - 1)). Where
# structures or molecules are known, those of one composition are no replicates of each other.
_NOISE = """
SELECT source, property, kind, method, unit, sqrt(sum(squares) / sum(n - 1)) AS pooled_sd,
    count(*) AS materials, sum(n) AS observations
FROM (
    SELECT source, property, kind, method, any_value(unit) AS unit, count(*) AS n, var_pop(value) * count(*) AS squares
    FROM observations GROUP BY source, property, kind, method, material_id, structure_id
)
WHERE n > 1 GROUP BY source, property, kind, method, unit
"""

# name -> what a row is, and the query
VIEWS = {
    "labels": ("reconciled values, one for each material, property, source and method", _LABELS),
    "replicate_noise": ("how far repeated observations of one material scatter, by source, property, method", _NOISE),
}
