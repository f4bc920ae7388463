"""Hostile data in a terminal: what is shown is what is stored, and the terminal obeys none of it."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from matstrata.pipelines.cli import console
from matstrata.pipelines.cli.answers import print_predictions
from matstrata.pipelines.cli.console import make_console, marked, plain, print_json, progress, write
from matstrata.pipelines.ingest.onboarding import add_source
from matstrata.pipelines.serving.predictor import Prediction
from matstrata.store.lake.lake import Lake
from tests import lab

COMMAND = Path(sys.executable).with_name("matstrata")
PROTOTYPE = "AB_cF8_225_a_b:Cl:Na"  # rich has an emoji of the code :cl:
TITLE, CLEAR, REPORT, REVERSE = "\x1b]0;owned\x07", "\x1b[2J", "\x9b6n", "\u202e"
HOSTILE = f"{PROTOTYPE} {TITLE}{CLEAR}{REPORT}{REVERSE}[red]"
WRITTEN_OUT = rf"{PROTOTYPE} \x1b]0;owned\x07\x1b[2J\x9b6n\u202e[red]"


@pytest.fixture(scope="module")
def hostile(pristine, tmp_path_factory) -> dict[str, str]:
    """The environment of a store whose source, method, formulas and refusals are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    contract = yaml.safe_load(lab.CONTRACT)
    for field in ("title", "description", "method", "licence"):
        contract[field] = HOSTILE
    contract["columns"]["kind"] = "kind"
    contract["missing"] = [""]
    (folder / "contracts").mkdir()
    path = folder / "contracts" / "lab.yaml"
    path.write_text(yaml.safe_dump(contract), encoding="utf-8")
    rows = ["formula,kind,gap", "GaN,experiment,3.4", f'"{HOSTILE}",experiment,1', f'Si,"{HOSTILE}",1.1']
    path.with_suffix(".csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    lake = Lake(folder / "store")
    lake.init()
    add_source(lake, path, cache=folder / "cache", mirrors=())
    (folder / "contracts" / "bad.yaml").write_text(
        yaml.safe_dump({**contract, "source": "bad", "kind": HOSTILE, HOSTILE: 1}), encoding="utf-8"
    )
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MATSTRATA_")},
        "MATSTRATA_STORE": str(lake.root),
        "MATSTRATA_CACHE": str(folder / "cache"),
        "DAGSTER_HOME": str(folder),
        "TERM": "xterm",
        "COLUMNS": "400",
        "TZ": "America/New_York",
    }


def screen(environment: dict[str, str], *words: str) -> str:
    """Everything that a command sends to the terminal, as it comes."""
    master, terminal = pty.openpty()
    process = subprocess.Popen([COMMAND, *words], env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    chunks = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    process.wait()
    os.close(master)
    return b"".join(chunks).decode()


def commands(folder: Path) -> list[list[str]]:
    contracts = folder / "contracts"
    query = (
        "SELECT source, title AS ':cl: \x1b[2J' FROM sources UNION ALL SELECT rule_id, reason || raw FROM rejections"
    )
    return [
        ["sql", query],
        ["sql", query, "--format", "csv"],
        ["sql", query, "--format", "json"],
        ["sql", f"SELECT '{HOSTILE}' FROM nowhere"],
        ["sql", f"SELECT '{HOSTILE}'::INT"],
        ["sources", "show", "lab"],
        ["sources", "rejections", "lab"],
        ["sources", "rejections", "lab", "--json"],
        ["sources", "check", str(contracts / "lab.yaml")],
        ["sources", "check", str(contracts / "bad.yaml")],
        ["sources", "check", str(contracts / f"{HOSTILE}.yaml")],
        ["sources", "add", str(contracts / "lab.yaml")],
        ["sources", f"list{HOSTILE}"],
        ["status", HOSTILE],
        ["predict", HOSTILE, "-p", HOSTILE],
        ["cite", "lab", HOSTILE],
        ["catalog"],
        ["release", "show", HOSTILE],
    ]


@pytest.mark.parametrize("number", range(18))
def test_a_terminal_obeys_nothing_of_the_data(hostile, number: int) -> None:
    words = commands(Path(hostile["MATSTRATA_STORE"]).parent)[number]
    seen = screen(hostile, *words)
    assert "Traceback" not in seen
    for sequence in ("\x1b]", "\x07", CLEAR, REPORT, "\x9b", REVERSE, "🆑"):
        assert sequence not in seen, words


@pytest.mark.parametrize(
    "words",
    [["sql", "SELECT title FROM sources"], ["sources", "show", "lab"], ["sources", "rejections", "lab", "--wide"]],
)
def test_it_is_shown_as_it_is_stored(hostile, words: list[str]) -> None:
    assert WRITTEN_OUT in screen(hostile, *words)


def test_json_holds_the_text_itself(hostile) -> None:
    done = subprocess.run(
        [COMMAND, "sql", "-f", "json", "SELECT title, sum(rows_in) AS n, 0.5 AS d FROM sources GROUP BY title"],
        env=hostile,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == [{"title": HOSTILE, "n": 3, "d": 0.5}]


def test_a_panel_and_a_spinner_have_no_emoji(capsys) -> None:
    stream = make_console(width=200, force_terminal=False)
    formula = f"{PROTOTYPE}{CLEAR}"
    print_predictions(stream, [Prediction(formula, "band_gap", "eV", "0", reason=HOSTILE, material_id=PROTOTYPE)])
    stream.print(marked(plain(HOSTILE)))
    printed = capsys.readouterr().out
    assert printed.count(WRITTEN_OUT) == 2
    assert rf"{PROTOTYPE}\x1b[2J ({PROTOTYPE})" in printed


def test_times_are_utc_wherever_the_machine_is(hostile) -> None:
    statement = "SELECT TIMESTAMPTZ '2026-07-01 12:00:00+02:00' AS at, '2026-07-01'::TIMESTAMPTZ AS day"
    times = {"at": "2026-07-01 10:00:00+00:00", "day": "2026-07-01 00:00:00+00:00"}
    for words in (["-f", "json"], ["-f", "csv"], []):
        done = subprocess.run(
            [COMMAND, "sql", statement, *words], env=hostile, capture_output=True, text=True, check=True
        )
        assert all(time in done.stdout for time in times.values()), done.stdout


def test_log_lines_are_written_out(capsys, monkeypatch) -> None:
    monkeypatch.setattr(console, "err", make_console(stderr=True))
    with progress(HOSTILE):
        logging.getLogger("matstrata.ingest").info("reading %s", HOSTILE)
    printed = capsys.readouterr().err
    assert f"reading {WRITTEN_OUT}" in " ".join(printed.split())


def test_a_file_name_that_is_no_text_is_printed(capsys) -> None:
    write("name\udcff\n")
    print_json({"name": "name\udcff"})
    assert "\\udcff\n" in capsys.readouterr().out
