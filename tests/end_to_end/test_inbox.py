"""What is dropped into the inbox while the UI runs is in the store soon after, or refused with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.test_ui import serve
from tests.end_to_end.workplace import Workplace
from tests.lab import named

pytestmark = pytest.mark.slow


def drop(inbox: Path, name: str, lines: str) -> None:
    (inbox / f"{name}.csv").write_text(f"formula,gap\n{lines}")
    (inbox / f"{name}.yaml").write_text(named(name))


def wait(until: Callable[[], bool], seconds: float, place: Workplace) -> float:
    started = time.monotonic()
    while not until():
        assert time.monotonic() - started < seconds, (place.folder / "ui.log").read_text()[-5000:]
        time.sleep(0.5)
    return time.monotonic() - started


def test_the_sensor_takes_in_what_is_dropped(tmp_path: Path) -> None:
    inbox = tmp_path / "in box"
    inbox.mkdir()
    place = Workplace(tmp_path, {"MATSTRATA_INBOX": str(inbox)})
    with serve(place):
        drop(inbox, "lab", "GaN,3.4\nSi,1.12\nXx,1\n")
        (inbox / "alone.csv").write_text("formula,band gap (eV)\nGaN,3.4\nSi,1.12\n")
        drop(inbox, "bad", "Xx,1\n")
        done, reason = inbox / "done" / "lab.yaml", inbox / "refused" / "bad.txt"
        wait(lambda: done.exists() and reason.exists(), 90, place)
        assert "formula.unknown_element" in reason.read_text()
        assert (inbox / "refused" / "bad.yaml").exists()
        assert place.rows("SELECT material_id, value FROM observations WHERE source = 'lab' ORDER BY 1") == [
            {"material_id": "GaN", "value": 3.4},
            {"material_id": "Si", "value": 1.12},
        ]
        assert place.value("SELECT count(*) AS n FROM sources") == 1
        # corrected and dropped again, it is taken in again
        drop(inbox, "lab", "GaN,3.39\nSi,1.12\n")
        wait(lambda: not (inbox / "lab.yaml").exists(), 90, place)
        assert place.value("SELECT value FROM observations WHERE material_id = 'GaN'") == 3.39
        assert (inbox / "lab.csv").exists()
        wait((inbox / "drafts" / "alone.yaml").exists, 90, place)
    names = ["alone.csv", "bad.csv", "done", "drafts", "lab.csv", "refused"]
    assert sorted(path.name for path in inbox.iterdir()) == names
