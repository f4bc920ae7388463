"""The results of retrieval: an Arrow table that converts to other libraries' tables, arrays and tensors.

Each library is imported when its conversion is called. Not here: retrieval itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.schemas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


class Tabular:
    """A table with descriptors among its columns, and its conversions."""

    table: pa.Table

    @property
    @abstractmethod
    def descriptors(self) -> tuple[str, ...]:
        """Names of the descriptor columns."""

    def __len__(self) -> int:
        """Count the rows."""
        return int(self.table.num_rows)

    def to_arrow(self) -> pa.Table:
        """All columns, as an Arrow table."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """All columns, as a pandas data frame."""
        return self.table.to_pandas()

    def to_polars(self) -> Any:
        """All columns, as a polars data frame, without copying.

        Raises:
            InputError: Polars is not installed.
        """
        return _installed("polars").from_arrow(self.table)

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """All columns, as a relation of the given connection, or of DuckDB's default one."""
        return duckdb.from_arrow(self.table, connection=connection or duckdb.default_connection())

    def to_numpy(self, columns: Sequence[str] | None = None) -> NDArray[np.float64]:
        """A matrix (rows, columns) of numbers, NaN where a value is missing; by default the descriptors.

        Raises:
            InputError: There is no such column, or it holds text.
        """
        names = self.descriptors if columns is None else columns
        for name in names:
            if name not in self.table.column_names or pa.types.is_string(self.table.schema.field(name).type):
                raise InputError(
                    f"{name!r} is not a numeric column here; the descriptors are {', '.join(self.descriptors)}"
                )
        matrix = np.empty((len(names), len(self)))
        for row, name in zip(matrix, names, strict=True):
            row[:] = self.table[name].to_numpy()
        return matrix.T

    def to_torch(self, columns: Sequence[str] | None = None) -> Any:
        """As `to_numpy`, as a PyTorch tensor of 64-bit numbers.

        Raises:
            InputError: PyTorch is not installed.
        """
        return _installed("torch").from_numpy(np.ascontiguousarray(self.to_numpy(columns)))


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"this needs {name}, which is not installed: pip install {name}") from error
