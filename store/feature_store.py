"""The Python face of the store: observations, labels, features, training sets and SQL, as Arrow tables.

`table.to_pandas()` gives a data frame. Not here: writing; that is what the pipelines do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from schemas.errors import InputError
from store.as_of import AsOf, resolve_as_of
from store.features import resolve
from store.lake import Lake
from store.query import connect_locked, query
from store.training_sets import TrainingSet, select


class FeatureStore:
    """A read-only view of a store, fixed on one snapshot while it is open.

    >>> with FeatureStore.open() as store:
    ...     gaps = store.observations(property="band_gap").to_pandas()
    """

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, snapshot: int) -> None:
        self.lake = lake
        self.snapshot = snapshot
        self._con = con

    @classmethod
    def open(cls, path: str | Path | None = None, *, as_of: AsOf = None) -> Self:
        """Open the store in `path` (by default that of the settings), now or as of a snapshot, moment or release.

        Raises:
            InputError: there is no store, or no such snapshot or release.
        """
        if path is None:
            from store.settings import Settings  # deferred: 0.2 s

            path = Settings().store
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
            InputError: the SQL is wrong or would write.
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

    def features(self, *names: str, material_ids: Sequence[str] | None = None) -> pa.Table:
        """Descriptors: `material_id`, then the columns of the named sets ('magpie', or 'magpie_v1').

        Without `material_ids`, one row per described material. With them, one row per id in their order, nulls where
        the store has no descriptors.

        Raises:
            InputError: no such feature set.
        """
        if not names:
            raise InputError("name at least one feature set, e.g. features('magpie')")
        first, *others = resolve(self._con, names)
        joins = " ".join(f"LEFT JOIN features.{version} USING (material_id)" for version in others)
        if material_ids is None:
            return self._con.execute(f"SELECT * FROM features.{first} {joins} ORDER BY material_id").to_arrow_table()
        wanted = pa.table({"position": range(len(material_ids)), "material_id": pa.array(material_ids, pa.string())})
        self._con.register("wanted", wanted)
        found = self._con.execute(
            "SELECT * EXCLUDE (position) FROM (SELECT * FROM wanted "
            f"LEFT JOIN features.{first} USING (material_id) {joins} ORDER BY position)"
        ).to_arrow_table()
        self._con.unregister("wanted")
        return found

    def training_set(self, *, property: str, features: Sequence[str], source: str) -> TrainingSet:
        """Labels of one source joined to features, as of the open snapshot.

        Raises:
            InputError: no such feature set, or no such labels.
        """
        return select(self._con, source, [property], features)

    def _matching(self, table: str, **wanted: str | None) -> pa.Table:
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "true"
        return self._con.execute(
            f"SELECT * FROM {table} WHERE {where} ORDER BY ALL", list(given.values())
        ).to_arrow_table()
