"""Feature sets: versions that rise by themselves, and rows that are computed once.

A feature set is declared as a `FeatureSet`; its signature covers the code that computes it, its parameters, columns,
data files and the libraries that its values depend on. When the signature is new, so is the version, with a table of
its own: `features.<name>_v<version>`. Old versions stay readable.

Not here: the descriptors themselves (`pipelines.descriptors`), nor reading them (`store.features.retrieval`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.schemas.tables import TABLES, Column, feature_label
from matstrata.store.features.decoded import decoded
from matstrata.store.features.versions import versions
from matstrata.store.lake.lake import Lake, Transaction, current_snapshot
from matstrata.store.lake.signatures import code_signature, file_sha256, signature
from matstrata.store.lake.sql import identifier, literal
from matstrata.store.lake.tables import create_column_comment
from matstrata.store.records.statistics import of_features, record

log = logging.getLogger("matstrata.features")

Matrix = NDArray[np.float64]
Compute = Callable[..., tuple[Matrix, list[str | None]]]

CHUNK = 100_000  # entities per commit: what a killed process loses at most, and what a matrix in memory holds


@dataclass(frozen=True, slots=True)
class Entity:
    """What a row of features describes: its table, and the SQL of the inputs, in the order of `compute`."""

    table: str
    inputs: tuple[str, ...]
    relation: str

    @property
    def key(self) -> str:
        """The column that identifies the entity, in its table and in feature tables."""
        (key,) = TABLES[self.table].key
        return key


ENTITIES: Mapping[str, Entity] = MappingProxyType(
    {
        "material": Entity("materials", ("elements", "fractions"), "materials"),
        "structure": Entity(
            "structures",
            ("elements", "fractions", "volume_per_atom", "density", "cif"),
            "(FROM structures LEFT JOIN (SELECT material_id, elements, fractions FROM materials) USING (material_id))",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Descriptors of an entity, declared once.

    `compute` takes the Arrow arrays of the entity's inputs (n rows each; for a material, the lists of its elements and
    of their atomic fractions) and returns a matrix (n, columns) and n reasons: None, or why that row could not be
    computed.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    compute: Compute
    data_files: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    entity: str = "material"
    libraries: tuple[str, ...] = ()
    """Distributions whose version may change the values."""
    constants: str = ""
    """Where the numbers in the code and the data files come from, with DOI."""

    def signature(self) -> str:
        """What the values depend on, as one hash."""
        return signature(
            code_signature([self.compute]),
            dict(self.parameters),
            [column.name for column in self.columns],
            sorted((file.name, file_sha256(file)) for file in self.data_files),
            [(library, installed_version(library)) for library in sorted(self.libraries)],
        )


@dataclass(frozen=True, slots=True)
class Materialized:
    """What a materialization did."""

    name: str
    version: int
    computed: int
    failed: int
    rows: int
    snapshot: int

    @property
    def label(self) -> str:
        """Name and version, as in the table's name."""
        return feature_label(self.name, self.version)


def materialize(
    lake: Lake, feature_set: FeatureSet, *, snapshot: int | None = None, retry: bool = False
) -> Materialized:
    """Compute the descriptors of the entities that lack them, in commits of `CHUNK`.

    The version with the signature of the code becomes the one that the bare name stands for, also where it is an old
    one, after a change of the code was taken back. An entity whose descriptors failed keeps its reason and is tried
    again only when its inputs or the version change.
    Descriptors are computed outside the store's lock; a killed process loses a chunk at most.

    Args:
        lake: The store.
        feature_set: What to compute.
        snapshot: Describe the entities that the store held then; by default those that it holds now.
        retry: Try again what failed, whether or not anything changed.

    Returns:
        The version, and how many entities were computed and failed.
    """
    current = feature_set.signature()
    with lake.reader() as con:
        version = _version_with(con, feature_set.name, current)
    missing = _missing(lake, feature_set, version, snapshot, retry=retry)
    computed = failed = 0
    if version is None or missing.num_rows:
        for start in range(0, max(1, missing.num_rows), CHUNK):
            chunk = missing.slice(start, CHUNK).combine_chunks()
            inputs = [_contiguous(chunk[name]) for name in ENTITIES[feature_set.entity].inputs]
            matrix, reasons = feature_set.compute(*inputs)
            added, refused = _write(lake, feature_set, current, chunk, matrix, reasons)
            computed, failed = computed + added, failed + refused
            log.info("%s: %s of %s computed", feature_set.name, f"{start + len(chunk):,}", f"{missing.num_rows:,}")
    version = _make_current(lake, feature_set.name, current)
    rows = _count(lake, feature_label(feature_set.name, version))
    return Materialized(feature_set.name, version, computed, failed, rows, lake.snapshot())


