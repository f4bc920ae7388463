"""Feature sets: a version rises when results could differ, and only then; no row is computed twice."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import Column
from matstrata.store import FeatureStore
from matstrata.store.features import sets
from matstrata.store.features.sets import FeatureSet, materialize
from matstrata.store.features.versions import latest_version, resolve
from matstrata.store.records.materials import update_materials

CODE = '''
import numpy as np
def sizes(lists):
    """How many."""
    return [len(x) for x in lists]
def compute(elements, fractions):
    lists = fractions.to_pylist()
    return np.array([[max(x), n] for x, n in zip(lists, sizes(lists))]).reshape(-1, 2), [None] * len(lists)
'''
LARGEST, COUNT = Column("largest", "double", "largest fraction", "1"), Column("count", "double", "number of elements")


class Counter:
    """Descriptors that remember which materials they were asked for."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.requests: list[list[str]] = []

    def __call__(self, elements, fractions):
        systems = ["-".join(symbols) for symbols in elements.to_pylist()]
        self.requests.append(systems)
        matrix = np.array([[max(f), len(f)] for f in fractions.to_pylist()]).reshape(-1, 2)
        return matrix, [f"no data for {self.refuse}" if self.refuse and self.refuse in s else None for s in systems]


Make = Callable[..., FeatureSet]


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A feature set of two columns whose code is a file of the test's own."""

    def make(compute: Counter | None = None, *, code: str = CODE, data: str | None = None, **fields: Any) -> FeatureSet:
        folder = tmp_path / f"code{len(list(tmp_path.glob('code*')))}"  # a changed file is a new process's file
        folder.mkdir()
        (folder / "sizes.py").write_text(code)
        if data is not None:
            (folder / "table.csv").write_text(data)
        given = {
            "name": "sizes",
            "description": "two numbers",
            "columns": (LARGEST, COUNT),
            "compute": compute or _module(folder / "sizes.py").compute,
            "data_files": (folder / "table.csv",) if data is not None else (),
        }
        return FeatureSet(**given | fields)

    return make


@pytest.fixture
def materials(lake, put):
    put("lab", [("r1", "GaN", 3.4), ("r2", "Fe2O3", 2.2), ("r3", "Si", 1.1)])
    update_materials(lake)


def table(lake, name: str) -> dict[str, tuple]:
    with lake.reader() as con:
        return {row[0]: row[1:] for row in con.execute(f"SELECT * FROM features.{name}").fetchall()}


pytestmark = pytest.mark.usefixtures("materials")


def test_every_material_gets_its_descriptors(lake, make):
    done = materialize(lake, make())
    assert (done.label, done.computed, done.failed, done.rows) == ("sizes_v1", 3, 0, 3)
    assert table(lake, "sizes_v1") == {"GaN": (0.5, 2.0), "Fe2O3": (0.6, 2.0), "Si": (1.0, 1.0)}


def test_a_second_time_nothing_is_computed(lake, make):
    counter = Counter()
    first = materialize(lake, make(counter))
    again = materialize(lake, make(counter))
    assert len(counter.requests) == 1
    assert (again.version, again.computed, again.rows, again.snapshot) == (1, 0, 3, first.snapshot)
    assert lake.snapshot() == first.snapshot


def test_only_new_materials_are_computed(lake, make, put):
    counter = Counter()
    materialize(lake, make(counter))
    put("other", [("r1", "InP", 1.3), ("r2", "GaN", 3.4)])
    update_materials(lake)
    done = materialize(lake, make(counter))
    assert counter.requests == [["Fe-O", "Ga-N", "Si"], ["In-P"]]
    assert (done.version, done.computed, done.rows) == (1, 1, 4)


def test_a_material_that_vanishes_and_returns_is_not_computed_again(lake, make, put):
    counter = Counter()
    materialize(lake, make(counter))
    for rows in ([("r1", "GaN", 3.4)], [("r1", "GaN", 3.4), ("r3", "Si", 1.1)]):
        put("lab", rows)
        update_materials(lake)
        assert materialize(lake, make(counter)).computed == 0
    assert len(counter.requests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"code": CODE.replace("len(x)", "len(x) + 1")},
        {"code": CODE + "sizes.factor = 2\n"},
        {"parameters": {"mean": "geometric"}},
        {"columns": (COUNT, LARGEST)},
        {"columns": (LARGEST, Column("number", "double", "number of elements"))},
        {"data": "Ga,31\nN,8\n"},
    ],
    ids=["code", "more code", "parameters", "order of columns", "name of a column", "data"],
)
def test_the_version_rises_when_results_could_differ(lake, make, change):
    sound = {"data": "Ga,31\nN,7\n"}
    assert materialize(lake, make(**sound)).version == 1
    done = materialize(lake, make(**sound | change))
    assert (done.version, done.computed) == (2, 3)
    assert len(table(lake, "sizes_v1")) == len(table(lake, "sizes_v2")) == 3
    assert materialize(lake, make(**sound)).version == 1, "what was computed once is found again"


