"""What a descriptor column is called and means. Not here: which columns a feature set has, or their values."""

from __future__ import annotations

from dataclasses import dataclass

from matstrata.schemas.tables import REAL, Column
from matstrata.schemas.units import NO_UNIT


@dataclass(frozen=True, slots=True)
class DescriptorColumn:
    """One column of a feature set."""

    name: str
    """Column name in the store."""
    unit: str
    """Unit, spelled so that pint reads it; `NO_UNIT` for a pure number."""
    description: str
    """One sentence without the unit."""
    matminer: str = ""
    """The label that matminer's featurizer gives the same quantity; empty where it has none."""

    def in_store(self) -> Column:
        """Return the column of the store's table, with its definition, its peer in matminer and its unit."""
        peer = f" (matminer: {self.matminer})" if self.matminer else ""
        return Column(self.name, REAL, f"{self.description}{peer}", None if self.unit == NO_UNIT else self.unit)
