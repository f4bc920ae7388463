"""Where data lives: the DuckLake store, its tables, feature sets, training sets and read-only SQL.

No Dagster and no machine learning here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matstrata.store.feature_store import FeatureStore

__all__ = ["FeatureStore"]


def __getattr__(name: str) -> Any:
    # deferred: 0.3 s for DuckDB and Arrow, which the settings and signatures do without
    if name == "FeatureStore":
        from matstrata.store.feature_store import FeatureStore

        return FeatureStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
