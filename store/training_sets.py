"""Training sets: labels joined to features as of a snapshot, frozen in a file that is named by its content.

Not here: splitting or scaling them (`pipelines.learning`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError
from schemas.tables import TABLES
from store.features import resolve
from store.lake import Lake, current_snapshot

KEYS = ("material_id", "group_id", "chemical_system")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A frozen training set.

    `table` holds one row per labelled material of the source, ordered by `material_id`: the keys, one column per
    property (null where the source does not report it), then the descriptors (null where they could not be computed).
    """

    training_set_id: str
    source: str
    properties: tuple[str, ...]
    features: tuple[str, ...]
    snapshot: int
    table: pa.Table

    @property
    def descriptors(self) -> tuple[str, ...]:
        """Names of the descriptor columns."""
        return tuple(self.table.column_names[len(KEYS) + len(self.properties) :])


def select(
    con: duckdb.DuckDBPyConnection, source: str, properties: Sequence[str], features: Sequence[str]
) -> TrainingSet:
    """The training set of one source as `con` sees the store, not yet frozen.

    Args:
        con: a reader of the store; its snapshot decides what is known.
        source: the source whose labels are taken; 'source:method' where it reports a property by several methods.
        properties: the labels.
        features: feature sets, by name (the newest version) or as 'name_v2'.

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
    identity = hashlib.sha256(repr((source, tuple(properties), versions)).encode() + content_hash(table)).hexdigest()
    return TrainingSet(identity, source, tuple(properties), versions, current_snapshot(con), table)


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


def freeze(lake: Lake, ensemble: str, training_set: TrainingSet) -> None:
    """Keep the training set as a file and in the table `training_sets`; nothing happens where it is kept already."""
    with lake.reader() as con:
        known = con.execute(
            "SELECT 1 FROM training_sets WHERE training_set_id = ? AND ensemble = ?",
            [training_set.training_set_id, ensemble],
        ).fetchone()
    file = training_set_file(lake, training_set.training_set_id)
    if known and file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    pq.write_table(training_set.table, partial, compression="zstd")
    partial.replace(file)
    if known:
        return
    row = {
        "training_set_id": training_set.training_set_id,
        "ensemble": ensemble,
        "source": training_set.source,
        "properties": list(training_set.properties),
        "features": list(training_set.features),
        "snapshot": training_set.snapshot,
        "rows": training_set.table.num_rows,
        "path": file.relative_to(lake.root).as_posix(),
        "created_at": datetime.now(UTC),
    }
    with lake.commit(f"freeze training set {ensemble}/{training_set.source}") as transaction:
        transaction.insert("training_sets", pa.Table.from_pylist([row], schema=TABLES["training_sets"].arrow_schema))


def training_set_file(lake: Lake, training_set_id: str) -> Path:
    """Where the frozen file of a training set lies."""
    return lake.root / "training_sets" / f"{training_set_id}.parquet"


def content_hash(table: pa.Table) -> bytes:
    """SHA-256 digest of a table's columns, names and values; nulls and NaN count as the same missing value."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(f"{name}:{column.type}:{len(column)};".encode())
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False).astype(np.float64)
            digest.update(np.where(np.isnan(values), np.nan, values + 0.0).tobytes())
        else:
            digest.update("\x1f".join(map(str, column.to_pylist())).encode())
    return digest.digest()
