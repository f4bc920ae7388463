"""Features of entities, by request: one row for each requested entity, in order, whether or not the store describes it.

Entities are named by their ids, and materials also by formulas in any spelling. What the store does not hold can be
computed by the code that fills it (`new`), and is not written. Not here: labels (`store.datasets.training_sets`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matstrata.schemas.composition import FormulaError, parse_formula
from matstrata.schemas.errors import InputError
from matstrata.store.features.decoded import decoded
from matstrata.store.features.sets import ENTITIES, FeatureSet, compute_for
from matstrata.store.features.versions import described, resolved
from matstrata.store.lake.sql import literal
from matstrata.store.results import Tabular

_LARGE = 0.1  # share of a table from which on it is read whole
_THREADS = 2  # Arrow's take releases the GIL; more threads only wait for memory


@dataclass(frozen=True, slots=True)
class Features(Tabular):
    """Features of the requested entities.

    `table` has one row per request, in order: `entity` as requested, its id (null where it has none), the descriptors
    (null where there are none), and `reason` (null where every feature set describes the entity).
    """

    table: pa.Table
    features: tuple[str, ...]
    snapshot: int
    notes: tuple[str, ...]
    """Sentences about the feature sets: which are deprecated, and why."""

    @property
    def descriptors(self) -> tuple[str, ...]:
        """Names of the descriptor columns."""
        return tuple(self.table.column_names[2:-1])


@dataclass(frozen=True, slots=True)
class Chosen:
    """Versions of feature sets, all of one entity."""

    labels: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> str:
        """The column that identifies the entity."""
        return ENTITIES[self.rows[0]["entity"]].key

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each deprecated version."""
        marked = zip(self.labels, self.rows, strict=True)
        return tuple(f"{label} is deprecated: {row['deprecated']}" for label, row in marked if row.get("deprecated"))

    def column_names(self, label: str) -> dict[str, str]:
        """What each column of a set is called in a result: by its own name, where no other set has it too."""
        count = Counter(column for row in self.rows for column in row["columns"])
        own = self.rows[self.labels.index(label)]["columns"]
        return {column: column if count[column] == 1 else f"{label}__{column}" for column in own}


def choose(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], declared: Mapping[str, FeatureSet] = MappingProxyType({})
) -> Chosen:
    """The versions that names mean: 'magpie_v2' itself; of 'magpie' the one that the code computes, as far as known.

    Raises:
        InputError: There is no such feature set, none was named, or they describe different entities.
    """
    rows = resolved(con, listed("features", names), declared)
    if not rows:
        raise InputError("name at least one feature set, e.g. ['magpie']")
    if len({row["entity"] for row in rows.values()}) > 1:
        raise InputError(
            f"{', '.join(rows)} describe different kinds of entities; request the feature sets of one kind at a time"
        )
    return Chosen(tuple(rows), tuple(rows.values()))


def listed(argument: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names from any sequence.

    Args:
        argument: What the caller calls them, for the message.
        names: The names.

    Raises:
        InputError: `names` is a text, of which each letter would be taken for a name.
    """
    if isinstance(names, str):
        raise InputError(f"{argument} must be a list, not a single text: [{names!r}]")
    return tuple(names)


class FeatureTables:
    """The feature tables as one reader sees them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path | None) -> None:
        """`con` must stay on one snapshot; `root` is the store's folder on this machine, None to read no copies."""
        self.con = con
        self.root = root
        self._whole: dict[str, pa.Table] = {}

    def rows(self, label: str, chosen: Chosen, ids: pa.Array) -> pa.Table:
        """Rows of a feature set: at least those of `ids`."""
        if label not in self._whole:
            n_rows = chosen.rows[chosen.labels.index(label)]["rows"]
            if len(ids) < _LARGE * n_rows:
                return _matching(self.con, f"FROM {described(label)}", ids, chosen.key)
            self._whole[label] = (
                self.con.sql(f"FROM {described(label)}").to_arrow_table()
                if self.root is None
                else decoded(self.con, self.root, label)
            )
        return self._whole[label]


