"""Datasets: frozen training sets that people name, list, check and make again from their manifest.

Not here: selecting (`store.datasets.labelled`) and freezing (`store.datasets.training_sets`), nor publishing
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
from matstrata.store.datasets.labelled import Request, select_labelled
from matstrata.store.datasets.manifests import FORMAT
from matstrata.store.datasets.training_sets import TrainingSet, content_hash, freeze, read_frozen, select
from matstrata.store.lake.as_of import AsOf, resolve_as_of
from matstrata.store.lake.lake import Lake

_NAME = re.compile(r"(?![.\s-])[^/\\\x00-\x1f]{1,60}")  # it also names the folder and the file of an export


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a frozen training set. `file` and `rebuilt`: identical, or in a few words what is wrong."""

    training_set_id: str
    snapshot: int
    rows: int
    content_sha256: str
    file: str
    rebuilt: str

    @property
    def holds(self) -> bool:
        """Whether both the file and what the store makes anew are what was frozen."""
        return self.file == self.rebuilt == "identical"


def build(lake: Lake, name: str, request: Request, as_of: AsOf = None) -> TrainingSet:
    """Select a training set and freeze it under a name; the same request and data twice are one set.

    Raises:
        InputError: nothing matches, or the name would pass for something else.
    """
    if not _NAME.fullmatch(name) or name.endswith(".json"):
        raise InputError(
            f"{name[:70]!r} is no good name for a dataset: take 1 to 60 characters on one line without '/', not "
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


def manifest(lake: Lake, thing: str) -> dict[str, Any]:
    """The manifest of a frozen set: by name, by id or its beginning, or as a file written by an export.

    Raises:
        InputError: there is no such set or file, or the beginning fits several.
    """
    if thing.endswith(".json"):
        return _from_file(Path(thing))
    with lake.reader() as con:
        found = con.execute(
            "SELECT training_set_id, manifest FROM training_sets WHERE name = $thing "
            "OR starts_with(training_set_id, $thing) ORDER BY name = $thing DESC NULLS LAST, created_at DESC",
            {"thing": thing},
        ).fetchall()
        named = con.execute("SELECT count(*) FROM training_sets WHERE name = ?", [thing]).fetchone()
    ids = dict.fromkeys(identity for identity, _ in found)
    if not ids:
        raise InputError(f"no dataset {thing!r} in the store; 'matstrata dataset list' shows what there is")
    assert named is not None
    if not named[0] and len(ids) > 1:
        raise InputError(f"{thing!r} is the beginning of {len(ids)} ids: {', '.join(ids)}; give more of it")
    if found[0][1] is None:
        raise InputError(
            f"{thing!r} was frozen before manifests were kept; build it anew with 'matstrata dataset build'"
        )
    return dict(json.loads(found[0][1]))


def load(lake: Lake, manifest: Mapping[str, Any]) -> pa.Table:
    """The frozen table; where its file is lost or damaged, made anew from the manifest.

    Raises:
        WorkError: the file is lost, and the store gives something else now.
    """
    frozen = read_frozen(lake, manifest["training_set_id"], manifest["file_sha256"])
    if isinstance(frozen, pa.Table):
        return frozen
    anew = rebuild(lake, manifest)
    if anew.content_sha256 != manifest["content_sha256"]:
        raise WorkError(
            f"the file of training set {manifest['training_set_id'][:12]} is {frozen}, and the store gives "
            f"{anew.content_sha256[:12]} where {manifest['content_sha256'][:12]} was frozen; restore a backup"
        )
    return anew.table


def rebuild(lake: Lake, manifest: Mapping[str, Any]) -> TrainingSet:
    """The training set made anew from the store as it was on the manifest's snapshot.

    Raises:
        InputError: the store has no such snapshot any more, or holds nothing of the kind on it.
    """
    request = manifest["request"]
    with lake.reader(resolve_as_of(lake, manifest["snapshot"])) as con:
        if "source" in request:
            return select(con, **request)
        return select_labelled(con, None, Request.of(**request))


def verify(lake: Lake, manifest: Mapping[str, Any]) -> Verified:
    """Hold the frozen file, and the set made anew from the store, against the manifest."""
    wanted = manifest["content_sha256"]
    frozen = read_frozen(lake, manifest["training_set_id"], manifest["file_sha256"])
    if isinstance(frozen, pa.Table):
        file = "identical" if content_hash(frozen).hex() == wanted else "different"
    else:
        file = frozen
    try:
        rebuilt = "identical" if rebuild(lake, manifest).content_sha256 == wanted else "different"
    except InputError as error:
        rebuilt = str(error)
    return Verified(manifest["training_set_id"], manifest["snapshot"], manifest["rows"], wanted, file, rebuilt)


def _from_file(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read as a manifest: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{file} is no manifest of a training set: it lacks the format {FORMAT!r}")
    return found
