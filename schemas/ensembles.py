"""Which sources and feature sets make up the ensemble of a property, read from `ensembles.yaml`.

Not here: how the models are fitted (`pipelines.learning`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import Property, get_property
from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.terms import Setting


class EnsembleSpec(BaseModel):
    """The sources and feature sets of one property's ensemble.

    Attributes:
        name: The property.
        target: The measured source that is predicted, as a `SourceRef` is written.
        helpers: Computed sources, written in the same way.
        features: Names of the feature sets.
    """

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
        """The target source, then the helpers, as `SourceRef` writes them."""
        return (self.target, *self.helpers)

    @property
    def serving_setting(self) -> Setting:
        """The setting of the predictor that serves: with computed values where there is a computed source."""
        return Setting.KNOWN_DFT if self.helpers else Setting.WITHOUT_DFT

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources' own names, each once."""
        return tuple(dict.fromkeys(SourceRef.parse(source).source for source in self.sources))


@lru_cache(maxsize=1)
def ensembles() -> Mapping[str, EnsembleSpec]:
    """Read all ensembles, by property.

    Raises:
        InputError: The file is not valid, as in `read_ensembles`.
    """
    return read_ensembles(files("matstrata.schemas").joinpath("ensembles.yaml").read_text(encoding="utf-8"))


def read_ensembles(text: str) -> Mapping[str, EnsembleSpec]:
    """Read the ensembles that a YAML text declares, by property.

    Raises:
        InputError: It is not valid YAML, names a property that is not in the vocabulary, or a declaration lacks a field
            or has an unknown one.
    """
    try:
        declared = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"schemas/ensembles.yaml is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(declared, dict):
        raise InputError("schemas/ensembles.yaml must have one entry for each property")
    return MappingProxyType({name: _read(name, fields) for name, fields in declared.items()})


def _read(name: str, fields: object) -> EnsembleSpec:
    place = f"schemas/ensembles.yaml, {name}"
    if not isinstance(fields, dict):
        raise InputError(f"{place}: give target, helpers and features")
    try:
        spec = EnsembleSpec.model_validate({**fields, "name": name})
        get_property(spec.name)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InputError(f"{place} is not valid: {problems}; it takes target, helpers and features") from error
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    return spec


def get_ensemble(property_name: str) -> EnsembleSpec:
    """Return the ensemble of a property.

    Raises:
        InputError: None is declared; the message lists those that are.
    """
    try:
        return ensembles()[property_name]
    except KeyError:
        raise InputError(
            f"no ensemble is declared for {property_name!r}, only for: {', '.join(ensembles())}. "
            "Declare one in schemas/ensembles.yaml"
        ) from None
