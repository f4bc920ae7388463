"""Speed of the feature store: Magpie from formulas, a request of a million rows, opening and counting.

Run as `python benchmarks/feature_store.py`. The materials are the 341,608 of the OQMD if MATSTRATA_MIRROR has its
three files (see schemas/sources/oqmd_gaps.yaml), or else the 34,683 of the transport database in matminer's wheel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from formula_parsing import bundled_formulas, table_formulas

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.schemas.composition import parse_formula
from matstrata.schemas.contracts import load_contracts
from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store.features.sets import Materialized, materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings

_BIG_REQUEST = 1_000_000

_REQUEST = """
import json, resource, sys, time
import numpy as np
import pyarrow as pa
from matstrata.store import FeatureStore
with FeatureStore.open(sys.argv[1]) as store:
    ids = store.sql("SELECT material_id FROM materials ORDER BY ALL")["material_id"].combine_chunks()
    chosen = np.random.default_rng(0).integers(0, len(ids), int(sys.argv[2]))
    request = ids.take(pa.array(chosen))
    seconds = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = store.features_for(request, ["magpie"])
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        assert answer.table["entity"].equals(pa.chunked_array([request]))
        assert answer.table["reason"].null_count == len(request)
        del answer
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"first": seconds[0], "best": min(seconds), "peak_gib": peak}))
"""
_OPEN = """
import sys, time
started, cpu = time.perf_counter(), time.process_time()
from matstrata.store import FeatureStore
with FeatureStore.open(sys.argv[1]) as store:
    store.sql("SELECT count(*) FROM materials")
print(time.perf_counter() - started, time.process_time() - cpu)
"""


def formulas() -> list[str]:
    """Read the formulas of the OQMD, or those that come with matminer."""
    settings = Settings()
    contract = load_contracts([])["oqmd_gaps"]
    try:
        files = locate(contract.files, cache=settings.cache, mirrors=settings.mirror)
    except InputError as error:
        print(f"The OQMD is not available: {error}", file=sys.stderr)
        return sorted(set(bundled_formulas()))
    return [formula for file in files for formula in table_formulas(Path(file.path))]


def fill(lake: Lake, written: list[str]) -> Materialized:
    """Fill a store with materials and their Magpie descriptors, from formulas as written."""
    lake.init()
    compositions = {c.material_id: c for c in (parse_formula(each, max_amount=float("inf")) for each in written)}
    columns = {
        "material_id": list(compositions),
        "elements": [c.elements for c in compositions.values()],
        "fractions": [c.fractions for c in compositions.values()],
        "n_elements": [c.n_elements for c in compositions.values()],
        "group_id": [c.group_id for c in compositions.values()],
        "chemical_system": [c.chemical_system for c in compositions.values()],
    }
    schema = TABLES["materials"].arrow_schema
    with lake.commit("materials") as transaction:
        transaction.insert("materials", pa.table({name: columns[name] for name in schema.names}, schema=schema))
    return materialize(lake, get_feature_set("magpie"))


def run(code: str, *arguments: str) -> str:
    """Run code in a new Python process, and return what it prints."""
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Print the measurements."""
    written = formulas()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        wall, cpu = time.perf_counter(), time.process_time()
        materialized = fill(Lake(root), written)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{materialized.rows:,} compositions from formulas to committed Magpie: "
            f"{wall:.1f} s ({cpu:.1f} s of processor)"
        )
        timing = json.loads(run(_REQUEST, str(root), str(_BIG_REQUEST)))
        print(
            f"{_BIG_REQUEST:,} rows x 132 as Arrow: {timing['first'][0]:.2f} s at first, {timing['best'][0]:.2f} s at "
            f"best ({timing['best'][1]:.2f} s of processor), peak memory {timing['peak_gib']:.1f} GiB"
        )
        times = [tuple(map(float, run(_OPEN, str(root)).split())) for _ in range(5)]
        print(f"import store, open, count: {min(times)[0]:.2f} s ({min(times)[1]:.2f} s of processor)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
