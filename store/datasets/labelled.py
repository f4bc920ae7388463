"""Labels of one property joined to features, from any sources: one row for each material, source, kind and method.

Not here: the wide sets of one source on which models are trained (`store.datasets.training_sets.select`), nor freezing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from matstrata.schemas.errors import InputError
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.features.retrieval import FeatureTables, choose, features_of_labelled, listed
from matstrata.store.lake.lake import current_snapshot

KINDS = ("experiment", "computation")


@dataclass(frozen=True, slots=True)
class Request:
    """What a training set is made of; None means all there are."""

    property: str
    features: tuple[str, ...]
    sources: tuple[str, ...] | None = None
    """Names of sources; 'source:method' for one method of several."""
    kinds: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        property: str,
        features: Iterable[str],
        sources: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> Request:
        """From any sequences.

        Raises:
            InputError: one of them is a text.
        """
        chosen = {"sources": sources, "kinds": kinds}
        given = [None if words is None else listed(what, words) for what, words in chosen.items()]
        return cls(property, listed("features", features), *given)


def select_labelled(con: duckdb.DuckDBPyConnection, root: Path | None, request: Request) -> TrainingSet:
    """The training set that is asked for, as `con` sees the store that has its folder in `root`.

    Without `root` the features are read from the tables themselves and never from mapped copies of them.

    Columns: material_id, group_id, chemical_system, source, kind, method, the property, the descriptors, and `reason`,
    null where every feature set describes the material. Ordered by the keys.

    Raises:
        InputError: no such property, source, kind or feature set; or no labels.
    """
    chosen = choose(con, request.features)
    if chosen.key != "material_id":
        raise InputError(f"{', '.join(chosen.labels)} describe no materials, and labels are of materials")
    labels = con.sql(  # a relation is filled by all threads
        "SELECT l.material_id, m.group_id, m.chemical_system, l.source, l.kind, l.method, l.value "
        "FROM labels l LEFT JOIN materials m USING (material_id) WHERE "
        f"{_wanted(con, request)} ORDER BY l.material_id, l.source, l.kind, l.method"
    ).to_arrow_table()
    if not labels.num_rows:
        raise InputError(_why_none(con, request))
    names = [*labels.column_names[:-1], request.property]
    columns, reasons = features_of_labelled(FeatureTables(con, root), labels["material_id"], chosen)
    return TrainingSet(
        source=", ".join(sorted(pc.unique(labels["source"]).to_pylist())),
        properties=(request.property,),
        features=chosen.labels,
        snapshot=current_snapshot(con),
        table=pa.table({**dict(zip(names, labels.columns, strict=True)), **columns, "reason": reasons}),
        request=asdict(replace(request, features=chosen.labels)),
        notes=chosen.notes,
    )


def _wanted(con: duckdb.DuckDBPyConnection, request: Request) -> str:
    """The condition on labels, in literals: binding would import pandas (0.5 s)."""
    conditions = [f"l.property = {_literal(request.property)}"]
    if request.kinds is not None:
        if strange := set(request.kinds) - set(KINDS):
            raise InputError(f"unknown kind {', '.join(sorted(strange))}; there are: {', '.join(KINDS)}")
        conditions.append(_among("l.kind", request.kinds))
    if request.sources is not None:
        parts = [source.partition(":") for source in request.sources]
        known = {name for (name,) in con.execute("SELECT source FROM sources ORDER BY source").fetchall()}
        if strange := {name for name, *_ in parts} - known:
            listed = ", ".join(sorted(known)) or "none yet"
            raise InputError(f"the store holds no source {', '.join(sorted(strange))}; it holds: {listed}")
        each = [
            f"(l.source = {_literal(name)}" + (f" AND l.method = {_literal(method)})" if method else ")")
            for name, _, method in parts
        ]
        conditions.append(f"({' OR '.join(each) or 'false'})")
    return " AND ".join(conditions)


def _why_none(con: duckdb.DuckDBPyConnection, request: Request) -> str:
    from matstrata.schemas.properties import get_property  # deferred: 0.2 s, pydantic

    get_property(request.property)
    found = con.execute(
        f"SELECT DISTINCT source, kind, method FROM labels WHERE property = {_literal(request.property)} ORDER BY ALL"
    ).fetchall()
    listed = "; ".join(f"{source} ({kind}, {method})" for source, kind, method in found)
    return f"no labels of {request.property} match; the store has: {listed or 'none of it, ingest a source first'}"


def _among(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(map(_literal, words))})" if words else "false"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
