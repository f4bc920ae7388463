"""The feature sets: every one is declared here, once; installed packages add theirs by entry points.

Not here: how descriptors are computed (one module per set, which ends with its `FeatureSet`), nor where they are kept
(`store.features.sets`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from matstrata.pipelines.descriptors.composition import hellinger, magpie, stoichiometry, valence
from matstrata.schemas.errors import InputError
from matstrata.store.features.sets import ENTITIES, FeatureSet

log = logging.getLogger("matstrata.descriptors")

ENTRY_POINTS = "matstrata.feature_sets"
"""The group of entry points by which a package brings feature sets: each is a `FeatureSet`, or a sequence of them."""

_SHIPPED: Mapping[str, FeatureSet] = MappingProxyType(
    {
        feature_set.name: feature_set
        for feature_set in (
            magpie.FEATURE_SET,
            stoichiometry.FEATURE_SET,
            hellinger.FEATURE_SET,
            valence.FEATURE_SET,
        )
    }
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")  # becomes part of a table's name
_VERSIONED = re.compile(r".*_v[0-9]+")  # would read as a version of another set


class _FeatureSets(Mapping[str, FeatureSet]):
    """Feature sets by name. Packages are loaded when a set that Matstrata does not ship, or all sets, are asked for."""

    def __getitem__(self, name: str) -> FeatureSet:
        return _SHIPPED[name] if name in _SHIPPED else _contributed()[name]

    def __iter__(self) -> Iterator[str]:
        yield from _SHIPPED
        yield from _contributed()

    def __len__(self) -> int:
        return len(_SHIPPED) + len(_contributed())


FEATURE_SETS: Mapping[str, FeatureSet] = _FeatureSets()


def get_feature_set(name: str) -> FeatureSet:
    """Return the feature set called `name`.

    Raises:
        InputError: There is none; the message lists those that exist.
    """
    try:
        return FEATURE_SETS[name]
    except KeyError:
        raise InputError(f"unknown feature set {name!r}; available: {', '.join(FEATURE_SETS)}") from None


@cache
def _contributed() -> Mapping[str, FeatureSet]:
    """The feature sets of installed packages; what can't be used costs a warning, never the command."""
    contributed: dict[str, FeatureSet] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        for feature_set in _load(entry):
            fault = _fault(feature_set, entry, contributed)
            if isinstance(feature_set, FeatureSet) and fault is None:
                contributed[feature_set.name] = feature_set
            else:
                log.warning("the feature set %s is left out: %s", getattr(feature_set, "name", entry.name), fault)
    return MappingProxyType(contributed)


def _load(entry: EntryPoint) -> Sequence[object]:
    """What an entry point names; nothing where its package can't be imported."""
    try:
        loaded = entry.load()
    except Exception as error:  # noqa: BLE001 - whatever a package of others raises when it is imported
        log.warning(
            "the feature sets of %s are left out: they can't be imported (%s: %s); update or remove the package",
            *(_origin(entry), type(error).__name__, error),
        )
        return ()
    return loaded if isinstance(loaded, Sequence) else (loaded,)


def _fault(feature_set: object, entry: EntryPoint, contributed: Mapping[str, FeatureSet]) -> str | None:
    """Why a package's feature set can't be used, or None."""
    if not isinstance(feature_set, FeatureSet):
        return f"{entry.value} of {_origin(entry)} is a {type(feature_set).__name__}, not a FeatureSet"
    if feature_set.name in _SHIPPED or feature_set.name in contributed:
        return f"the name is taken; {_origin(entry)} must give it another one"
    if not _NAME.fullmatch(feature_set.name) or _VERSIONED.fullmatch(feature_set.name):
        return (
            f"{_origin(entry)} must give it a name of lower-case letters, digits and underscores that does not end "
            "like a version (_v1)"
        )
    if feature_set.entity not in ENTITIES:
        return (
            f"{_origin(entry)} declares it for the unknown entity {feature_set.entity!r}; available: "
            f"{', '.join(ENTITIES)}"
        )
    return None


def _origin(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else f"the package {entry.dist.name} {entry.dist.version}"
