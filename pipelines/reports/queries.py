"""The report's queries of the store's public tables, each a function that returns an Arrow table.

Not here: what the numbers mean (`findings`) and how they look (`figures`, `report_page`).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from matstrata.schemas.source_refs import SourceRef
from matstrata.store.features.versions import described
from matstrata.store.lake.sql import literal


def _query(con: duckdb.DuckDBPyConnection, statement: str, *parameters: object) -> pa.Table:
    return con.execute(statement, list(parameters)).to_arrow_table()


def ensemble(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """The ensemble that serves a property, else the newest: one row of `models`, or none."""
    return _query(
        con,
        "SELECT * FROM models WHERE property = ? AND source IS NULL "
        "ORDER BY coalesce(serving, false) DESC, created_at DESC, model_id LIMIT 1",
        property_name,
    )


def metrics(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """All figures of a model's evaluation: protocol, setting, subset, metric, value."""
    return _query(
        con,
        "SELECT protocol, setting, subset, metric, value FROM model_metrics WHERE model_id = ? ORDER BY ALL",
        model_id,
    )


def out_of_fold(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """A model's out-of-fold predictions for all protocols and settings: the columns of `out_of_fold`."""
    return _query(
        con,
        "SELECT protocol, setting, material_id, measured, value, lower_90, upper_90, in_domain "
        "FROM out_of_fold WHERE model_id = ? ORDER BY protocol, setting, measured, material_id",
        model_id,
    )


def learning_curve(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """A model's errors by training size: protocol, setting, subset, n_trained, n_tested, mae."""
    return _query(
        con,
        "SELECT protocol, setting, subset, n_trained, n_tested, mae FROM learning_curves WHERE model_id = ? "
        "ORDER BY protocol, setting, subset, n_trained",
        model_id,
    )


def importances(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """A model's permutation importances, largest first: kind, block, increase (mean over folds), by_fold, materials."""
    return _query(
        con,
        "SELECT kind, block, sum(increase * materials) / sum(materials) AS increase, "
        "list(increase ORDER BY fold) AS by_fold, sum(materials)::BIGINT AS materials FROM importances "
        "WHERE model_id = ? GROUP BY kind, block ORDER BY increase DESC, block",
        model_id,
    )


def effects(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """Effects of sources and descriptors on predictions of held-out materials: material_id, kind, block, effect."""
    return _query(
        con,
        "SELECT material_id, kind, block, effect FROM effects WHERE model_id = ? ORDER BY material_id, kind, block",
        model_id,
    )


def with_descriptors(
    con: duckdb.DuckDBPyConnection,
    property_name: str,
    target: str,
    sources: Sequence[str],
    features: Sequence[str],
    *,
    measured: int,
    computed: int,
) -> pa.Table:
    """Materials with their descriptors: material_id, value, then the descriptors; the sample is the same each time.

    Args:
        con: A reader of the store.
        property_name: The property whose values are shown.
        target: The source, or 'source:method', that measures it.
        sources: Sources of materials that the target lacks; their `value` is null.
        features: Feature-set versions, such as 'magpie_v1'.
        measured: The largest number of materials of the target.
        computed: The largest number of materials that only the other sources have.
    """
    reference = SourceRef.parse(target)
    joins = " ".join(f"JOIN {described(version)} USING (material_id)" for version in features)
    return _query(
        con,
        f"""
        WITH measured AS (
            SELECT material_id, median(value) AS value FROM labels
            WHERE property = $1 AND source = $2 AND ($3 = '' OR method = $3) GROUP BY material_id
        ), computed AS (
            SELECT DISTINCT material_id, NULL::DOUBLE AS value FROM observations
            WHERE list_contains($4, source) AND material_id NOT IN (SELECT material_id FROM measured)
        ), sampled AS (
            (FROM measured ORDER BY md5(material_id) LIMIT {int(measured)})
            UNION ALL (FROM computed ORDER BY md5(material_id) LIMIT {int(computed)})
        )
        SELECT * FROM sampled {joins} ORDER BY value IS NULL, material_id
        """,
        property_name,
        reference.source,
        reference.method,
        list(sources),
    )


def largest_errors(
    con: duckdb.DuckDBPyConnection, model_id: str, property_name: str, *, protocol: str, setting: str, limit: int = 15
) -> pa.Table:
    """The materials with the largest errors, and the evidence for the label of each source.

    Columns: material_id, measured, value, lower_90, upper_90, in_domain, error, and `labels`: per source its label
    (value, n_observations, spread), as structs.
    """
    return _query(
        con,
        """
        WITH worst AS (
            SELECT material_id, measured, value, lower_90, upper_90, in_domain, value - measured AS error
            FROM out_of_fold WHERE model_id = ? AND protocol = ? AND setting = ?
            ORDER BY abs(value - measured) DESC, material_id LIMIT ?
        ), labeled AS (
            SELECT material_id, list({'source': source, 'value': value, 'n_observations': n_observations,
                'spread': spread} ORDER BY source) AS labels
            FROM labels WHERE property = ? AND material_id IN (SELECT material_id FROM worst) GROUP BY material_id
        )
        SELECT worst.*, labels FROM worst LEFT JOIN labeled USING (material_id) ORDER BY abs(error) DESC, material_id
        """,
        model_id,
        protocol,
        setting,
        limit,
        property_name,
    )


def label_counts(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """Per source that reports the property: labeled materials, observations behind them, and the range of values."""
    return _query(
        con,
        "SELECT source, count(*) AS materials, sum(n_observations)::BIGINT AS observations, min(value) AS lowest, "
        "median(value) AS middle, max(value) AS highest FROM labels WHERE property = ? GROUP BY source ORDER BY source",
        property_name,
    )


def labeled_materials(con: duckdb.DuckDBPyConnection, property_name: str) -> int:
    """How many materials have a label of the property from any source."""
    counted = _query(con, "SELECT count(DISTINCT material_id) AS n FROM labels WHERE property = ?", property_name)
    return int(counted["n"][0].as_py())


def element_counts(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """Per element, how many labeled materials contain it; deuterium and tritium count as hydrogen."""
    return _query(
        con,
        """
        WITH present AS (
            SELECT material_id, unnest(elements) AS symbol FROM materials
            WHERE material_id IN (SELECT material_id FROM labels WHERE property = ?)
        )
        SELECT CASE WHEN symbol IN ('D', 'T') THEN 'H' ELSE symbol END AS element,
            count(DISTINCT material_id) AS materials
        FROM present GROUP BY element ORDER BY materials DESC, element
        """,
        property_name,
    )


def sources(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> pa.Table:
    """The rows of `sources`, with counts of what other tables hold from each.

    Added columns: `observations` (of any property), and the distinct records in the table `observations`
    (`accepted_stored`) and in the table `rejections` (`rejected_stored`).
    """
    return _query(
        con,
        """
        SELECT s.*, coalesce(o.observations, 0) AS observations,
            coalesce(o.records, 0) AS accepted_stored, coalesce(r.records, 0) AS rejected_stored
        FROM sources s
        LEFT JOIN (SELECT source, count(*) AS observations, count(DISTINCT source_record) AS records
                   FROM observations GROUP BY source) o USING (source)
        LEFT JOIN (SELECT source, count(DISTINCT source_record) AS records
                   FROM rejections GROUP BY source) r USING (source)
        WHERE list_contains(?, source) ORDER BY source
        """,
        list(sources),
    )


def source_overlap(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> pa.Table:
    """Per exact combination of sources, the number of materials that only these observe: sources, materials."""
    return _query(
        con,
        """
        WITH observed AS (
            SELECT material_id, list_sort(list(DISTINCT source)) AS sources
            FROM observations WHERE list_contains(?, source) GROUP BY material_id
        )
        SELECT sources, count(*) AS materials FROM observed GROUP BY sources ORDER BY materials DESC, sources
        """,
        list(sources),
    )


def rejections_by_rule(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> pa.Table:
    """Per rule and source, the number of rejected records: rule_id, source, records."""
    return _query(
        con,
        "SELECT rule_id, source, count(*) AS records FROM rejections WHERE list_contains(?, source) "
        "GROUP BY rule_id, source ORDER BY rule_id, source",
        list(sources),
    )


def rejection_examples(con: duckdb.DuckDBPyConnection, sources: Sequence[str], per_rule: int = 2) -> pa.Table:
    """A few rejected records of each rule: rule_id, source, source_record, reason, raw."""
    return _query(
        con,
        "SELECT rule_id, source, source_record, reason, raw FROM rejections WHERE list_contains(?, source) "
        "QUALIFY row_number() OVER (PARTITION BY rule_id ORDER BY source, source_record, raw) <= ? "
        "ORDER BY rule_id, source, source_record",
        list(sources),
        per_rule,
    )


def validations(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> pa.Table:
    """Per source, the outcome of its latest validation: expectations, held, checked, unexpected."""
    return _query(
        con,
        "SELECT v.source, count(*) AS expectations, count(*) FILTER (v.success) AS held, "
        "sum(v.checked)::BIGINT AS checked, sum(v.unexpected)::BIGINT AS unexpected "
        "FROM validations v JOIN sources s ON v.source = s.source AND v.validated_at = s.refreshed_at "
        "WHERE list_contains(?, v.source) GROUP BY v.source ORDER BY v.source",
        list(sources),
    )


def feature_sets(con: duckdb.DuckDBPyConnection, used: Sequence[str]) -> pa.Table:
    """Feature-set versions named in `used` ('magpie_v1'; a bare 'magpie' means the version in use), with failures."""
    return _query(
        con,
        """
        SELECT f.name, f.version, f.entity, len(f.columns) AS n_columns, f.rows, f.signature, f.created_snapshot,
            (SELECT count(*) FROM feature_failures x WHERE x.name = f.name AND x.version = f.version) AS failures
        FROM feature_sets f
        WHERE list_contains($1, f.name || '_v' || f.version)
            OR (list_contains($1, f.name)
                AND f.version = (SELECT arg_max(n.version, (coalesce(n.current, false), n.version))
                    FROM feature_sets n WHERE n.name = f.name))
        ORDER BY f.name, f.version
        """,
        list(used),
    )


def example_queries(property_name: str, snapshot: int) -> tuple[tuple[str, str], ...]:
    """SQL for the reader: (what it answers, the query), pinned to the snapshot where it reads tables."""
    name = literal(property_name)
    at = f"AT (VERSION => {int(snapshot)})"
    return (
        (
            "Where do sources that share a material disagree most?",
            f"""SELECT material_id, list(source) AS sources, list(round(value, 3)) AS "values"
FROM labels WHERE property = {name}
GROUP BY material_id HAVING count(*) > 1 ORDER BY max(value) - min(value) DESC LIMIT 20""",
        ),
        (
            "Which observations are behind the labels, under which conditions, from which reference?",
            f"""SELECT formula_reported, value, unit, method, temperature_k, conditions, reference
FROM observations {at}
WHERE property = {name} ORDER BY material_id LIMIT 20""",
        ),
        (
            "Which records were rejected, and why?",
            f"""SELECT source, rule_id, count(*) AS records, any_value(reason) AS example
FROM rejections {at}
GROUP BY source, rule_id ORDER BY records DESC""",
        ),
        (
            "How large are the ensemble's errors in each setting?",
            f"""SELECT protocol, setting, subset, metric, value
FROM model_metrics {at} JOIN models {at} USING (model_id)
WHERE property = {name} AND source IS NULL ORDER BY ALL""",
        ),
    )