def _make_current(lake: Lake, name: str, signature: str) -> int:
    """Let the bare name stand for the version with this signature. Returns the version."""
    with lake.reader() as con:
        version = _version_with(con, name, signature)
        assert version is not None
        if versions(con, "name, version, current")[feature_label(name, version)]["current"]:
            return version
    with lake.commit(f"features {feature_label(name, version)} are current", {"feature_set": name}) as transaction:
        transaction.con.execute("UPDATE feature_sets SET current = (version = ?) WHERE name = ?", [version, name])
    return version


def compute_for(
    feature_sets: Iterable[FeatureSet], elements: pa.ListArray, fractions: pa.ListArray
) -> tuple[Matrix, list[str | None]]:
    """Descriptors of n compositions that need not be in the store, by the code that fills it; nothing is written.

    Args:
        feature_sets: Feature sets of materials, at least one.
        elements: (n,) list<string>, the symbols of each composition.
        fractions: (n,) list<double>, their atomic fractions in the same order.

    Returns:
        Matrix (n, columns of all sets), and per row None or the first reason why it can't be described.
    """
    computed = [feature_set.compute(elements, fractions) for feature_set in feature_sets]
    reasons = [next((r for r in each if r is not None), None) for each in zip(*(r for _, r in computed), strict=True)]
    return np.hstack([matrix for matrix, _ in computed]), reasons


def _version_with(con: duckdb.DuckDBPyConnection, name: str, signature: str) -> int | None:
    row = con.execute("SELECT version FROM feature_sets WHERE name = ? AND signature = ?", [name, signature]).fetchone()
    return int(row[0]) if row else None


def _missing(
    lake: Lake, feature_set: FeatureSet, version: int | None, snapshot: int | None, *, retry: bool
) -> pa.Table:
    """The entities to describe, each with its key, its inputs and the hash of these."""
    entity = ENTITIES[feature_set.entity]
    inputs = f"SELECT {entity.key}, {', '.join(entity.inputs)} FROM {entity.relation}"
    with lake.reader() as con:
        if snapshot is not None:
            with lake.reader(snapshot) as then:
                con.register("entities_then", then.execute(inputs).to_arrow_table())
            inputs = "FROM entities_then"
        joins = ""
        if version is not None:
            joins = (
                f"ANTI JOIN features.{feature_label(feature_set.name, version)} f ON f.{entity.key} = e.{entity.key}"
            )
        if version is not None and not retry:
            joins += (
                f" ANTI JOIN (FROM feature_failures WHERE name = {literal(feature_set.name)} "
                f"AND version = {version}) x "
                f"ON x.entity_id = e.{entity.key} AND x.input_hash IS NOT DISTINCT FROM e.input_hash"
            )
        content = ", ".join(f"{name}::VARCHAR" for name in entity.inputs)
        return con.execute(
            f"SELECT e.* FROM (SELECT *, md5(concat_ws(chr(31), {content})) AS input_hash FROM ({inputs})) e {joins} "
            f"ORDER BY e.{entity.key}"
        ).to_arrow_table()


