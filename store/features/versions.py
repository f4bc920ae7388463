"""Versions of feature sets: which there are, which one a name stands for, and which should no longer be used.

Not here: how a version comes about (`store.features.sets`), and reading its rows (`store.features.retrieval`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES, feature_label
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.sql import literals

_KEYS = [TABLES[table].key[0] for table in ("materials", "structures")]


def described(label: str) -> str:
    """The SQL of a version's rows as matrices take them: NaN where a descriptor is missing.

    In the table, a missing descriptor is NULL, or NaN where an older version of Matstrata wrote it; read like this,
    both are the same. What is NULL after an outer join was not described at all.
    """
    return (
        f"(SELECT COLUMNS(name -> name IN ({literals(_KEYS)})), "
        f"coalesce(COLUMNS(name -> name NOT IN ({literals(_KEYS)})), 'nan'::DOUBLE) AS '\\0' FROM features.{label})"
    )


class Signed(Protocol):
    """A feature set as far as its version is concerned."""

    def signature(self) -> str:
        """What its values depend on, as one hash."""


def deprecate(lake: Lake, label: str, reason: str | None, *, newest: bool = False) -> None:
    """Mark one version as deprecated; without a reason, remove the mark.

    It stays readable under its full name; the bare name then means the current version if it has no mark, else the
    newest without one.

    Args:
        lake: The store.
        label: Name and version, such as 'magpie_v1'.
        reason: Why; None lifts the mark.
        newest: Required where the version is the one that the bare name means now.

    Raises:
        InputError: There is no such version, or it is the one in use and `newest` is false.
    """
    with lake.commit(f"{'deprecate' if reason else 'restore'} features {label}") as transaction:
        con = transaction.con
        rows = versions(con)
        if label not in rows:
            raise InputError(
                f"{label!r} is not a version of a feature set; the store has: {', '.join(rows) or 'none yet'}"
            )
        name, version = rows[label]["name"], rows[label]["version"]
        if reason and not newest and rows[label]["deprecated"] is None and _newest(rows, name) is rows[label]:
            raise InputError(
                f"{label} is the version that {name!r} stands for; to deprecate it nevertheless, add --newest"
            )
        con.execute(
            "UPDATE feature_sets SET deprecated = ? WHERE name = ? AND version = ? AND deprecated IS DISTINCT FROM ?",
            [reason, name, version, reason],
        )


def latest_version(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """The version that the bare name of a feature set stands for: the current one unless deprecated, else the newest.

    Raises:
        InputError: The set was never materialized, or all its versions are deprecated; the message says which.
    """
    return int(_newest(versions(con), name)["version"])


def resolve(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> tuple[str, ...]:
    """Table names without schema: 'magpie' becomes 'magpie_v3', its current version; 'magpie_v2' stays.

    Raises:
        InputError: There is no such feature set or version.
    """
    return tuple(resolved(con, names))


def resolved(
    con: duckdb.DuckDBPyConnection, names: Iterable[str], declared: Mapping[str, Signed] = MappingProxyType({})
) -> dict[str, Mapping[str, Any]]:
    """As `resolve`, with the `feature_sets` row of each; a bare name among `declared` means the version of its code."""
    rows = versions(con, "* EXCLUDE (created_at)")  # to read a time, Arrow would import pandas (0.2 s)
    chosen: dict[str, Mapping[str, Any]] = {}
    for name in names:
        row = rows[name] if name in rows else _newest(rows, name)
        if name not in rows and name in declared:
            signature = declared[name].signature()
            row = next((each for each in rows.values() if (each["name"], each["signature"]) == (name, signature)), row)
        chosen[feature_label(row["name"], row["version"])] = row
    return chosen


def versions(con: duckdb.DuckDBPyConnection, columns: str = "*") -> dict[str, dict[str, Any]]:
    """The `feature_sets` row of every version, by name and version: 'magpie_v2'."""
    rows = con.execute(f"SELECT {columns} FROM feature_sets ORDER BY name, version").to_arrow_table().to_pylist()
    return {feature_label(row["name"], row["version"]): row for row in rows}


def failure_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many entities could not be described, by version."""
    return dict(
        con.execute("SELECT name || '_v' || version, count(*) FROM feature_failures GROUP BY ALL ORDER BY 1").fetchall()
    )


def failure_reasons(lake: Lake, name: str, version: int) -> dict[str, int]:
    """Why entities could not be described by a version, the most frequent reason first."""
    with lake.reader() as con:
        counts = con.execute(
            "SELECT reason, count(*) AS n FROM feature_failures WHERE name = ? AND version = ? "
            "GROUP BY reason ORDER BY n DESC, reason",
            [name, version],
        ).fetchall()
    return dict(counts)


def _newest(rows: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    named = [row for row in rows.values() if row["name"] == name]
    if not named:
        names = dict.fromkeys(row["name"] for row in rows.values())
        raise InputError(f"no feature set {name!r} in the store; it has: {', '.join(names) or 'none yet'}")
    usable = [row for row in named if row.get("deprecated") is None]  # an older snapshot lacks the column
    if not usable:
        listed = ", ".join(feature_label(name, row["version"]) for row in named)
        raise InputError(f"all versions of {name!r} are deprecated; name one in full to read it: {listed}")
    return next((row for row in usable if row.get("current")), usable[-1])
