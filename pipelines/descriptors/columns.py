"""What a descriptor column is called and means. Not here: which columns a feature set has, or their values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DescriptorColumn:
    """One column of a feature set."""

    name: str
    """Column name in the store."""
    unit: str
    """Unit, spelt so that pint reads it."""
    description: str
    """One sentence without the unit."""
    matminer: str
    """The label that matminer's featurizer gives the same quantity; empty where it has none."""
