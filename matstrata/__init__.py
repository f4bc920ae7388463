"""Matstrata: a materials data integration and feature store.

The one import name. `matstrata.schemas`, `matstrata.store` and `matstrata.pipelines` are the three folders of the
project; the names below are loaded when they are first used, so that `import matstrata` costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS as FEATURE_SETS
    from matstrata.pipelines.serving.predictor import Predictor as Predictor
    from matstrata.schemas.composition import parse_formula as parse_formula
    from matstrata.schemas.errors import InputError as InputError
    from matstrata.schemas.errors import WorkError as WorkError
    from matstrata.store.feature_store import FeatureStore as FeatureStore
    from matstrata.store.settings import Settings as Settings

    __version__: str

_MODULES = {
    "FEATURE_SETS": "matstrata.pipelines.descriptors.registry",
    "FeatureStore": "matstrata.store.feature_store",
    "InputError": "matstrata.schemas.errors",
    "Predictor": "matstrata.pipelines.serving.predictor",
    "Settings": "matstrata.store.settings",
    "WorkError": "matstrata.schemas.errors",
    "parse_formula": "matstrata.schemas.composition",
}

__all__ = ["FEATURE_SETS", "FeatureStore", "InputError", "Predictor", "Settings", "WorkError", "parse_formula"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # deferred: 20 ms

        return version("matstrata")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "__version__"})
