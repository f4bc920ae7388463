"""100,000 rows x 132 descriptors compared with Feast's DuckDB offline store: the same values, and the ratio of speeds.

Run as `python benchmarks/retrieval_vs_feast.py`. Feast has its own environment (created once, in .venv/feast),
and the same descriptors as a Parquet file with one timestamp; its point-in-time join corresponds to our snapshots.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feature_store import fill, formulas

from matstrata.store import FeatureStore
from matstrata.store.lake.lake import Lake

_FEAST = "feast[duckdb]==0.67.0"
_ROWS = 100_000
_REPEATS = 5
_HERE = Path(__file__).parent


def feast_python() -> Path:
    """Return Feast's Python, in an environment that is created if it is missing."""
    folder = _HERE.parent / ".venv" / "feast"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", _FEAST], check=True)
        (folder / "ready").touch()
    return python


def main() -> int:
    """Print the measurements; return 1 if any value differs."""
    python = feast_python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        materialized = fill(Lake(folder / "store"), formulas())
        with FeatureStore.open(folder / "store") as store:
            features = store.features("magpie")
            moment = pa.scalar(1_700_000_000_000_000, pa.timestamp("us", tz="UTC"))
            stamped = features.add_column(1, "event_timestamp", pa.repeat(moment, len(features)))
            pq.write_table(stamped, folder / "features.parquet")
            rows = np.random.default_rng(0).permutation(len(features))[:_ROWS]
            material_ids = features["material_id"].take(pa.array(rows)).combine_chunks()
            later = pa.scalar(1_800_000_000_000_000, pa.timestamp("us", tz="UTC"))
            request = pa.table({"material_id": material_ids, "event_timestamp": pa.repeat(later, len(material_ids))})
            pq.write_table(request, folder / "request.parquet")
            del features, stamped
            ours = []
            for _ in range(_REPEATS):
                wall, cpu = time.perf_counter(), time.process_time()
                answer = store.features_for(material_ids, ["magpie"]).to_arrow()
                ours.append((time.perf_counter() - wall, time.process_time() - cpu))
        subprocess.run([python, _HERE / "peers" / "feast_retrieval.py", folder, "3"], check=True)
        theirs = [(each["wall"], each["cpu"]) for each in json.loads((folder / "seconds.json").read_text())]
        peer = pq.read_table(folder / "answer.parquet")

    at = pc.index_in(answer["material_id"], value_set=peer["material_id"].combine_chunks())
    peer = peer.take(at)
    names = [name for name in answer.column_names if name not in ("entity", "material_id", "reason")]
    same = len(peer) == len(answer) and all(
        np.array_equal(answer[name].to_numpy(), peer[name].to_numpy(), equal_nan=True) for name in names
    )
    (wall, cpu), (peer_wall, peer_cpu) = min(ours), min(theirs)
    print(
        f"{len(answer):,} rows x {len(names)} of a store of {materialized.rows:,} materials, as Arrow; "
        f"best of {_REPEATS} and 3"
    )
    print(f"matstrata: {wall:.2f} s ({cpu:.2f} s of processor); at first {ours[0][0]:.2f} s")
    print(f"feast 0.67, DuckDB offline store: {peer_wall:.2f} s ({peer_cpu:.2f} s of processor)")
    print(f"ratio {peer_wall / wall:.1f} ({peer_cpu / cpu:.1f} in processor time); equal: {same}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
