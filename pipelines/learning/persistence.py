"""Models as files: one skops file each, no pickle, and nothing loaded that is not the file that was recorded.

A model is written as dicts, numpy arrays and scikit-learn estimators; its records are rebuilt from `RECORDS`, so a
file can name no class beside those and `TRUSTED`. Not here: where models are kept and which one serves.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import fields, is_dataclass
from typing import Any

from matstrata.pipelines.learning.leakage import IntegrityError
from matstrata.pipelines.learning.models.boosting import Boosted
from matstrata.pipelines.learning.models.corrected import Corrected
from matstrata.pipelines.learning.models.kernel import Kernel, Places, Reach
from matstrata.pipelines.learning.models.network import Network, Networks
from matstrata.pipelines.learning.models.scales import Scale
from matstrata.pipelines.learning.models.source_models import SourceModel
from matstrata.pipelines.learning.neighbors import Neighbourhood
from matstrata.pipelines.learning.stack.difficulty import Difficulty
from matstrata.pipelines.learning.stack.domain import Domain
from matstrata.pipelines.learning.stack.ensemble import Ensemble, Stack
from matstrata.pipelines.learning.stack.intervals import Calibration
from matstrata.pipelines.learning.stack.level1 import Level1, Setting, View
from matstrata.pipelines.learning.stack.stacking import Meta

RECORDS = {
    record.__name__: record
    for record in (
        Boosted,
        Calibration,
        Corrected,
        Difficulty,
        Domain,
        Ensemble,
        Kernel,
        Level1,
        Meta,
        Neighbourhood,
        Network,
        Networks,
        Places,
        Reach,
        Scale,
        SourceModel,
        Stack,
    )
}
CHOICES: dict[str, type[Setting | View]] = {"Setting": Setting, "View": View}
# What skops does not trust by itself. The trees hold numbers only, but scikit-learn follows the indices in them
# unchecked: a forged tree could crash the process. Hence `loads` compares the hash before it reads anything.
TRUSTED = [
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
]


def dumps(model: Ensemble | SourceModel) -> bytes:
    """A model as the content of a file. Two dumps of one model differ (they hold times), the model in them does not."""
    import skops.io  # deferred: 1.5 s

    return skops.io.dumps(_to_plain(model), compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def loads(content: bytes, place: str, sha256: str) -> Ensemble | SourceModel:
    """A model from the content of the file in `place`.

    Raises:
        IntegrityError: when the content is not the recorded one (naming both hashes), or holds an untrusted type.
    """
    import skops.io  # deferred: 1.5 s
    from skops.io.exceptions import UntrustedTypesFoundException

    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise IntegrityError(
            f"{place}: sha256 is {found}, recorded is {sha256}: the file was changed or damaged; train the model again"
        )
    try:
        model = _from_plain(skops.io.loads(content, trusted=TRUSTED))
    except UntrustedTypesFoundException as error:
        raise IntegrityError(f"{place}: {error}; only models written by this program can be loaded") from error
    if not isinstance(model, Ensemble | SourceModel):
        raise IntegrityError(f"{place}: holds a {type(model).__name__}, not a model")
    return model


def _to_plain(value: Any) -> Any:
    if isinstance(value, Setting | View):
        return {"choice": type(value).__name__, "value": value.value}
    if is_dataclass(value):
        return {
            "record": type(value).__name__,
            "fields": {f.name: _to_plain(getattr(value, f.name)) for f in fields(value)},
        }
    if isinstance(value, tuple):
        return tuple(_to_plain(item) for item in value)
    if isinstance(value, frozenset):
        return {"names": sorted(value)}
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_from_plain(item) for item in value)
    if isinstance(value, dict):
        match value:
            case {"record": name, "fields": content} if name in RECORDS:
                return RECORDS[name](**{key: _from_plain(item) for key, item in content.items()})
            case {"choice": name, "value": content} if name in CHOICES:
                return CHOICES[name](content)
            case {"names": names}:
                return frozenset(names)
        raise IntegrityError(f"the model file holds an unknown record: {', '.join(map(str, value))}")
    return value
