"""The main job, terminated: a sentence, 143, a whole store, and the same command carries on."""

from __future__ import annotations

import signal
from pathlib import Path

from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep.doctor import examine
from tests.end_to_end.part import write_part
from tests.end_to_end.workplace import Workplace
from tests.stopped import Stopped


def test_the_main_job_is_terminated_in_each_of_its_stages(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    write_part(tmp_path / "contracts")
    place = Workplace(tmp_path, {"MATSTRATA_CONTRACTS": str(tmp_path / "contracts")})
    for stage in ("reading", "validating", "computed", "training the model of"):
        command = Stopped(place.environment, "run").until(stage)
        command.send(signal.SIGTERM)
        if place.store.exists() and Lake(place.store).exists():
            assert examine(Lake(place.store), deep=True).healthy
    assert place.value("SELECT count(*) FROM observations") > 1000
    assert place.rows("FROM models WHERE source IS NULL") == []
