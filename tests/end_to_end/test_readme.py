"""What README.md tells people to type works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from matstrata.store.settings import Settings
from tests.end_to_end.workplace import PROJECT, Workplace

pytestmark = pytest.mark.slow

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_its_sql_answers(finished: tuple[Workplace, str]) -> None:
    place, _ = finished
    statements = [statement for block in _blocks("sql") for statement in block.split(";") if "SELECT" in statement]
    assert len(statements) >= 3
    assert all(place.rows(statement) for statement in statements)


def test_its_commands_work(finished: tuple[Workplace, str]) -> None:
    place, _ = finished
    commands = re.findall(r"^\.venv/bin/matstrata (sql|predict|status)\b(?: (.*))?$", README, flags=re.MULTILINE)
    assert len(commands) >= 4
    for command, rest in commands:
        words = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', rest.split(" > ")[0])]
        assert place.run(command, *words)


def test_its_python_runs(finished: tuple[Workplace, str]) -> None:
    place, _ = finished
    (program,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_settings_are_all_there_are() -> None:
    listed = set(re.findall(r"^\| `(MATSTRATA_\w+)`", README, flags=re.MULTILINE))
    assert listed == {f"MATSTRATA_{name.upper()}" for name in Settings.model_fields}
