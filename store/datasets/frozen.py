"""Frozen training sets: a Parquet file each, and a row of `training_sets` with the manifest.

Not here: selecting (`store.datasets.training_sets`, `store.datasets.labelled`), nor what people do with frozen sets by
name (`store.datasets.named`).
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from matstrata.schemas.tables import TABLES
from matstrata.store.datasets.manifests import manifest_of
from matstrata.store.datasets.training_sets import TrainingSet
from matstrata.store.lake.lake import Lake


def freeze(lake: Lake, ensemble: str | None, training_set: TrainingSet, name: str | None = None) -> None:
    """Write the training set to a file and, with its manifest, to the table `training_sets`.

    Nothing happens where it is frozen already; a lost file is written again.

    Args:
        lake: The store.
        ensemble: The property whose ensemble it serves, if any.
        training_set: The training set.
        name: A name that a person gives it.
    """
    identity = training_set.training_set_id
    with lake.reader() as con:
        registered = con.execute(
            "SELECT 1 FROM training_sets WHERE training_set_id = ? AND ensemble IS NOT DISTINCT FROM ? "
            "AND name IS NOT DISTINCT FROM ?",
            [identity, ensemble, name],
        ).fetchone()
    path = training_set_path(identity)
    if registered and lake.files.exists(path):
        return
    file_sha256 = write_frozen(lake, identity, training_set.table)
    if registered:
        return
    with lake.reader(training_set.snapshot) as con:
        manifest = manifest_of(con, training_set) | {"file_sha256": file_sha256}
    row = {
        "training_set_id": identity,
        "ensemble": ensemble,
        "name": name,
        "source": training_set.source,
        "sources": [source["source"] for source in manifest["sources"]],
        "properties": list(training_set.properties),
        "features": list(training_set.features),
        "snapshot": training_set.snapshot,
        "rows": training_set.table.num_rows,
        "path": path,
        "manifest": json.dumps(manifest, sort_keys=True, ensure_ascii=False),
        "created_at": datetime.now(UTC),
    }
    with lake.commit(f"freeze training set {name or f'{ensemble}/{training_set.source}'}") as transaction:
        transaction.insert("training_sets", pa.Table.from_pylist([row], schema=TABLES["training_sets"].arrow_schema))


def training_set_path(training_set_id: str) -> str:
    """The name of the frozen file of a training set in `Lake.files`."""
    return f"training_sets/{training_set_id}.parquet"


def write_frozen(lake: Lake, training_set_id: str, table: pa.Table) -> str:
    """Write the frozen file, all or nothing. Returns its SHA-256."""
    content = io.BytesIO()
    pq.write_table(table.combine_chunks(), content, compression="zstd")
    lake.files.write(training_set_path(training_set_id), content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def read_frozen(lake: Lake, training_set_id: str, file_sha256: str | None) -> pa.Table | str:
    """The frozen table; or, where its file does not have the given SHA-256 (None: any), 'lost' or 'damaged'."""
    try:
        content = lake.files.read(training_set_path(training_set_id))
    except FileNotFoundError:
        return "lost"
    if file_sha256 is not None and hashlib.sha256(content).hexdigest() != file_sha256:
        return "damaged"
    return pq.read_table(pa.BufferReader(content))
