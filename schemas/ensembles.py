"""Which sources and feature sets make up the ensemble of a property, read from `ensembles.yaml`.

Not here: how the models are fitted (`pipelines.learning`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict

from schemas.errors import InputError
from schemas.properties import Property, get_property


class EnsembleSpec(BaseModel):
    """The make-up of one property's ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    target: str
    helpers: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def predicts(self) -> Property:
        """The property that is predicted."""
        return get_property(self.name)

    @property
    def sources(self) -> tuple[str, ...]:
        """The target source, then the helpers; 'source:method' where a source reports by several methods."""
        return (self.target, *self.helpers)

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources' own names, each once."""
        return tuple(dict.fromkeys(source.partition(":")[0] for source in self.sources))


@lru_cache(maxsize=1)
def ensembles() -> Mapping[str, EnsembleSpec]:
    """All ensembles by property."""
    declared = yaml.safe_load(files("schemas").joinpath("ensembles.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({name: EnsembleSpec(name=name, **fields) for name, fields in declared.items()})


def get_ensemble(property_name: str) -> EnsembleSpec:
    """The ensemble of a property.

    Raises:
        InputError: none is declared; the message lists those that are.
    """
    try:
        return ensembles()[property_name]
    except KeyError:
        raise InputError(
            f"no ensemble is declared for {property_name!r}; there are: {', '.join(ensembles())}. "
            "Declare one in schemas/ensembles.yaml"
        ) from None
