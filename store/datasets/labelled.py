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
from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.terms import Kind
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.features.retrieval import FeatureTables, choose, features_of_labelled, listed
from matstrata.store.lake.lake import current_snapshot
from matstrata.store.lake.sql import literal, literals


@dataclass(frozen=True, slots=True)
class Request:
    """The content of a training set; None means all that the store has."""

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
        """Make a request from any sequences.

        Raises:
            InputError: One of them is a text.
        """
        return cls(
            property,
            listed("features", features),
            None if sources is None else listed("sources", sources),
            None if kinds is None else listed("kinds", kinds),
        )


def select_labelled(con: duckdb.DuckDBPyConnection, root: Path | None, request: Request) -> TrainingSet:
    """The requested training set.

    Columns: material_id, group_id, chemical_system, source, kind, method, the property, the descriptors, and `reason`,
    null where every feature set describes the material. Ordered by the keys.

    Args:
        con: A reader of the store.
        root: The folder of the store, for its memory-mapped caches of feature tables; None to read the tables only.
        request: What to select.

    Raises:
        InputError: There is no such property, source, kind or feature set; or there are no labels.
    """
    chosen = choose(con, request.features)
    if chosen.key != "material_id":
        raise InputError(f"{', '.join(chosen.labels)} do not describe materials, and only materials have labels")
    labels = con.sql(  # a relation is filled by all threads
        "SELECT l.material_id, m.group_id, m.chemical_system, l.source, l.kind, l.method, l.value "
        "FROM labels l LEFT JOIN materials m USING (material_id) WHERE "
        f"{_condition(con, request)} ORDER BY l.material_id, l.source, l.kind, l.method"
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


def _condition(con: duckdb.DuckDBPyConnection, request: Request) -> str:
    """The SQL condition on labels, in literals: binding would import pandas (0.5 s)."""
    conditions = [f"l.property = {literal(request.property)}"]
    if request.kinds is not None:
        if unknown := set(request.kinds) - set(Kind):
            raise InputError(f"unknown kind {', '.join(sorted(unknown))}; there are: {', '.join(Kind)}")
        conditions.append(f"l.kind IN ({literals(request.kinds)})" if request.kinds else "false")
    if request.sources is not None:
        references = [SourceRef.parse(source) for source in request.sources]
        stored = {name for (name,) in con.execute("SELECT source FROM sources ORDER BY source").fetchall()}
        if unknown := {reference.source for reference in references} - stored:
            names = ", ".join(sorted(stored)) or "none yet"
            raise InputError(f"the store holds no source {', '.join(sorted(unknown))}; it holds: {names}")
        each = [
            f"(l.source = {literal(source)}" + (f" AND l.method = {literal(method)})" if method else ")")
            for source, method in ((reference.source, reference.method) for reference in references)
        ]
        conditions.append(f"({' OR '.join(each) or 'false'})")
    return " AND ".join(conditions)


def _why_none(con: duckdb.DuckDBPyConnection, request: Request) -> str:
    from matstrata.schemas.properties import get_property  # deferred: 0.2 s, pydantic

    get_property(request.property)
    available = con.execute(
        f"SELECT DISTINCT source, kind, method FROM labels WHERE property = {literal(request.property)} ORDER BY ALL"
    ).fetchall()
    names = "; ".join(f"{source} ({kind}, {method})" for source, kind, method in available)
    return f"no labels of {request.property} match; the store has: {names or 'none of it, ingest a source first'}"
