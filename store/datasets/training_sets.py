"""Training sets: labels joined to features as of a snapshot, frozen in a file that is named by its content.

Each frozen set has a manifest, from which it can be made again (`store.datasets.named`). Not here: splitting or
scaling them (`pipelines.learning`), nor sets of several sources (`store.datasets.labelled`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store.datasets.manifests import manifest_of
from matstrata.store.features.sets import resolve
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.lake.signatures import signature
from matstrata.store.results import Tabular

KEYS = ("material_id", "group_id", "chemical_system")
_NOT_DESCRIPTORS = frozenset({*KEYS, "source", "kind", "method", "reason"})


@dataclass(frozen=True)  # no slots: the hash of the content is taken once, and only where somebody asks
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
    """What was asked for, with versions in place of names: the same request at the same snapshot is the same set."""
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
        others = _NOT_DESCRIPTORS.union(self.properties)
        return tuple(name for name in self.table.column_names if name not in others)


def select(
    con: duckdb.DuckDBPyConnection, source: str, properties: Sequence[str], features: Sequence[str]
) -> TrainingSet:
    """The training set of one source as `con` sees the store, not yet frozen.

    Args:
        con: a reader of the store; its snapshot decides what is known.
        source: the source whose labels are taken; 'source:method' where it reports a property by several methods.
        properties: the labels.
        features: feature sets, by name (the current version) or as 'name_v2'.

    Raises:
        InputError: no such feature set, or the source has no label for any of the properties.
    """
    versions = resolve(con, features)
    name, method = _method_of(con, source, properties)
    labels = ", ".join(f"max(value) FILTER (property = '{name}') AS \"{name}\"" for name in properties)
    joins = " ".join(f"LEFT JOIN features.{version} USING (material_id)" for version in versions)
    listed = ", ".join(f"'{name}'" for name in properties)
    table = con.execute(
        f"SELECT * FROM (SELECT m.material_id, m.group_id, m.chemical_system, {labels} "
        "FROM labels l JOIN materials m USING (material_id) "
        f"WHERE l.source = ? AND l.method = ? AND l.property IN ({listed}) GROUP BY ALL) {joins} ORDER BY material_id",
        [name, method],
    ).to_arrow_table()
    if not table.num_rows:
        raise InputError(f"source {source!r} has no label for {', '.join(properties)}; ingest it first")
    request = {"source": source, "properties": list(properties), "features": list(versions)}
    columns = [con.execute(f"FROM features.{version} LIMIT 0").description for version in versions]
    widths = tuple(len({each[0] for each in found} - _NOT_DESCRIPTORS) for found in columns)
    return TrainingSet(source, tuple(properties), versions, current_snapshot(con), table, request, widths=widths)


def _method_of(con: duckdb.DuckDBPyConnection, source: str, properties: Sequence[str]) -> tuple[str, str]:
    """The source and the one method whose labels are meant."""
    name, _, method = source.partition(":")
    if method:
        return name, method
    listed = ", ".join(f"'{each}'" for each in properties)
    found = con.execute(
        f"SELECT DISTINCT method FROM labels WHERE source = ? AND property IN ({listed}) ORDER BY 1", [name]
    ).fetchall()
    if len(found) > 1:
        choices = ", ".join(f"'{name}:{each}'" for (each,) in found)
        raise InputError(f"source {name} reports this by several methods; name one of {choices}")
    return name, found[0][0] if found else ""


def freeze(lake: Lake, ensemble: str | None, training_set: TrainingSet, name: str | None = None) -> None:
    """Keep the training set as a file and, with its manifest, in the table `training_sets`.

    Nothing happens where it is kept already; a lost file is written again.

    Args:
        lake: the store.
        ensemble: the property whose ensemble it serves, if one.
        training_set: what to keep.
        name: what a person calls it.
    """
    identity = training_set.training_set_id
    with lake.reader() as con:
        known = con.execute(
            "SELECT 1 FROM training_sets WHERE training_set_id = ? AND ensemble IS NOT DISTINCT FROM ? "
            "AND name IS NOT DISTINCT FROM ?",
            [identity, ensemble, name],
        ).fetchone()
    path = training_set_path(identity)
    if known and lake.files.exists(path):
        return
    file_sha256 = write_frozen(lake, identity, training_set.table)
    if known:
        return
    with lake.reader(training_set.snapshot) as con:
        manifest = manifest_of(con, training_set) | {"file_sha256": file_sha256}
    row = {
        "training_set_id": identity,
        "ensemble": ensemble,
        "name": name,
        "source": training_set.source,
        "sources": [source["source"] for source in manifest["sources"]],
        "properties": list(training_set.properties),
        "features": list(training_set.features),
        "snapshot": training_set.snapshot,
        "rows": training_set.table.num_rows,
        "path": path,
        "manifest": json.dumps(manifest, sort_keys=True, ensure_ascii=False),
        "created_at": datetime.now(UTC),
    }
    with lake.commit(f"freeze training set {name or f'{ensemble}/{training_set.source}'}") as transaction:
        transaction.insert("training_sets", pa.Table.from_pylist([row], schema=TABLES["training_sets"].arrow_schema))


def training_set_path(training_set_id: str) -> str:
    """The name of the frozen file of a training set in `Lake.files`."""
    return f"training_sets/{training_set_id}.parquet"


def write_frozen(lake: Lake, training_set_id: str, table: pa.Table) -> str:
    """Write the frozen file, all or nothing. Returns its SHA-256."""
    content = io.BytesIO()
    pq.write_table(table.combine_chunks(), content, compression="zstd")
    lake.files.write(training_set_path(training_set_id), content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def read_frozen(lake: Lake, training_set_id: str, file_sha256: str | None) -> pa.Table | str:
    """The frozen table; or in a word what became of its file, which must have the given SHA-256, where one is known."""
    try:
        content = lake.files.read(training_set_path(training_set_id))
    except FileNotFoundError:
        return "lost"
    if file_sha256 is not None and hashlib.sha256(content).hexdigest() != file_sha256:
        return "damaged"
    return pq.read_table(pa.BufferReader(content))


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