def features_for(
    tables: FeatureTables,
    entities: Sequence[str | None] | pa.Array | pa.ChunkedArray,
    chosen: Chosen,
    snapshot: int,
    new: Mapping[str, FeatureSet] | None = None,
) -> Features:
    """The features of `entities`.

    Args:
        tables: The store as a reader sees it.
        entities: (n,) ids, or for materials formulas as well ('Fe2O3', 'O3Fe2', 'Fe₂O₃'); repetitions are allowed.
        chosen: The feature sets.
        snapshot: The number of the snapshot that the reader sees.
        new: Feature sets by which to describe materials that the store does not describe; by default none are.

    Returns:
        One row per request, in order.

    Raises:
        InputError: Entities are not texts, or one of `new` computes differently from the version chosen.
    """
    requested = _texts(entities)
    stored = _all_stored(tables, requested, chosen)
    if stored is not None:
        result = {"entity": requested, chosen.key: requested, **stored, "reason": pa.nulls(len(requested), pa.string())}
        return Features(pa.table(result), chosen.labels, snapshot, chosen.notes)
    encoded = requested.dictionary_encode()
    rows = tables.rows(chosen.labels[0], chosen, encoded.dictionary)
    named = _identify(tables, encoded.dictionary, rows, chosen)
    columns, why = _describe(tables, named, encoded.indices, chosen, new)
    result = {
        "entity": requested,
        chosen.key: named.ids.take(encoded.indices),
        **columns,
        "reason": pc.if_else(encoded.indices.is_null(), "no entity was given", why),
    }
    return Features(pa.table(result), chosen.labels, snapshot, chosen.notes)


def features_of_labelled(
    tables: FeatureTables, material_ids: pa.ChunkedArray, chosen: Chosen
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The descriptor columns of rows that name materials of the store, and why some are missing."""
    requested = material_ids.combine_chunks()
    stored = _all_stored(tables, requested, chosen)
    if stored is not None:
        return stored, pa.nulls(len(requested), pa.string())
    encoded = requested.dictionary_encode()
    rows = tables.rows(chosen.labels[0], chosen, encoded.dictionary)
    return _describe(tables, _Named(encoded.dictionary, {}, rows), encoded.indices, chosen, None)


def _all_stored(tables: FeatureTables, requested: pa.Array, chosen: Chosen) -> dict[str, pa.Array] | None:
    """The descriptor columns where each request is an id that every feature set describes: the short way."""
    columns: dict[str, pa.Array] = {}
    for label in chosen.labels:
        rows = tables.rows(label, chosen, requested)
        at = _positions(requested, rows[chosen.key].combine_chunks())
        if at.null_count:
            return None
        names = chosen.column_names(label)
        columns |= dict(zip(names.values(), _take_all(rows, names, at), strict=True))
    return columns


@dataclass(frozen=True, slots=True)
class _Named:
    """Entities, each once: their ids, why an id is null or not in the store, and what the first set has of them."""

    ids: pa.Array
    reasons: Mapping[int, str]
    rows: pa.Table


def _describe(
    tables: FeatureTables,
    named: _Named,
    position: pa.Array,
    chosen: Chosen,
    new: Mapping[str, FeatureSet] | None,
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The columns (n,) by name for rows that are about `named` at `position` (n,), and (n,) why some are null."""
    ids = named.ids
    columns: dict[str, pa.Array] = {}
    missing: dict[int, list[str]] = {i: [reason] for i, reason in named.reasons.items() if not ids[i].is_valid}
    for label, row in zip(chosen.labels, chosen.rows, strict=True):
        rows = tables.rows(label, chosen, ids) if columns else named.rows
        at, absent = _places(ids, rows[chosen.key])
        failed = _failures(tables.con, row, ids) if absent else {}
        if absent and new is not None and row["entity"] == "material":
            computed, refused = _compute(label, row, new, pc.unique(ids.take(pa.array(absent))))
            rows, failed = pa.concat_tables([rows, computed]), failed | refused
            at, absent = _places(ids, rows[chosen.key])
        for i in absent:
            failure = failed.get(ids[i].as_py())
            why = named.reasons.get(i, f"{label} has no row for it yet") if failure is None else f"{label}: {failure}"
            missing.setdefault(i, []).append(why)
        names = chosen.column_names(label)
        columns |= dict(zip(names.values(), _take_all(rows, names, at.take(position)), strict=True))
    texts = [None if i not in missing else "; ".join(dict.fromkeys(missing[i])) for i in range(len(ids))]
    return columns, pa.array(texts, pa.string()).take(position)


def _texts(entities: Any) -> pa.Array:
    try:
        if isinstance(entities, pa.ChunkedArray):
            return entities.cast(pa.string()).combine_chunks()
        if isinstance(entities, str):
            raise InputError("entities must be a list of ids or formulas, not a single text")
        return pa.array(entities, from_pandas=True).cast(pa.string()) if len(entities) else pa.array([], pa.string())
    except (pa.ArrowException, TypeError) as error:
        raise InputError(f"entities must be ids or formulas, as text: {error}") from error


def _identify(tables: FeatureTables, texts: pa.Array, rows: pa.Table, chosen: Chosen) -> _Named:
    """The ids that texts stand for. `rows` are those of the first feature set, with the texts taken as ids."""
    _, strange = _places(texts, rows[chosen.key])
    if not strange:
        return _Named(texts, {}, rows)
    entity = chosen.rows[0]["entity"]
    ids, reasons = texts.to_pylist(), {}
    if entity == "material":
        for i in strange:
            try:
                ids[i] = parse_formula(ids[i]).material_id
            except FormulaError as error:
                ids[i], reasons[i] = None, str(error)
    parsed = pa.array([ids[i] for i in strange], pa.string())
    keys = _matching(tables.con, f"SELECT {chosen.key} FROM {ENTITIES[entity].relation}", parsed, chosen.key)
    stored = set(keys[chosen.key].to_pylist())
    reasons |= {i: f"the store holds no {entity} {ids[i]}" for i in strange if ids[i] and ids[i] not in stored}
    unread = pc.unique(parsed.filter(pc.invert(pc.is_in(parsed, value_set=rows[chosen.key].combine_chunks()))))
    more = tables.rows(chosen.labels[0], chosen, unread)
    return _Named(pa.array(ids, pa.string()), reasons, rows if more is rows else pa.concat_tables([rows, more]))


def _matching(con: duckdb.DuckDBPyConnection, query: str, ids: pa.Array, key: str) -> pa.Table:
    """The rows of a query whose key is among `ids`."""
    con.register("requested_ids", pa.table({key: ids}))
    try:
        # as a relation, so that all threads fill the result; `execute` leaves that to one: twice the time
        return con.sql(f"FROM ({query}) SEMI JOIN requested_ids USING ({key})").to_arrow_table()
    finally:
        con.unregister("requested_ids")


def _places(ids: pa.Array, keys: pa.ChunkedArray) -> tuple[pa.Array, list[int]]:
    """Where each id stands in `keys`, null where it does not; and the positions of the ids that don't."""
    at = _positions(ids, keys.combine_chunks())
    absent = pc.and_(at.is_null(), ids.is_valid())
    return at, np.flatnonzero(absent.to_numpy(zero_copy_only=False)).tolist()


def _positions(ids: pa.Array, keys: pa.Array) -> pa.Array:
    """Where each id stands in `keys`, which are unique; null where it does not. Hashes the fewer of the two."""
    if len(ids) >= len(keys):
        return pc.index_in(ids, value_set=keys)
    encoded = ids.dictionary_encode()
    indices = pc.index_in(keys, value_set=encoded.dictionary)
    return pc.inverse_permutation(indices, max_index=len(encoded.dictionary) - 1).take(encoded.indices)


def _failures(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any], ids: pa.Array) -> dict[str, str]:
    query = (
        f"SELECT entity_id, reason FROM feature_failures "
        f"WHERE name = {literal(row['name'])} AND version = {row['version']:d}"
    )
    failures = _matching(con, query, ids, "entity_id")
    return dict(zip(failures["entity_id"].to_pylist(), failures["reason"].to_pylist(), strict=True))


