"""The vocabulary of properties: canonical name, unit, bounds and definition, read from `properties.yaml`.

Not here: which source reports a property, and under which name (that is its contract).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict

from matstrata.schemas.errors import InputError


class Property(BaseModel):
    """One property: the unit every value is stored in, and the bounds outside which a value is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    symbol: str
    unit: str
    lower: float
    upper: float
    definition: str
    zero_class: str | None = None
    typical: tuple[float, float] | None = None  # where the median of any source lies; outside, the unit is suspect

    @property
    def is_truth(self) -> bool:
        """Whether it is a matter of yes and no, so that "true" is a value of it."""
        return (self.unit, self.lower, self.upper) == ("1", 0, 1)

    @property
    def label(self) -> str:
        """Title and unit for an axis: 'Band gap (eV)'."""
        return self.title if self.unit == "1" else f"{self.title} ({self.unit})"


@lru_cache(maxsize=1)
def properties() -> Mapping[str, Property]:
    """All properties by name."""
    declared = yaml.safe_load(files("matstrata.schemas").joinpath("properties.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({name: Property(name=name, **fields) for name, fields in declared.items()})


def get_property(name: str) -> Property:
    """The property called `name`.

    Raises:
        InputError: there is no such property; the message lists those that exist.
    """
    try:
        return properties()[name]
    except KeyError:
        known = ", ".join(sorted(properties()))
        raise InputError(
            f"unknown property {name!r}; known: {known}. Add new ones to schemas/properties.yaml"
        ) from None
