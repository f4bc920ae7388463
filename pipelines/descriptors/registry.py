"""The feature sets: every one is declared here, once.

Not here: how descriptors are computed (one module per set), nor where they are kept (`store.features.sets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from matstrata.pipelines.descriptors.columns import DescriptorColumn
from matstrata.pipelines.descriptors.composition import hellinger, magpie, stoichiometry, valence
from matstrata.schemas import elements
from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import REAL, Column
from matstrata.store.features.sets import FeatureSet

_HERE = Path(__file__).parent / "composition"
_SHARED = (_HERE / "flat.py", Path(elements.__file__))


def _column(column: DescriptorColumn) -> Column:
    unit = None if column.unit == "dimensionless" else column.unit
    peer = f" (matminer: {column.matminer})" if column.matminer else ""
    return Column(column.name, REAL, f"{column.description}{peer}", unit)


_SETS = (
    FeatureSet(
        name="magpie",
        description="132 statistics of elemental properties over the composition (Ward et al. 2016)",
        columns=tuple(map(_column, magpie.COLUMNS)),
        compute=magpie.compute,
        code=(_HERE / "magpie.py", *_SHARED),
        data_files=magpie.data_files(),
        libraries=("numpy",),
        constants="element tables of Magpie, doi:10.1038/npjcompumats.2016.28, as matminer carries them",
    ),
    FeatureSet(
        name="stoichiometry",
        description="number of elements and p-norms of the atomic fractions (Ward et al. 2016)",
        columns=tuple(map(_column, stoichiometry.COLUMNS)),
        compute=stoichiometry.compute,
        code=(_HERE / "stoichiometry.py", *_SHARED),
        libraries=("numpy",),
    ),
    FeatureSet(
        name="hellinger",
        description="square roots of the atomic fractions of 103 elements: Hellinger coordinates of the composition",
        columns=tuple(map(_column, hellinger.COLUMNS)),
        compute=hellinger.compute,
        code=(_HERE / "hellinger.py", *_SHARED),
        libraries=("numpy",),
    ),
    FeatureSet(
        name="valence",
        description="charge balance by usual oxidation states, octet rule, ionic character",
        columns=tuple(map(_column, valence.COLUMNS)),
        compute=valence.compute,
        code=(_HERE / "valence.py", *_SHARED),
        data_files=valence.data_files(),
        libraries=("numpy",),
        constants="oxidation states, Pauling's and Allen's electronegativities among the same element tables of Magpie",
    ),
)

FEATURE_SETS: Mapping[str, FeatureSet] = MappingProxyType({feature_set.name: feature_set for feature_set in _SETS})


def get_feature_set(name: str) -> FeatureSet:
    """The feature set called `name`.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    try:
        return FEATURE_SETS[name]
    except KeyError:
        raise InputError(f"unknown feature set {name!r}; known: {', '.join(FEATURE_SETS)}") from None
