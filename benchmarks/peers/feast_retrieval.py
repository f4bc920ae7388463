"""Feast's side of `retrieval_vs_feast.py`, run in its own environment.

Arguments: a folder with features.parquet (material_id, event_timestamp, descriptors) and request.parquet (material_id,
event_timestamp); answer.parquet and seconds.json are written there.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64


def main(folder: Path, repeats: int) -> None:
    keys = ("material_id", "event_timestamp")
    descriptors = [name for name in pq.read_schema(folder / "features.parquet").names if name not in keys]
    config = RepoConfig(
        project="benchmark",
        registry=str(folder / "registry.db"),
        provider="local",
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    material = Entity(name="material", join_keys=["material_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="magpie",
        entities=[material],
        ttl=timedelta(days=36_500),
        schema=[Field(name=name, dtype=Float64) for name in descriptors],
        source=FileSource(path=str(folder / "features.parquet"), timestamp_field="event_timestamp"),
    )
    store.apply([material, view])
    request = pd.read_parquet(folder / "request.parquet")
    columns = [f"magpie:{name}" for name in descriptors]
    seconds = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = store.get_historical_features(entity_df=request, features=columns).to_arrow()
        seconds.append({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    pq.write_table(answer, folder / "answer.parquet")
    (folder / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
