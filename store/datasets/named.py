"""Datasets: frozen training sets that people name, list, check and make again from their manifest.

Not here: selecting (`store.datasets.labelled`) and freezing (`store.datasets.frozen`), nor publishing
(`pipelines.serving.publishing`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.datasets.frozen import freeze, read_frozen
from matstrata.store.datasets.labelled import Request, select_labelled
from matstrata.store.datasets.manifests import MANIFEST_FORMAT
from matstrata.store.datasets.training_sets import TrainingSet, content_hash, select
from matstrata.store.lake.as_of import AsOf, resolve_as_of
from matstrata.store.lake.lake import Lake

_DATASET_NAME = re.compile(r"(?![.\s-])[^/\\\x00-\x1f]{1,60}")  # it also names the folder and the file of an export


@dataclass(frozen=True, slots=True)
class Verified:
    """The check of a frozen training set. `file` and `rebuilt` are 'identical', or say what is wrong."""

    training_set_id: str
    snapshot: int
    rows: int
    content_sha256: str
    file: str
    rebuilt: str

    @property
    def holds(self) -> bool:
        """Whether both the file and the set made again from the store are what was frozen."""
        return self.file == self.rebuilt == "identical"


def build(lake: Lake, name: str, request: Request, as_of: AsOf = None) -> TrainingSet:
    """Select a training set and freeze it under a name; the same request and data twice are one set.

    Raises:
        InputError: Nothing matches, or the name can't name a dataset.
    """
    if not _DATASET_NAME.fullmatch(name) or name.endswith(".json"):
        raise InputError(
            f"{name[:70]!r} can't name a dataset: use 1 to 60 characters on one line without '/', not "
            "beginning with a space, dot or dash, nor ending with '.json'"
        )
    with lake.reader(resolve_as_of(lake, as_of)) as con:
        training_set = select_labelled(con, None, request)  # what is frozen comes from the tables themselves
    freeze(lake, None, training_set, name)
    return training_set


def listing(lake: Lake) -> list[dict[str, Any]]:
    """All frozen training sets, the newest first: those with a name and those of ensembles."""
    with lake.reader() as con:
        return (
            con.execute(
                "SELECT name, ensemble, training_set_id, properties, sources, features, snapshot, rows, created_at "
                "FROM training_sets ORDER BY created_at DESC, training_set_id"
            )
            .to_arrow_table()
            .to_pylist()
        )


def manifest(lake: Lake, reference: str) -> dict[str, Any]:
    """The manifest of a frozen set.

    Args:
        lake: The store.
        reference: The name of the set, its id or the beginning of that, or a manifest file that an export wrote.

    Raises:
        InputError: There is no such set or file, or several ids begin so.
    """
    if reference.endswith(".json"):
        return _from_file(Path(reference))
    with lake.reader() as con:
        rows = con.execute(
            "SELECT training_set_id, manifest FROM training_sets WHERE name = $reference "
            "OR starts_with(training_set_id, $reference) ORDER BY name = $reference DESC NULLS LAST, created_at DESC",
            {"reference": reference},
        ).fetchall()
        named = con.execute("SELECT count(*) FROM training_sets WHERE name = ?", [reference]).fetchone()
    ids = dict.fromkeys(identity for identity, _ in rows)
    if not ids:
        raise InputError(f"no dataset {reference!r} in the store; 'matstrata dataset list' shows its datasets")
    assert named is not None
    if not named[0] and len(ids) > 1:
        raise InputError(f"{len(ids)} ids begin with {reference!r}: {', '.join(ids)}; give more characters")
    if rows[0][1] is None:
        raise InputError(
            f"{reference!r} was frozen by a version that wrote no manifests; "
            "build it again with 'matstrata dataset build'"
        )
    return dict(json.loads(rows[0][1]))


def load(lake: Lake, manifest: Mapping[str, Any]) -> pa.Table:
    """The frozen table; where its file is lost or damaged, made again from the manifest.

    Raises:
        WorkError: The file is lost or damaged, and the store gives a different table now.
    """
    frozen = read_frozen(lake, manifest["training_set_id"], manifest["file_sha256"])
    if isinstance(frozen, pa.Table):
        return frozen
    rebuilt = rebuild(lake, manifest)
    if rebuilt.content_sha256 != manifest["content_sha256"]:
        raise WorkError(
            f"the file of training set {manifest['training_set_id'][:12]} is {frozen}, and the store gives "
            f"{rebuilt.content_sha256[:12]} where {manifest['content_sha256'][:12]} was frozen; restore a backup"
        )
    return rebuilt.table


def rebuild(lake: Lake, manifest: Mapping[str, Any]) -> TrainingSet:
    """The training set made again from the store as of the manifest's snapshot.

    Raises:
        InputError: The store has no such snapshot any more, or nothing on it matches.
    """
    request = manifest["request"]
    with lake.reader(resolve_as_of(lake, manifest["snapshot"])) as con:
        if "source" in request:
            return select(con, **request)
        return select_labelled(con, None, Request.of(**request))


def verify(lake: Lake, manifest: Mapping[str, Any]) -> Verified:
    """Compare the frozen file, and the set made again from the store, with the manifest."""
    content_sha256 = manifest["content_sha256"]
    frozen = read_frozen(lake, manifest["training_set_id"], manifest["file_sha256"])
    if isinstance(frozen, pa.Table):
        file = "identical" if content_hash(frozen).hex() == content_sha256 else "different"
    else:
        file = frozen
    try:
        rebuilt = "identical" if rebuild(lake, manifest).content_sha256 == content_sha256 else "different"
    except InputError as error:
        rebuilt = str(error)
    return Verified(manifest["training_set_id"], manifest["snapshot"], manifest["rows"], content_sha256, file, rebuilt)


def _from_file(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read as a manifest: {error}") from error
    if not isinstance(content, dict) or content.get("format") != MANIFEST_FORMAT:
        raise InputError(f"{file} is not a manifest of a training set: it lacks the format {MANIFEST_FORMAT!r}")
    return content
