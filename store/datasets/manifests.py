"""The manifest of a training set: all that is needed to make it again, to check it, and to cite it.

Not here: its use (`store.datasets.named`), nor the forms in which data are published
(`pipelines.serving.publishing`).
"""

from __future__ import annotations

from typing import Any

import duckdb

from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.tables import TABLES
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.sql import literal, literals

MANIFEST_FORMAT = "matstrata.training_set/1"
_SOURCE_COLUMNS = (
    *("source", "title", "kind", "method", "licence", "doi", "citation"),
    *("contract_sha256", "file_sha256", "policy"),
)


def manifest_of(con: duckdb.DuckDBPyConnection, training_set: TrainingSet) -> dict[str, Any]:
    """The manifest of a training set; nothing in it depends on later snapshots.

    Args:
        con: A reader on the snapshot of the training set.
        training_set: The training set.

    Returns:
        A JSON object in the format `MANIFEST_FORMAT`.
    """
    sources = sorted(SourceRef.parse(text).source for text in training_set.source.split(", "))
    moment = con.execute(
        f"SELECT epoch_us(snapshot_time) FROM {CATALOG}.snapshots() WHERE snapshot_id = {training_set.snapshot:d}"
    ).fetchone()
    assert moment is not None
    return {
        "format": MANIFEST_FORMAT,
        "training_set_id": training_set.training_set_id,
        "content_sha256": training_set.content_sha256,
        "request": dict(training_set.request),
        "snapshot": training_set.snapshot,
        "snapshot_time_us": moment[0],
        "rows": training_set.table.num_rows,
        "columns": _columns(con, training_set),
        "feature_sets": _rows(
            con,
            "SELECT name || '_v' || version AS label, entity, signature, parameters, len(columns) AS columns "
            f"FROM feature_sets WHERE list_contains([{literals(training_set.features)}]::VARCHAR[], label) "
            "ORDER BY label",
        ),
        "sources": _rows(
            con,
            f"SELECT {', '.join(_SOURCE_COLUMNS)} FROM sources WHERE source IN ({literals(sources)}) ORDER BY source",
        ),
    }


def _columns(con: duckdb.DuckDBPyConnection, training_set: TrainingSet) -> list[dict[str, str]]:
    from matstrata.schemas.properties import get_property  # deferred: 0.2 s, pydantic

    meaning = {"reason": "why descriptors are missing; null where none are"}
    meaning |= {
        column.name: column.comment for table in ("observations", "materials") for column in TABLES[table].columns
    }
    for name in training_set.properties:
        declared = get_property(name)
        meaning[name] = f"{declared.definition.strip()} [{declared.unit}]"
    for label in training_set.features:
        comments = con.execute(
            "SELECT column_name, comment FROM duckdb_columns() "
            f"WHERE schema_name = 'features' AND table_name = {literal(label)} AND comment IS NOT NULL"
        ).fetchall()
        meaning |= {name: text for column, text in comments for name in (column, f"{label}__{column}")}
    schema = training_set.table.schema
    return [{"name": field.name, "type": str(field.type), "meaning": meaning.get(field.name, "")} for field in schema]


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    return con.execute(statement).to_arrow_table().to_pylist()