def _compute(
    label: str, row: Mapping[str, Any], new: Mapping[str, FeatureSet], ids: pa.Array
) -> tuple[pa.Table, dict[str, str]]:
    """Rows of a feature set for materials that it has none of, and why some have no descriptors."""
    feature_set = new.get(row["name"])
    if feature_set is None or feature_set.signature() != row["signature"]:
        raise InputError(
            f"{label} can't be computed for new materials: this version of Matstrata computes {row['name']!r} "
            "differently; run 'matstrata features materialize', or leave new materials out"
        )
    compositions = [parse_formula(material, max_amount=float("inf")) for material in ids.to_pylist()]
    elements = pa.array([list(each.elements) for each in compositions], pa.list_(pa.string()))
    fractions = pa.array([list(each.fractions) for each in compositions], pa.list_(pa.float64()))
    matrix, why = compute_for([feature_set], elements, fractions)
    done = pa.array([reason is None for reason in why], pa.bool_())
    rows = pa.table({"material_id": ids, **{name: matrix[:, i] for i, name in enumerate(row["columns"])}}).filter(done)
    return rows, {each: reason for each, reason in zip(ids.to_pylist(), why, strict=True) if reason is not None}


def _take_all(rows: pa.Table, names: Iterable[str], at: pa.Array) -> list[pa.Array]:
    """Columns of `rows` at the given places, null where a place is."""

    def take(name: str) -> pa.Array:
        # Arrow's own allocator asks for huge pages, whose first use took 4 times the rest on a virtual machine
        return pc.take(rows[name].combine_chunks(), at, boundscheck=False, memory_pool=pa.system_memory_pool())

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(take, names))
