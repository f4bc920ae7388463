"""Training sets: labels joined to features as of a snapshot, frozen in a file that is named by its content.

Each frozen set has a manifest, from which it can be made again (`store.datasets.named`). Not here: splitting or
scaling them (`pipelines.learning`), nor sets of several sources (`store.datasets.labelled`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from matstrata.schemas.errors import InputError
from matstrata.schemas.source_refs import SourceRef
from matstrata.store.features.versions import described, resolve
from matstrata.store.lake.lake import current_snapshot
from matstrata.store.lake.signatures import signature
from matstrata.store.lake.sql import identifier, literal, literals
from matstrata.store.results import Tabular

KEYS = ("material_id", "group_id", "chemical_system")
_NOT_DESCRIPTORS = frozenset({*KEYS, "source", "kind", "method", "reason"})


@dataclass(frozen=True)  # no slots: the hash of the content is computed once, and only when it is needed
class TrainingSet(Tabular):
    """A training set.

    `table` holds the keys, one column per property (null where it is not reported), then the descriptors (null where
    there are none), ordered by the keys. `select` gives one row per labelled material of a source,
    `store.datasets.labelled.select_labelled` one per material, source, kind and method.
    """

    source: str
    properties: tuple[str, ...]
    features: tuple[str, ...]
    snapshot: int
    table: pa.Table
    request: Mapping[str, Any]
    """The request, with versions in place of names: the same request at the same snapshot is the same set."""
    notes: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    """Numbers of descriptor columns of the feature sets, in order, where `select` made it."""

    @cached_property
    def content_sha256(self) -> str:
        """SHA-256 of the table: names, types and values."""
        return content_hash(self.table).hex()

    @cached_property
    def training_set_id(self) -> str:
        """SHA-256 of request and content."""
        return signature(self.request, self.content_sha256)

    @property
    def descriptors(self) -> tuple[str, ...]:
        """Names of the descriptor columns."""
        rest = _NOT_DESCRIPTORS.union(self.properties)
        return tuple(name for name in self.table.column_names if name not in rest)


def select(
    con: duckdb.DuckDBPyConnection, source: str, properties: Sequence[str], features: Sequence[str]
) -> TrainingSet:
    """The training set of one source as `con` sees the store, not yet frozen.

    Args:
        con: A reader of the store; its snapshot decides which labels and features are seen.
        source: The source of the labels; 'source:method' where it reports a property by several methods.
        properties: The properties that are labels.
        features: Feature sets, by name (the current version) or as 'name_v2'.

    Returns:
        The training set, with one row per labelled material.

    Raises:
        InputError: There is no such feature set, or the source has no label for any of the properties.
    """
    versions = resolve(con, features)
    reference = _with_method(con, source, properties)
    labels = ", ".join(f"max(value) FILTER (property = {literal(name)}) AS {identifier(name)}" for name in properties)
    joins = " ".join(f"LEFT JOIN {described(version)} USING (material_id)" for version in versions)
    table = con.execute(
        f"SELECT * FROM (SELECT m.material_id, m.group_id, m.chemical_system, {labels} "
        "FROM labels l JOIN materials m USING (material_id) "
        f"WHERE l.source = ? AND l.method = ? AND l.property IN ({literals(properties)}) GROUP BY ALL) {joins} "
        "ORDER BY material_id",
        [reference.source, reference.method],
    ).to_arrow_table()
    if not table.num_rows:
        raise InputError(f"source {source!r} has no label for {', '.join(properties)}; ingest it first")
    request = {"source": source, "properties": list(properties), "features": list(versions)}
    columns = [con.execute(f"FROM features.{version} LIMIT 0").description for version in versions]
    widths = tuple(len({column[0] for column in each} - _NOT_DESCRIPTORS) for each in columns)
    return TrainingSet(source, tuple(properties), versions, current_snapshot(con), table, request, widths=widths)


def _with_method(con: duckdb.DuckDBPyConnection, source: str, properties: Sequence[str]) -> SourceRef:
    """The source and the one method by which it has these labels; no method where it has none of them."""
    reference = SourceRef.parse(source)
    if reference.method:
        return reference
    methods = con.execute(
        f"SELECT DISTINCT method FROM labels WHERE source = ? AND property IN ({literals(properties)}) ORDER BY 1",
        [reference.source],
    ).fetchall()
    if len(methods) > 1:
        choices = ", ".join(f"'{SourceRef(reference.source, method)}'" for (method,) in methods)
        raise InputError(f"source {reference.source} reports this by several methods; name one of {choices}")
    return SourceRef(reference.source, methods[0][0] if methods else "")


def content_hash(table: pa.Table) -> bytes:
    """SHA-256 digest of a table's columns: names, types, values, and which of them are null."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(f"{name}:{column.type}:{len(column)};".encode())
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False).astype(np.float64)
            digest.update(np.where(np.isnan(values), np.nan, values + 0.0).tobytes())
            digest.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        else:
            digest.update(json.dumps(column.to_pylist()).encode())
    return digest.digest()
