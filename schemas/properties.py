"""The vocabulary of properties: canonical name, unit, bounds, definition and synonyms, read from `properties.yaml`.

Not here: which source reports a property, and under which name (that is its contract).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from matstrata.schemas.errors import InputError
from matstrata.schemas.units import NO_UNIT


class Synonyms(BaseModel):
    """What data sets call a property: patterns of words in lower case, for drafting alone.

    Attributes:
        headers: of whole headers of columns.
        files: of words inside the names of files and folders.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    headers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @field_validator("headers", "files")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression ({error})") from error
        return patterns


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
    synonyms: Synonyms = Synonyms()

    @property
    def is_truth(self) -> bool:
        """Whether it is a matter of yes and no, so that "true" is a value of it."""
        return (self.unit, self.lower, self.upper) == (NO_UNIT, 0, 1)

    @property
    def label(self) -> str:
        """Title and unit for an axis: 'Band gap (eV)'."""
        return self.title if self.unit == NO_UNIT else f"{self.title} ({self.unit})"


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
        names = ", ".join(sorted(properties()))
        raise InputError(
            f"unknown property {name!r}; known: {names}. Add new ones to schemas/properties.yaml"
        ) from None
