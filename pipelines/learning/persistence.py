"""Models on disk: one skops file each, no pickle, and nothing loaded that is not the file that was recorded.

A model is written as dicts, numpy arrays and scikit-learn estimators; its records are rebuilt from `RECORDS`, so a
file can name no class beside those and `TRUSTED`. Not here: where models are kept and which one serves.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pipelines.learning.difficulty import Difficulty
from pipelines.learning.domain import Domain
from pipelines.learning.ensemble import Ensemble, Stack
from pipelines.learning.errors import IntegrityError
from pipelines.learning.intervals import Calibration
from pipelines.learning.level1 import Level1, Setting, View
from pipelines.learning.neighbours import Neighbourhood
from pipelines.learning.scales import Scale
from pipelines.learning.source_models import SourceModel
from pipelines.learning.stacking import Meta

RECORDS = {
    record.__name__: record
    for record in (
        Calibration,
        Difficulty,
        Domain,
        Ensemble,
        Level1,
        Meta,
        Neighbourhood,
        Scale,
        SourceModel,
        Stack,
    )
}
CHOICES: dict[str, type[Setting | View]] = {"Setting": Setting, "View": View}
# What skops does not trust by itself. The trees hold numbers only, but scikit-learn follows the indices in them
# unchecked: a forged tree could crash the process. Hence `load` compares the hash before it reads anything.
TRUSTED = [
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


def save(model: Ensemble | SourceModel, path: Path) -> str:
    """Write a model and return the sha256 of the file, which `load` will ask for.

    The file appears whole or not at all. Its bytes differ from one save to the next (they hold times), the model in
    it does not.
    """
    import skops.io  # deferred: 1.5 s

    content = skops.io.dumps(_to_plain(model), compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, sha256: str) -> Ensemble | SourceModel:
    """Read a model back.

    Raises:
        IntegrityError: when the file is not the recorded one (naming both hashes), or holds an untrusted type.
        FileNotFoundError: when there is no such file.
    """
    import skops.io  # deferred: 1.5 s
    from skops.io.exceptions import UntrustedTypesFoundException

    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise IntegrityError(
            f"{path}: sha256 is {found}, recorded is {sha256}: the file was changed or damaged; train the model again"
        )
    try:
        model = _from_plain(skops.io.loads(content, trusted=TRUSTED))
    except UntrustedTypesFoundException as error:
        raise IntegrityError(f"{path}: {error}; only models written by this program can be loaded") from error
    if not isinstance(model, Ensemble | SourceModel):
        raise IntegrityError(f"{path}: holds a {type(model).__name__}, not a model")
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
