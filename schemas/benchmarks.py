"""Which rows, helpers and features make up a public benchmark, read from `benchmarks.yaml`.

Not here: how its files are read, and how models are judged on it (`pipelines.benchmarks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, Field

from matstrata.schemas.contracts import FileLocation
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.errors import InputError


class BenchmarkSpec(BaseModel):
    """The make-up of one benchmark: rows of its own files, or the labels of a source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    property: str
    target: str = ""
    helpers: tuple[str, ...]
    features: tuple[str, ...]
    files: Mapping[str, FileLocation] = Field(default_factory=dict)
    printed: Mapping[str, Mapping[str, int | float | str]] = Field(
        default_factory=dict, description="figures that a paper prints, which can't be computed anew"
    )


def ensemble_of(spec: BenchmarkSpec) -> EnsembleSpec:
    """The ensemble that is judged."""
    return EnsembleSpec(name=spec.property, target=spec.target, helpers=spec.helpers, features=spec.features)


@lru_cache(maxsize=1)
def benchmarks() -> Mapping[str, BenchmarkSpec]:
    """All benchmarks by name."""
    declared = yaml.safe_load(files("matstrata.schemas").joinpath("benchmarks.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({name: BenchmarkSpec(name=name, **fields) for name, fields in declared.items()})


def get_benchmark(name: str) -> BenchmarkSpec:
    """The benchmark called `name`.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    try:
        return benchmarks()[name]
    except KeyError:
        raise InputError(f"unknown benchmark {name!r}; there are: {', '.join(benchmarks())}") from None
