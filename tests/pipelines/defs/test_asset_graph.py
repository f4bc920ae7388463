"""The asset graph is the one on record in `asset_graph.txt`: keys, groups, dependencies, checks, jobs, schedules."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RECORD = Path(__file__).with_name("asset_graph.txt")
RENEW = "python tests/pipelines/defs/test_asset_graph.py"

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute:DeprecationWarning"),  # Dagster 1.13 under pydantic 2
]


def described() -> str:
    """The asset graph of the code location, one line for each part of it."""
    from matstrata.pipelines.definitions import defs  # deferred: 3 s

    return "\n".join(_lines(defs())) + "\n"


def _lines(definitions) -> Iterator[str]:
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        yield f"asset {key.to_user_string()}"
        yield f"  group {node.group_name}"
        for parent in sorted(node.parent_keys):
            yield f"  needs {parent.to_user_string()}"
        for check in sorted(node.check_keys):
            blocking = " (blocking)" if graph.get(check).blocking else ""
            yield f"  check {check.name}{blocking}"
    for job in sorted(repository.get_all_jobs(), key=lambda job: job.name):
        if job.name.startswith("__"):
            continue
        yield f"job {job.name}"
        for key in sorted(job.asset_layer.selected_asset_keys if job.asset_layer else ()):
            yield f"  makes {key.to_user_string()}"
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        yield f"schedule {schedule.name}"
        yield f"  at {schedule.cron_schedule}, {schedule.default_status.value.lower()}"
        selected = repository.get_job(schedule.job_name).asset_layer.selected_asset_keys
        first = [key for key in selected if not graph.get(key).parent_keys & selected]
        for key in sorted(first):
            yield f"  makes {key.to_user_string()} and {len(selected) - len(first)} assets below"
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        yield f"sensor {sensor.name}"
        yield f"  every {sensor.minimum_interval_seconds} s, {sensor.default_status.value.lower()}"
        for job in sorted(target.job_name for target in sensor.targets):
            yield f"  runs {job}"


def test_the_asset_graph_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MATSTRATA_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MATSTRATA_CONTRACTS", raising=False)
    recorded = RECORD.read_text(encoding="utf-8")
    assert recorded.count("\nasset ") > 60, "the record itself has lost its assets"
    difference = "\n".join(
        difflib.unified_diff(recorded.splitlines(), described().splitlines(), "recorded", "now", lineterm="", n=3)
    )
    if difference:
        pytest.fail(
            f"The asset graph has changed:\n{difference}\nIf that is meant, renew the record with '{RENEW}', and say "
            "in the commit what is new for users: renamed assets lose their history in the Dagster UI.",
            pytrace=False,
        )


if __name__ == "__main__":
    RECORD.write_text(described(), encoding="utf-8")
    sys.stdout.write(f"{RECORD} renewed\n")