def test_after_a_change_is_taken_back_the_name_stands_for_the_version_of_the_code(lake, make):
    changed = {"parameters": {"mean": "geometric"}}
    for fields, version in (({}, 1), (changed, 2), ({}, 1), (changed, 2)):
        assert materialize(lake, make(**fields)).version == version
        with lake.reader() as con:
            assert resolve(con, ["sizes"]) == (f"sizes_v{version}",)
    before = lake.snapshot()
    materialize(lake, make(**changed))
    assert lake.snapshot() == before, "what is current already is not written again"
    with FeatureStore.open(lake.root) as store:
        declared = {"sizes": make()}
        assert store.features_for(["GaN"], ["sizes"], new=declared).features == ("sizes_v1",), "the code decides"
        assert store.features_for(["GaN"], ["sizes"]).features == ("sizes_v2",)


@pytest.mark.parametrize(
    "change",
    [
        {"code": CODE.replace("How many.", "The number of elements.")},
        {"code": "# a remark\n\n\n" + CODE.replace("lists):", "lists):  # of symbols")},
        {"code": CODE.replace("[len(x) for x in lists]", "[\n        len(x)\n        for x in lists\n    ]")},
        {"description": "two other words"},
        {"columns": (LARGEST, Column("count", "double", "how many elements", "1"))},
    ],
    ids=["docstring", "comment", "layout", "description", "definition"],
)
def test_the_version_stays_when_results_stay(lake, make, change):
    materialize(lake, make())
    done = materialize(lake, make(**change))
    assert (done.version, done.computed) == (1, 0)


def test_a_failure_has_a_reason_and_is_not_tried_again(lake, make):
    counter = Counter(refuse="Si")
    done = materialize(lake, make(counter))
    assert (done.computed, done.failed, done.rows) == (2, 1, 2)
    with lake.reader() as con:
        failures = con.execute("SELECT name, version, entity_id, reason FROM feature_failures").fetchall()
    assert failures == [("sizes", 1, "Si", "no data for Si")]
    before = lake.snapshot()
    assert materialize(lake, make(counter)).computed == 0
    assert (len(counter.requests), lake.snapshot()) == (1, before)


def test_a_new_version_tries_again(lake, make):
    materialize(lake, make(Counter(refuse="Si")))
    done = materialize(lake, make(parameters={"fixed": True}))
    assert (done.version, done.computed, done.failed) == (2, 3, 0)


def test_a_crash_while_computing_leaves_the_store_as_it_was(lake, make):
    def compute(elements, fractions):
        raise MemoryError

    before = lake.snapshot()
    with pytest.raises(MemoryError):
        materialize(lake, make(compute))
    assert lake.snapshot() == before
    assert materialize(lake, make()).version == 1


def test_columns_carry_definition_and_unit(lake, make):
    materialize(lake, make())
    with lake.reader() as con:
        comments = con.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'sizes_v1' AND comment IS NOT NULL"
        ).fetchall()
    assert dict(comments) == {"largest": "largest fraction [1]", "count": "number of elements"}


def test_the_register(lake, make):
    materialize(lake, make(parameters={"b": 1, "a": 2}))
    with lake.reader() as con:
        (row,) = con.execute("FROM feature_sets").to_arrow_table().to_pylist()
    assert (row["name"], row["version"], row["entity"], row["rows"]) == ("sizes", 1, "material", 3)
    assert row["columns"] == ["largest", "count"]
    assert row["parameters"] == '{"a": 2, "b": 1}'