def _write(
    lake: Lake, feature_set: FeatureSet, current: str, chunk: pa.Table, matrix: Matrix, reasons: list[str | None]
) -> tuple[int, int]:
    """Commit a chunk, without the rows that another writer has added meanwhile; how many were added and failed."""
    key = ENTITIES[feature_set.entity].key
    done = np.array([reason is None for reason in reasons], dtype=bool)
    rows = pa.table(
        [
            chunk[key].filter(pa.array(done)),
            *(pa.array(matrix[done, i], from_pandas=True) for i in range(len(feature_set.columns))),  # NaN is NULL
        ],
        names=[key, *(column.name for column in feature_set.columns)],
    )
    failures = chunk.select([key, "input_hash"]).filter(pa.array(~done)).to_pylist()
    with lake.commit(f"materialize features {feature_set.name}") as transaction:
        con = transaction.con
        version = _version_with(con, feature_set.name, current)
        if version is None:
            version = _register(transaction, feature_set, current)
        table = f"features.{feature_label(feature_set.name, version)}"
        con.register("described", rows)
        added = con.execute(f"INSERT INTO {table} BY NAME FROM described ANTI JOIN {table} USING ({key})").fetchone()
        con.register("tried", chunk.select([key]))
        con.execute(
            f"DELETE FROM feature_failures WHERE name = ? AND version = ? AND entity_id IN (SELECT {key} FROM tried)",
            [feature_set.name, version],
        )
        refused = [
            {
                "name": feature_set.name,
                "version": version,
                "entity_id": failure[key],
                "reason": reason,
                "input_hash": failure["input_hash"],
            }
            for failure, reason in zip(failures, (reason for reason in reasons if reason is not None), strict=True)
        ]
        transaction.insert(
            "feature_failures", pa.Table.from_pylist(refused, schema=TABLES["feature_failures"].arrow_schema)
        )
        assert added is not None
        con.execute(
            "UPDATE feature_sets SET rows = rows + ? WHERE name = ? AND version = ? AND ? > 0",
            [added[0], feature_set.name, version, added[0]],
        )
        transaction.facts.update(feature_set=feature_set.name, version=version, computed=added[0])
    return added[0], len(refused)


def _count(lake: Lake, label: str) -> int:
    """Bring the statistics of a version up to date; returns its rows."""
    with lake.reader() as con:
        row = versions(con)[label]
        counted = con.execute(f"SELECT min(rows) FROM statistics WHERE subject = {literal(label)}").fetchone()
        if counted is not None and counted[0] == row["rows"]:
            return int(row["rows"])
        summary = of_features(decoded(con, lake.root, label), label, row["columns"])
    with lake.commit(f"statistics of features {label}") as transaction:
        record(transaction, label, summary)
    return int(row["rows"])


def _contiguous(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _register(transaction: Transaction, feature_set: FeatureSet, current: str) -> int:
    con = transaction.con
    row = con.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM feature_sets WHERE name = ?", [feature_set.name]
    ).fetchone()
    assert row is not None
    version = int(row[0])
    table = f"features.{feature_label(feature_set.name, version)}"
    columns = ", ".join(f"{identifier(column.name)} DOUBLE" for column in feature_set.columns)
    con.execute(f"CREATE TABLE {table} ({ENTITIES[feature_set.entity].key} VARCHAR, {columns})")
    con.execute(f"COMMENT ON TABLE {table} IS {literal(feature_set.description)}")
    for column in feature_set.columns:
        con.execute(create_column_comment(table, column))
    registered_row = {
        "name": feature_set.name,
        "version": version,
        "entity": feature_set.entity,
        "columns": [column.name for column in feature_set.columns],
        "signature": current,
        "parameters": json.dumps(dict(feature_set.parameters), sort_keys=True),
        "created_snapshot": current_snapshot(con),
        "rows": 0,
        "created_at": datetime.now(UTC),
        "current": version == 1,  # a later version is current once it is complete
    }
    transaction.insert(
        "feature_sets", pa.Table.from_pylist([registered_row], schema=TABLES["feature_sets"].arrow_schema)
    )
    return version
