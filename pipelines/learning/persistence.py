"""Models as files: one skops file each, without pickle, and loaded only if it is the file that was recorded.

A model is written as dicts, numpy arrays and scikit-learn estimators; its records are rebuilt from `RECORDS`, so a
file can name no other classes than those and `TRUSTED`. Not here: where models are stored and which one serves.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from matstrata.pipelines.learning.leakage import IntegrityError
from matstrata.pipelines.learning.models.boosting import Boosted
from matstrata.pipelines.learning.models.corrected import Corrected
from matstrata.pipelines.learning.models.kernel import BlockKernel, BlockScaler, KernelRidge
from matstrata.pipelines.learning.models.network import Network, Networks
from matstrata.pipelines.learning.models.scales import Scale
from matstrata.pipelines.learning.models.source_models import SourceModel
from matstrata.pipelines.learning.neighbors import Neighborhood
from matstrata.pipelines.learning.settings import View
from matstrata.pipelines.learning.stack.difficulty import Difficulty
from matstrata.pipelines.learning.stack.domain import Domain
from matstrata.pipelines.learning.stack.ensemble import Ensemble
from matstrata.pipelines.learning.stack.intervals import Calibration
from matstrata.pipelines.learning.stack.level1 import Level1
from matstrata.pipelines.learning.stack.stack import Stack
from matstrata.pipelines.learning.stack.stacking import Meta
from matstrata.schemas.terms import Kind, Setting

RECORDS = {
    record.__name__: record
    for record in (
        BlockKernel,
        BlockScaler,
        Boosted,
        Calibration,
        Corrected,
        Difficulty,
        Domain,
        Ensemble,
        KernelRidge,
        Level1,
        Meta,
        Neighborhood,
        Network,
        Networks,
        Scale,
        SourceModel,
        Stack,
    )
}
CHOICES: dict[str, type[StrEnum]] = {choice.__name__: choice for choice in (Kind, Setting, View)}
# What skops does not trust by itself. The trees hold numbers only, but scikit-learn follows the indices in them
# unchecked: a forged tree could crash the process. Hence `loads` compares the hash before it reads anything.
TRUSTED = [
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
]


def dumps(model: Ensemble | SourceModel) -> bytes:
    """Serialize a model. Two dumps of one model differ (they contain times), the models in them do not."""
    import skops.io  # deferred: 1.5 s

    return skops.io.dumps(_to_plain(model), compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def loads(content: bytes, place: str, sha256: str) -> Ensemble | SourceModel:
    """Load a model from the content of a file.

    Args:
        content: The content.
        place: Where the file is, for messages.
        sha256: The recorded hash of the content.

    Raises:
        IntegrityError: The content is not the recorded one, or contains an untrusted type.
    """
    import skops.io  # deferred: 1.5 s
    from skops.io.exceptions import UntrustedTypesFoundException

    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise IntegrityError(
            f"{place}: its sha256 is {actual}, but {sha256} was recorded: the file was changed or damaged; "
            "train the model again"
        )
    try:
        model = _from_plain(skops.io.loads(content, trusted=TRUSTED))
    except UntrustedTypesFoundException as error:
        raise IntegrityError(f"{place}: {error}; only models that Matstrata has written can be loaded") from error
    if not isinstance(model, Ensemble | SourceModel):
        raise IntegrityError(f"{place} contains {type(model).__name__} data, not a model")
    return model


def _to_plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
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
        raise IntegrityError(f"the model file contains an unknown record: {', '.join(map(str, value))}")
    return value
