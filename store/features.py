"""Feature sets: versions that rise by themselves, and rows that are computed once.

A feature set is declared as a `FeatureSet`; its signature covers its code, parameters, columns and data files. When the
signature is new, so is the version, with a table of its own: `features.<name>_v<version>`. Old versions stay readable.

Not here: the descriptors themselves (`pipelines.descriptors`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.tables import TABLES, Column
from store.lake import Lake, Transaction, create_column_comment, current_snapshot
from store.signatures import code_signature, file_sha256, signature

Compute = Callable[[pa.ListArray, pa.ListArray], tuple[NDArray[np.float64], list[str | None]]]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Descriptors of a composition.

    `compute` takes the Arrow lists of elements and atomic fractions of n materials and returns a matrix (n, columns)
    and n reasons: None, or why that row could not be computed.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    compute: Compute
    code: tuple[Path, ...]
    data_files: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def signature(self) -> str:
        """What the values depend on, as one hash."""
        return signature(
            code_signature(self.code),
            dict(self.parameters),
            [column.name for column in self.columns],
            sorted((file.name, file_sha256(file)) for file in self.data_files),
        )


@dataclass(frozen=True, slots=True)
class Materialised:
    """What a materialisation did."""

    name: str
    version: int
    computed: int
    failed: int
    rows: int
    snapshot: int

    @property
    def label(self) -> str:
        """Name and version, as in the table's name."""
        return f"{self.name}_v{self.version}"


def materialise(lake: Lake, feature_set: FeatureSet) -> Materialised:
    """Compute the descriptors of the materials that lack them, in one commit.

    A material whose descriptors failed keeps its reason and is tried again only when the version rises.
    """
    wanted = feature_set.signature()
    with lake.reader() as con:
        version = _version_with(con, feature_set.name, wanted)
        if version is not None and not _missing(con, feature_set.name, version).num_rows:
            rows = _registered(con, feature_set.name, version)["rows"]
            return Materialised(feature_set.name, version, 0, 0, rows, current_snapshot(con))
    with lake.commit(f"materialise features {feature_set.name}") as transaction:
        version = _version_with(transaction.con, feature_set.name, wanted)
        if version is None:
            version = _register(transaction, feature_set, wanted)
        missing = _missing(transaction.con, feature_set.name, version)
        matrix, reasons = feature_set.compute(
            missing["elements"].combine_chunks(), missing["fractions"].combine_chunks()
        )
        done = np.array([reason is None for reason in reasons], dtype=bool)
        identifiers = missing["material_id"].combine_chunks()
        columns = [pa.array(matrix[done, i]) for i in range(len(feature_set.columns))]
        transaction.insert(
            f"features.{feature_set.name}_v{version}",
            pa.table(
                [identifiers.filter(pa.array(done)), *columns],
                names=["material_id", *(column.name for column in feature_set.columns)],
            ),
        )
        failures = [
            {"name": feature_set.name, "version": version, "entity_id": identifiers[i].as_py(), "reason": reason}
            for i, reason in enumerate(reasons)
            if reason is not None
        ]
        transaction.insert(
            "feature_failures", pa.Table.from_pylist(failures, schema=TABLES["feature_failures"].arrow_schema)
        )
        transaction.con.execute(
            "UPDATE feature_sets SET rows = rows + ? WHERE name = ? AND version = ?",
            [int(done.sum()), feature_set.name, version],
        )
        rows = _registered(transaction.con, feature_set.name, version)["rows"]
        transaction.facts.update(feature_set=feature_set.name, version=version, computed=int(done.sum()))
    return Materialised(feature_set.name, version, int(done.sum()), len(failures), rows, transaction.snapshot)


def latest_version(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """The newest version of a feature set.

    Raises:
        InputError: the set was never materialised; the message lists those that were.
    """
    row = con.execute("SELECT max(version) FROM feature_sets WHERE name = ?", [name]).fetchone()
    if row is None or row[0] is None:
        names = [known for (known,) in con.execute("SELECT DISTINCT name FROM feature_sets ORDER BY name").fetchall()]
        raise InputError(f"no feature set {name!r} in the store; there are: {', '.join(names) or 'none yet'}")
    return int(row[0])


def resolve(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> tuple[str, ...]:
    """Table names without schema: 'magpie' becomes 'magpie_v3', its newest version; 'magpie_v2' stays.

    Raises:
        InputError: there is no such feature set or version.
    """
    known = {f"{name}_v{version}" for name, version in con.execute("SELECT name, version FROM feature_sets").fetchall()}
    return tuple(name if name in known else f"{name}_v{latest_version(con, name)}" for name in names)


def _version_with(con: duckdb.DuckDBPyConnection, name: str, wanted: str) -> int | None:
    row = con.execute("SELECT version FROM feature_sets WHERE name = ? AND signature = ?", [name, wanted]).fetchone()
    return int(row[0]) if row else None


def _registered(con: duckdb.DuckDBPyConnection, name: str, version: int) -> dict[str, Any]:
    found = con.execute("SELECT * FROM feature_sets WHERE name = ? AND version = ?", [name, version])
    return found.to_arrow_table().to_pylist()[0]


def _missing(con: duckdb.DuckDBPyConnection, name: str, version: int) -> pa.Table:
    return con.execute(
        f"SELECT m.material_id, m.elements, m.fractions FROM materials m ANTI JOIN features.{name}_v{version} f "
        "ON f.material_id = m.material_id ANTI JOIN (FROM feature_failures WHERE name = ? AND version = ?) x "
        "ON x.entity_id = m.material_id ORDER BY m.material_id",
        [name, version],
    ).to_arrow_table()


def _register(transaction: Transaction, feature_set: FeatureSet, wanted: str) -> int:
    con = transaction.con
    row = con.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM feature_sets WHERE name = ?", [feature_set.name]
    ).fetchone()
    assert row is not None
    version = int(row[0])
    table = f"features.{feature_set.name}_v{version}"
    columns = ", ".join(f'"{column.name}" DOUBLE' for column in feature_set.columns)
    con.execute(f"CREATE TABLE {table} (material_id VARCHAR, {columns})")
    for column in feature_set.columns:
        con.execute(create_column_comment(table, column))
    transaction.insert(
        "feature_sets",
        pa.Table.from_pylist(
            [
                {
                    "name": feature_set.name,
                    "version": version,
                    "entity": "material",
                    "columns": [column.name for column in feature_set.columns],
                    "signature": wanted,
                    "parameters": json.dumps(dict(feature_set.parameters), sort_keys=True),
                    "created_snapshot": current_snapshot(con),
                    "rows": 0,
                    "created_at": datetime.now(UTC),
                }
            ],
            schema=TABLES["feature_sets"].arrow_schema,
        ),
    )
    return version
