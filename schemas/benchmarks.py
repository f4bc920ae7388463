"""The rows, helpers and features of each public benchmark, read from `benchmarks.yaml`.

Not here: how its files are read, and how models are evaluated on it (`pipelines.benchmarks`).
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
    """One benchmark: its rows from its own files or the labels of a source, its helpers and features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    property: str
    target: str = ""
    helpers: tuple[str, ...]
    features: tuple[str, ...]
    files: Mapping[str, FileLocation] = Field(default_factory=dict)
    printed: Mapping[str, Mapping[str, int | float | str]] = Field(
        default_factory=dict, description="figures that a paper prints, which cannot be recomputed"
    )


def ensemble_of(spec: BenchmarkSpec) -> EnsembleSpec:
    """Return the ensemble that is evaluated on a benchmark."""
    return EnsembleSpec(name=spec.property, target=spec.target, helpers=spec.helpers, features=spec.features)


@lru_cache(maxsize=1)
def benchmarks() -> Mapping[str, BenchmarkSpec]:
    """Read all benchmarks, by name."""
    declared = yaml.safe_load(files("matstrata.schemas").joinpath("benchmarks.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({name: BenchmarkSpec(name=name, **fields) for name, fields in declared.items()})


def get_benchmark(name: str) -> BenchmarkSpec:
    """Return a benchmark by name.

    Raises:
        InputError: There is none of this name; the message lists those that exist.
    """
    try:
        return benchmarks()[name]
    except KeyError:
        raise InputError(f"unknown benchmark {name!r}; choose one of: {', '.join(benchmarks())}") from None