def test_names_become_versions(lake, make):
    for parameters in ({}, {"a": 1}):
        materialize(lake, make(parameters=parameters))
    with lake.reader() as con:
        assert latest_version(con, "sizes") == 2
        assert resolve(con, ["sizes", "sizes_v1"]) == ("sizes_v2", "sizes_v1")
        for unknown in ("magpie", "sizes_v3", "sizes_v", "sizes'; --"):
            with pytest.raises(InputError, match="it has: sizes"):
                resolve(con, [unknown])


def test_before_the_first_set(lake):
    with lake.reader() as con, pytest.raises(InputError, match="none yet"):
        latest_version(con, "sizes")


def test_a_library_that_changes_values_counts(lake, make, monkeypatch):

    assert materialize(lake, make(libraries=("numpy",))).version == 1
    assert materialize(lake, make(libraries=("numpy",))).computed == 0
    monkeypatch.setattr(sets, "installed_version", lambda library: "99.0")
    assert materialize(lake, make(libraries=("numpy",))).version == 2


def test_a_failure_is_tried_again_when_its_inputs_change_or_when_told_to(lake, make):
    counter = Counter(refuse="Si")
    materialize(lake, make(counter))
    with lake.commit("other inputs") as transaction:
        transaction.con.execute(
            "UPDATE materials SET fractions = [0.5, 0.5], elements = ['Si', 'C'] WHERE material_id = 'Si'"
        )
    assert (materialize(lake, make(counter)).failed, counter.requests[-1]) == (1, ["Si-C"])
    assert materialize(lake, make(counter)).failed == 0, "not a third time"
    assert materialize(lake, make(counter), retry=True).failed == 1
    counter.refuse = ""
    assert materialize(lake, make(counter), retry=True).computed == 1
    with lake.reader() as con:
        assert con.execute("SELECT count(*) FROM feature_failures").fetchone() == (0,)


def test_what_an_earlier_snapshot_held_can_be_described(lake, make, put):
    then = lake.snapshot()
    put("lab", [("r1", "GaN", 3.4)])
    update_materials(lake)
    assert materialize(lake, make()).rows == 1
    done = materialize(lake, make(), snapshot=then)
    assert (done.computed, done.rows, done.version) == (2, 3, 1)


def test_structures_are_described_by_their_own_ids(lake, make):
    def compute(elements, fractions, volume_per_atom, density, cif):
        volumes = volume_per_atom.to_numpy(zero_copy_only=False)
        return np.stack([volumes, 1 / volumes], axis=1), [None] * len(volumes)

    with lake.commit("structures") as transaction:
        for name, material, volume in (("s1", "GaN", 11.0), ("s2", "GaN", 12.0)):
            transaction.con.execute(
                "INSERT INTO structures (structure_id, material_id, volume_per_atom) VALUES (?, ?, ?)",
                [name, material, volume],
            )
    done = materialize(lake, make(compute, entity="structure"))
    assert done.rows == 2
    with FeatureStore.open(lake.root) as store:
        features = store.features_for(["s2", "GaN", "s1"], ["sizes"]).table
    assert features["structure_id"].to_pylist() == ["s2", "GaN", "s1"]
    assert features["largest"].to_pylist() == [12.0, None, 11.0]
    assert features["reason"].to_pylist() == [None, "the store holds no structure GaN", None]


_KILLED = """
import sys, time
from pathlib import Path
import numpy as np
import matstrata.store.features.sets as f
from matstrata.schemas.tables import Column
from matstrata.store.lake.lake import Lake
f.CHUNK = 1
def compute(elements, fractions):
    time.sleep(0.2)
    return np.array([[float(len(x))] for x in fractions.to_pylist()]).reshape(-1, 1), [None] * len(fractions)
columns = (Column("count", "double", "number of elements", "1"),)
print("ready", flush=True)
f.materialize(Lake(Path(sys.argv[1])), f.FeatureSet("killed", "one number", columns, compute))
"""


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0])
def test_a_killed_run_loses_a_chunk_and_the_next_carries_on(lake, make, seconds, tmp_path):
    (tmp_path / "killed.py").write_text(_KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(lake.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    with lake.reader() as con:
        registered = con.execute("SELECT rows FROM feature_sets WHERE name = 'killed'").fetchone()
        if registered is not None:
            assert con.execute("SELECT count(*) FROM features.killed_v1").fetchone() == registered, (
                "nothing is half-written"
            )
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[3])
    assert table(lake, "killed_v1") == {"GaN": (2.0,), "Fe2O3": (2.0,), "Si": (1.0,)}
