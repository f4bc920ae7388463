"""What the report counts: every question it asks of the store's public tables, answered as Arrow tables.

Not here: what the numbers mean (`findings`) and how they look (`figures`, `page`).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa


def _ask(con: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> pa.Table:
    return con.execute(query, list(parameters)).to_arrow_table()


def ensemble(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """The ensemble that serves a property, else the newest: one row of `models`, or none."""
    return _ask(
        con,
        "SELECT * FROM models WHERE property = ? AND source IS NULL "
        "ORDER BY coalesce(serving, false) DESC, created_at DESC, model_id LIMIT 1",
        property_name,
    )


def metrics(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """All figures of a model's evaluation: protocol, setting, subset, metric, value."""
    return _ask(
        con,
        "SELECT protocol, setting, subset, metric, value FROM model_metrics WHERE model_id = ? ORDER BY ALL",
        model_id,
    )


def out_of_fold(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """A model's out-of-fold predictions, all protocols and settings: columns of `out_of_fold` but `model_id`."""
    return _ask(
        con,
        "SELECT protocol, setting, material_id, measured, value, lower_90, upper_90, in_domain "
        "FROM out_of_fold WHERE model_id = ? ORDER BY protocol, setting, measured, material_id",
        model_id,
    )


def learning_curve(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """A model's errors by training size: protocol, setting, subset, n_trained, n_tested, mae."""
    return _ask(
        con,
        "SELECT protocol, setting, subset, n_trained, n_tested, mae FROM learning_curves WHERE model_id = ? "
        "ORDER BY protocol, setting, subset, n_trained",
        model_id,
    )


def importances(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """What carries a model, the most first: kind, block, increase (mean over folds), by_fold, materials."""
    return _ask(
        con,
        "SELECT kind, block, sum(increase * materials) / sum(materials) AS increase, "
        "list(increase ORDER BY fold) AS by_fold, sum(materials)::BIGINT AS materials FROM importances "
        "WHERE model_id = ? GROUP BY kind, block ORDER BY increase DESC, block",
        model_id,
    )


def effects(con: duckdb.DuckDBPyConnection, model_id: str) -> pa.Table:
    """What moved the predictions of held-out materials: material_id, kind, block, effect."""
    return _ask(
        con,
        "SELECT material_id, kind, block, effect FROM effects WHERE model_id = ? ORDER BY material_id, kind, block",
        model_id,
    )


def described(
    con: duckdb.DuckDBPyConnection,
    property_name: str,
    target: str,
    names: Sequence[str],
    features: Sequence[str],
    *,
    measured: int,
    computed: int,
) -> pa.Table:
    """Materials with their descriptors, drawn the same each time: material_id, value, then the descriptors.

    Args:
        con: a reader of the store.
        property_name: whose value is shown.
        target: the source, or 'source:method', that measures it.
        names: sources of the materials that the target does not know; their `value` is null.
        features: feature-set versions, such as 'magpie_v1'.
        measured: at most so many that the target knows.
        computed: at most so many that only the others know.
    """
    source, _, method = target.partition(":")
    joins = " ".join(f"JOIN features.{version} USING (material_id)" for version in features)
    return _ask(
        con,
        f"""
        WITH known AS (
            SELECT material_id, median(value) AS value FROM labels
            WHERE property = $1 AND source = $2 AND ($3 = '' OR method = $3) GROUP BY material_id
        ), others AS (
            SELECT DISTINCT material_id, NULL::DOUBLE AS value FROM observations
            WHERE list_contains($4, source) AND material_id NOT IN (SELECT material_id FROM known)
        ), drawn AS (
            (FROM known ORDER BY md5(material_id) LIMIT {int(measured)})
            UNION ALL (FROM others ORDER BY md5(material_id) LIMIT {int(computed)})
        )
        SELECT * FROM drawn {joins} ORDER BY value IS NULL, material_id
        """,
        property_name,
        source,
        method,
        list(names),
    )


def largest_errors(
    con: duckdb.DuckDBPyConnection, model_id: str, property_name: str, *, protocol: str, setting: str, limit: int = 15
) -> pa.Table:
    """The materials predicted worst, with what each source's label rests on.

    Columns: material_id, measured, value, lower_90, upper_90, in_domain, error, and `labels`: per source its label
    (value, n_observations, spread), as structs.
    """
    return _ask(
        con,
        """
        WITH worst AS (
            SELECT material_id, measured, value, lower_90, upper_90, in_domain, value - measured AS error
            FROM out_of_fold WHERE model_id = ? AND protocol = ? AND setting = ?
            ORDER BY abs(value - measured) DESC, material_id LIMIT ?
        ), known AS (
            SELECT material_id, list({'source': source, 'value': value, 'n_observations': n_observations,
                'spread': spread} ORDER BY source) AS labels
            FROM labels WHERE property = ? AND material_id IN (SELECT material_id FROM worst) GROUP BY material_id
        )
        SELECT worst.*, labels FROM worst LEFT JOIN known USING (material_id) ORDER BY abs(error) DESC, material_id
        """,
        model_id,
        protocol,
        setting,
        limit,
        property_name,
    )


def label_counts(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """Per source that reports the property: labelled materials, observations behind them, and the range of values."""
    return _ask(
        con,
        "SELECT source, count(*) AS materials, sum(n_observations)::BIGINT AS observations, min(value) AS lowest, "
        "median(value) AS middle, max(value) AS highest FROM labels WHERE property = ? GROUP BY source ORDER BY source",
        property_name,
    )


def labelled_materials(con: duckdb.DuckDBPyConnection, property_name: str) -> int:
    """How many materials have a label of the property from any source."""
    counted = _ask(con, "SELECT count(DISTINCT material_id) AS n FROM labels WHERE property = ?", property_name)
    return int(counted["n"][0].as_py())


def element_counts(con: duckdb.DuckDBPyConnection, property_name: str) -> pa.Table:
    """Per element, how many labelled materials contain it; deuterium and tritium count as hydrogen."""
    return _ask(
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


def sources(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> pa.Table:
    """The rows of `sources`, with what the other tables hold of each.

    Added columns: `observations` (of any property), and the distinct records found in the table `observations`
    (`accepted_found`) and in the table `rejections` (`rejected_found`).
    """
    return _ask(
        con,
        """
        SELECT s.*, coalesce(o.observations, 0) AS observations,
            coalesce(o.records, 0) AS accepted_found, coalesce(r.records, 0) AS rejected_found
        FROM sources s
        LEFT JOIN (SELECT source, count(*) AS observations, count(DISTINCT source_record) AS records
                   FROM observations GROUP BY source) o USING (source)
        LEFT JOIN (SELECT source, count(DISTINCT source_record) AS records
                   FROM rejections GROUP BY source) r USING (source)
        WHERE list_contains(?, source) ORDER BY source
        """,
        list(names),
    )


def source_overlap(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> pa.Table:
    """Per exact combination of sources, how many materials just these observe (any property): sources, materials."""
    return _ask(
        con,
        """
        WITH known AS (
            SELECT material_id, list_sort(list(DISTINCT source)) AS sources
            FROM observations WHERE list_contains(?, source) GROUP BY material_id
        )
        SELECT sources, count(*) AS materials FROM known GROUP BY sources ORDER BY materials DESC, sources
        """,
        list(names),
    )


def rejections_by_rule(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> pa.Table:
    """Per rule and source, how many records were refused: rule_id, source, records."""
    return _ask(
        con,
        "SELECT rule_id, source, count(*) AS records FROM rejections WHERE list_contains(?, source) "
        "GROUP BY rule_id, source ORDER BY rule_id, source",
        list(names),
    )


def rejection_examples(con: duckdb.DuckDBPyConnection, names: Sequence[str], per_rule: int = 2) -> pa.Table:
    """A few refused records of each rule: rule_id, source, source_record, reason, raw."""
    return _ask(
        con,
        "SELECT rule_id, source, source_record, reason, raw FROM rejections WHERE list_contains(?, source) "
        "QUALIFY row_number() OVER (PARTITION BY rule_id ORDER BY source, source_record, raw) <= ? "
        "ORDER BY rule_id, source, source_record",
        list(names),
        per_rule,
    )


def validations(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> pa.Table:
    """Per source, the expectations of the refresh that its data come from: expectations, held, checked, unexpected."""
    return _ask(
        con,
        "SELECT v.source, count(*) AS expectations, count(*) FILTER (v.success) AS held, "
        "sum(v.checked)::BIGINT AS checked, sum(v.unexpected)::BIGINT AS unexpected "
        "FROM validations v JOIN sources s ON v.source = s.source AND v.validated_at = s.refreshed_at "
        "WHERE list_contains(?, v.source) GROUP BY v.source ORDER BY v.source",
        list(names),
    )


def feature_sets(con: duckdb.DuckDBPyConnection, used: Sequence[str]) -> pa.Table:
    """Feature-set versions named in `used` ('magpie_v1'; a bare 'magpie' means its newest), with failures."""
    return _ask(
        con,
        """
        SELECT f.name, f.version, f.entity, len(f.columns) AS n_columns, f.rows, f.signature, f.created_snapshot,
            (SELECT count(*) FROM feature_failures x WHERE x.name = f.name AND x.version = f.version) AS failures
        FROM feature_sets f
        WHERE list_contains($1, f.name || '_v' || f.version)
            OR (list_contains($1, f.name)
                AND f.version = (SELECT max(n.version) FROM feature_sets n WHERE n.name = f.name))
        ORDER BY f.name, f.version
        """,
        list(used),
    )


def to_try(property_name: str, snapshot: int) -> tuple[tuple[str, str], ...]:
    """SQL for the reader: (what it answers, the query), pinned to the snapshot where it reads tables."""
    name = property_name.replace("'", "''")
    at = f"AT (VERSION => {int(snapshot)})"
    return (
        (
            "What does each source say about the materials that several of them know?",
            f"""SELECT material_id, list(source) AS sources, list(round(value, 3)) AS said
FROM labels WHERE property = '{name}'
GROUP BY material_id HAVING count(*) > 1 ORDER BY max(value) - min(value) DESC LIMIT 20""",
        ),
        (
            "Every value behind the labels, with its conditions and whom to cite",
            f"""SELECT formula_reported, value, unit, method, temperature_k, conditions, reference
FROM observations {at}
WHERE property = '{name}' ORDER BY material_id LIMIT 20""",
        ),
        (
            "What was refused, and why?",
            f"""SELECT source, rule_id, count(*) AS records, any_value(reason) AS for_example
FROM rejections {at}
GROUP BY source, rule_id ORDER BY records DESC""",
        ),
        (
            "The ensemble's errors, setting by setting",
            f"""SELECT protocol, setting, subset, metric, value
FROM model_metrics {at} JOIN models {at} USING (model_id)
WHERE property = '{name}' AND source IS NULL ORDER BY ALL""",
        ),
    )
