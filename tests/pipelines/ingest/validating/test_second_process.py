"""The second process: it answers as this one would, and never outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from matstrata.pipelines.ingest.validating import second_process as module
from matstrata.pipelines.ingest.validating.second_process import in_second_process, second_process
from matstrata.pipelines.ingest.validating.validation import RefusedError, read_evaluated, validate
from matstrata.schemas.contracts import load_contract
from matstrata.schemas.errors import WorkError
from matstrata.schemas.tables import TABLES
from tests.lab import CONTRACT

PARENT = """
import sys, time
from matstrata.pipelines.ingest.validating.second_process import _running, second_process
with second_process():
    print(_running[0].pid, flush=True)
    time.sleep(600)
"""


def observations(gaps: list[float]) -> pa.Table:
    schema = TABLES["observations"].arrow_schema
    sound = dict.fromkeys(schema.names) | {"source": "lab", "property": "band_gap", "unit": "eV", "kind": "experiment"}
    rows = [sound | {"observation_id": str(i), "source_record": f"row {i}", "value": gap} for i, gap in enumerate(gaps)]
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture
def contract(tmp_path: Path):
    (tmp_path / "lab.yaml").write_text(CONTRACT, encoding="utf-8")
    return load_contract(tmp_path / "lab.yaml")


def test_it_answers_as_this_process_would(contract) -> None:
    sound, milli = observations([1.0, 2.0, -3.0] * 5), observations([1000.0 + i for i in range(20)])
    here = validate(sound, contract)
    with pytest.raises(RefusedError) as refused_here:
        validate(milli, contract)
    with second_process():
        there = validate(sound, contract)
        with pytest.raises(RefusedError) as refused_there:
            validate(milli, contract)
        assert in_second_process(os.getpid) != os.getpid()
    assert there == here
    assert str(refused_there.value) == str(refused_here.value)
    assert refused_there.value.validation == refused_here.value.validation
    assert [result.success for result in read_evaluated(there.evaluated)] == [
        result.success for result in read_evaluated(here.evaluated)
    ]
    assert in_second_process(os.getpid) == os.getpid()


def test_what_it_prints_is_no_answer() -> None:
    with second_process():
        assert in_second_process(print, "not an answer") is None
        assert in_second_process(len, "four") == 4


def test_its_end_is_told() -> None:
    with second_process():
        module._running[0].kill()
        with pytest.raises(WorkError, match="ended before it answered"):
            in_second_process(len, "four")


def test_it_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 60
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended (one that nobody waited for stays as a zombie)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
