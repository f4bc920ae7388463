"""The Python interface of the store: observations, labels, features, training sets and SQL, as Arrow tables.

`table.to_pandas()` gives a data frame. Not here: writing, which the pipelines do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from matstrata.store.datasets.labelled import Request, select_labelled
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.features.retrieval import Features, FeatureTables, choose, features_for
from matstrata.store.features.sets import FeatureSet
from matstrata.store.features.versions import described
from matstrata.store.lake.as_of import AsOf, resolve_as_of
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.query import connect_locked, query


class FeatureStore:
    """A read-only view of a store, fixed on one snapshot while it is open.

    >>> with FeatureStore.open() as store:
    ...     gaps = store.observations(property="band_gap").to_pandas()
    """

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, snapshot: int) -> None:
        self.lake = lake
        self.snapshot = snapshot
        self._con = con
        self._tables = FeatureTables(con, lake.root)

    @classmethod
    def open(cls, path: str | Path | None = None, *, as_of: AsOf = None) -> Self:
        """Open the embedded store in `path` (by default the store of the settings), as it is now or as of a snapshot.

        Args:
            path: The folder of the store.
            as_of: The number of a snapshot, the name of a release, or a time (as text: ISO 8601, by default UTC).

        Raises:
            InputError: There is no store, or no such snapshot or release.
        """
        if path is None:
            from matstrata.store.settings import Settings  # deferred: 0.2 s

            lake = Lake.of(Settings())
        else:
            lake = Lake(Path(path))
        snapshot = lake.snapshot() if as_of is None else resolve_as_of(lake, as_of)
        return cls(lake, connect_locked(lake, snapshot), snapshot)

    def close(self) -> None:
        """Release the connection."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sql(self, statement: str) -> pa.Table:
        """The result of one reading SQL statement.

        Raises:
            InputError: The SQL is wrong or would write.
        """
        return query(self._con, statement).to_arrow_table()

    def observations(
        self, *, property: str | None = None, source: str | None = None, kind: str | None = None
    ) -> pa.Table:
        """Observations, all or those that match; columns as in the table."""
        return self._matching("observations", property=property, source=source, kind=kind)

    def labels(self, *, property: str | None = None, source: str | None = None) -> pa.Table:
        """The reconciled value per material, property and source."""
        return self._matching("labels", property=property, source=source)

    def features(self, *names: str) -> pa.Table:
        """All rows of the named feature sets ('magpie', or 'magpie_v1'): the id, then the descriptors.

        Raises:
            InputError: There is no such feature set.
        """
        chosen = choose(self._con, names)
        first, *further = chosen.labels
        joins = " ".join(f"LEFT JOIN {described(label)} USING ({chosen.key})" for label in further)
        return self._con.execute(f"SELECT * FROM {described(first)} {joins} ORDER BY {chosen.key}").to_arrow_table()

    def features_for(
        self,
        entities: Sequence[str | None] | pa.Array | pa.ChunkedArray,
        features: Sequence[str],
        *,
        new: Mapping[str, FeatureSet] | None = None,
    ) -> Features:
        """Features of entities, by request: one row for each, in order; without descriptors, nulls and a reason.

        >>> store.features_for(["GaN", "O3Fe2", "GaN", "Unobtainium"], ["magpie"]).to_pandas()

        Args:
            entities: Ids of the store; or formulas of materials, in any spelling.
            features: Feature sets of one kind of entity: 'magpie' (its current version) or 'magpie_v1'.
            new: The feature sets (`matstrata.FEATURE_SETS`) by which to describe materials that the
                store does not describe; they are not written.

        Raises:
            InputError: no such feature set, or one that is computed differently now.
        """
        return features_for(self._tables, entities, choose(self._con, features, new or {}), self.snapshot, new)

    def training_set(
        self,
        *,
        property: str,
        features: Sequence[str],
        sources: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        as_of: AsOf = None,
    ) -> TrainingSet:
        """Labels of a property joined to features: one row for each material, source, kind and method.

        Both are those of one snapshot: later corrections are not seen.

        Args:
            property: The labelled property, such as 'band_gap'.
            features: Feature sets of materials, as for `features_for`.
            sources: Sources of the labels, 'source' or 'source:method'; by default all.
            kinds: 'experiment', 'computation'; by default both.
            as_of: Snapshot, moment or release; by default the snapshot on which the store was opened.

        Raises:
            InputError: There is no such feature set, source, snapshot or release, or no such labels.
        """
        request = Request.of(property, features, sources, kinds)
        if as_of is None:
            return select_labelled(self._con, self.lake.root, request)
        with self.lake.reader(resolve_as_of(self.lake, as_of)) as con:
            return select_labelled(con, self.lake.root, request)

    def _matching(self, table: str, **conditions: str | None) -> pa.Table:
        given = {column: value for column, value in conditions.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "true"
        return self._con.execute(
            f"SELECT * FROM {table} WHERE {where} ORDER BY ALL", list(given.values())
        ).to_arrow_table()
