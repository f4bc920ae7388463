"""The ready views of the store: plain SQL that any DuckDB client can read.

Not here: the DDL that makes them (`store.lake.tables`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from matstrata.schemas.terms import Kind
from matstrata.store.lake.sql import identifier, literal

# The order in which files are read must not show, not even in the last bit: sums are sorted, ties are broken by value.
_LABELS = """
WITH candidates AS (
    SELECT o.material_id, o.property, o.source, o.kind, o.method, o.unit, o.value, o.rank, s.policy,
        (s.label_min_temperature_k IS NULL OR o.temperature_k IS NULL
            OR o.temperature_k BETWEEN s.label_min_temperature_k AND s.label_max_temperature_k) AS preferred,
        s.label_min_temperature_k IS NULL AS everywhere
    FROM observations o JOIN sources s ON o.source = s.source AND (o.kind = s.kind OR o.method <> s.method)
), chosen AS (
    SELECT * FROM candidates WHERE everywhere
    UNION ALL
    SELECT * FROM candidates WHERE NOT everywhere
    QUALIFY preferred = max(preferred) OVER (PARTITION BY material_id, property, source, kind, method)
)
SELECT material_id, property, source, kind, method, any_value(unit) AS unit,
    coalesce(CASE any_value(policy)
        WHEN 'mean' THEN list_avg(list(value ORDER BY value) FILTER (policy = 'mean'))
        WHEN 'min' THEN min(value) WHEN 'max' THEN max(value)
        WHEN 'lowest_energy' THEN arg_min(value, (rank, value)) FILTER (rank IS NOT NULL)
        WHEN 'newest' THEN arg_max(value, (rank, value)) FILTER (rank IS NOT NULL)
    END, median(value)) AS value,
    count(*) AS n_observations, max(value) - min(value) AS spread, any_value(policy) AS policy
FROM chosen GROUP BY material_id, property, source, kind, method
"""

# Pooled over materials with at least two observations: sqrt(sum of squared deviations / sum of (n - 1)). Where
# structures or molecules are known, those of one composition are not replicates of each other. Summed in order, for the
# last digit too to be the same each time.
_NOISE = """
SELECT source, property, kind, method, unit, sqrt(list_sum(list(squares ORDER BY squares)) / sum(n - 1)) AS pooled_sd,
    count(*) AS materials, sum(n) AS observations
FROM (
    SELECT source, property, kind, method, any_value(unit) AS unit, count(*) AS n,
        list_var_pop(list(value ORDER BY value)) * count(*) AS squares
    FROM observations GROUP BY source, property, kind, method, material_id, structure_id
)
WHERE n > 1 GROUP BY source, property, kind, method, unit
"""

# The same over the measurements of all sources: only within a source are they replicates of each other.
POOLED_NOISE = f"""
SELECT property, sqrt(
    list_sum(list(pooled_sd ** 2 * (observations - materials) ORDER BY source, kind, method, unit))
    / sum(observations - materials)
) AS pooled_sd
FROM replicate_noise WHERE kind = {literal(Kind.EXPERIMENT)} GROUP BY property
"""

CONFLICT_FACTOR = 2.0  # times the noise of replicates: labels further apart contradict each other

# Labels of one kind that lie further apart than the threshold, and those of which one is the smallest of the other's
# replicates though another is nearer to their mean: a choice that biases.
_CONFLICTS = f"""
WITH known AS NOT MATERIALIZED (
    SELECT l.*, r.lowest, r.nearest FROM labels l JOIN (
        SELECT property, kind, material_id, source, method, min(value) AS lowest,
            arg_min(value, abs(value - mean)) AS nearest
        FROM (
            SELECT *, avg(value) OVER (PARTITION BY property, kind, material_id, source, method) AS mean
            FROM observations
        ) GROUP BY property, kind, material_id, source, method
    ) r USING (property, kind, material_id, source, method)
), pairs AS NOT MATERIALIZED (
    SELECT property, kind, material_id, a.unit,
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
    FROM known a JOIN known b USING (property, kind, material_id) WHERE (a.source, a.method) < (b.source, b.method)
)
SELECT p.*, coalesce({CONFLICT_FACTOR} * n.pooled_sd, 0.0) AS threshold
FROM pairs p LEFT JOIN ({POOLED_NOISE}) n USING (property)
WHERE difference > coalesce({CONFLICT_FACTOR} * n.pooled_sd, 0.0) OR remark <> ''
"""

_COVERAGE = """
SELECT property, any_value(unit) AS unit, kind, method, source, count(*) AS observations,
    count(DISTINCT material_id) AS materials, count(DISTINCT structure_id) AS structures,
    min(value) AS lowest, median(value) AS median, max(value) AS highest,
    count(*) FILTER (len(flags) > 0) AS flagged
FROM observations GROUP BY property, kind, method, source
"""

_LINEAGE = """
SELECT o.observation_id, o.material_id, o.property, o.value, o.unit, o.value_reported, o.unit_reported, o.source,
    o.source_record, o.file_sha256,
    list_filter(
        from_json(s.files, '[{"name": "VARCHAR", "sha256": "VARCHAR"}]'), lambda f: f.sha256 = o.file_sha256
    )[1].name AS file,
    o.reference, s.title, s.citation, s.doi, s.licence, s.contract_sha256, s.refreshed_at
FROM observations o LEFT JOIN sources s USING (source)
"""

# name -> what a row is, and the query
VIEWS = {
    "labels": ("reconciled values, one for each material, property, source and method", _LABELS),
    "replicate_noise": ("how far repeated observations of one material scatter, by source, property, method", _NOISE),
    "coverage": ("what each source reports of each property by each method: how much, of what range", _COVERAGE),
    "conflicts": (
        f"pairs of labels of one kind further apart than {CONFLICT_FACTOR:g} times the scatter of replicates",
        _CONFLICTS,
    ),
    "lineage": (
        "where a value comes from: record, file, reference, citation; file is null where it was replaced",
        _LINEAGE,
    ),
}

WIDE = "labels_wide"


def wide_view(reported: Sequence[tuple[str, str, str]]) -> tuple[str, str]:
    """What a row of `labels_wide` is, and its query: one column per property and method.

    A view's columns are fixed, so it is written again when a refresh brings a property or a method.

    Args:
        reported: Property, kind and method of all observations, each once.
    """
    names: dict[str, tuple[str, str, str]] = {}
    for property_name, kind, method in sorted(reported):
        stem = f"{property_name}__{re.sub(r'[^a-z0-9]+', '_', method.lower()).strip('_') or kind}"
        free = (each for n in count(1) if (each := stem if n == 1 else f"{stem}_{n}") not in names)
        names[next(free)] = (property_name, kind, method)
    columns = "".join(
        f",\n    median(value) FILTER (property = {literal(property_name)} AND kind = {literal(kind)} "
        f"AND method = {literal(method)}) AS {identifier(name)}"
        for name, (property_name, kind, method) in names.items()
    )
    row = (
        "a material, with a column per property and method: property__method, in the property's unit; of several "
        "sources the median"
    )
    return row, f"SELECT material_id{columns}\nFROM labels GROUP BY material_id\n"
