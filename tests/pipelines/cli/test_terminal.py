"""Listings in a terminal: they fit its width, break no word, and say what they hide; a pipe has all of it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.pipelines.cli.conftest import IDS, Furnished

SQL = (
    "SELECT o.*, m.elements, 'a text that goes on and on until no terminal holds it in one line' AS remark "
    "FROM observations o JOIN materials m USING (material_id) ORDER BY observation_id"
)
LISTINGS: dict[str, list[str]] = {
    "sources list": [],
    "sources show": ["lab"],
    "sources rejections": ["a_laboratory_far_away"],
    "features list": [],
    "features describe": ["magpie"],
    "models list": [],
    "models show": [IDS["new"]],
    "models compare": [IDS["old"], IDS["new"]],
    "dataset list": [],
    "dataset show": ["gaps"],
    "release list": [],
    "release show": ["v2"],
    "release diff": ["v1", "v2"],
    "stats": [],
    "conflicts": ["band_gap"],
    "catalog": [],
    "status": [],
    "sql": [SQL],
}
WIDTHS = (60, 80, 120)
WIDE = "--wide shows every column whole."
NOTE = re.compile(r"^(Hidden columns?: |Texts that end in …)", re.MULTILINE)
NOTE_WORDS = frozenset(f"Hidden column: {WIDE} columns: and more more. Texts that end in … are cut. them".split())
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
# one process for all listings: most of a command's time goes to imports
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from matstrata.pipelines.cli.app import app
for words in json.loads(sys.argv[1]):
    try:
        app(words, standalone_mode=False)
    except SystemExit:
        pass
    print("\\x1d", flush=True)
"""


def printed(furnished: Furnished, listings: list[list[str]], width: int | None) -> list[str]:
    """What the commands print into a terminal of this width, or into a pipe."""
    program = [sys.executable, "-c", PROGRAM, json.dumps(listings)]
    environment = {name: value for name, value in furnished.environment.items() if name != "COLUMNS"}
    environment |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    if width is None:
        done = subprocess.run(program, env=environment, capture_output=True, check=True)
        return done.stdout.decode().split("\x1d\n")[:-1]
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(program, env=environment, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE)
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
    errors = process.communicate()[1].decode()
    os.close(master)
    assert process.returncode == 0, errors
    text = STYLE.sub("", b"".join(chunks).decode()).replace("\r\n", "\n")
    return text.split("\x1d\n")[:-1]


@pytest.fixture(scope="session")
def screens(furnished: Furnished) -> dict[tuple[str, int | None], str]:
    """What each listing prints at each width, and into a pipe."""
    listings = [[*name.split(), *arguments] for name, arguments in LISTINGS.items()]
    texts = {width: printed(furnished, listings, width) for width in (*WIDTHS, None)}
    return {(name, width): text for width, each in texts.items() for name, text in zip(LISTINGS, each, strict=True)}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_fits_the_terminal_and_breaks_no_word(screens, name: str, width: int) -> None:
    text = screens[name, width]
    assert text.strip()
    assert [line for line in text.split("\n") if len(line) > width] == []
    words = set(screens[name, None].split())
    for word in set(re.sub("─+", "", text).split()) - words - NOTE_WORDS:
        beginning = word.rstrip("…")
        if word.endswith("…"):
            assert any(each.startswith(beginning) for each in words), f"{word} does not begin a word of the whole"
        else:
            assert NOTE.search(text), f"{word} is not a word of the whole"
            assert word.rstrip(",.") in words or word.isdecimal(), f"{word} is not a word of the whole"


@pytest.mark.parametrize("name", LISTINGS)
def test_a_pipe_has_all_of_it(screens, name: str) -> None:
    text = screens[name, None]
    assert not NOTE.search(text)
    assert "…" not in re.sub(r"^… and .* more .*$", "", text, flags=re.MULTILINE)
    assert len(text.split()) >= len(NOTE.split(screens[name, 60])[0].split())


def test_wide_shows_in_a_terminal_what_a_pipe_has(furnished: Furnished, screens) -> None:
    wide = [name for name in LISTINGS if name != "catalog"]  # whose ages may have changed
    listings = [[*name.split(), "--wide", *LISTINGS[name]] for name in wide]
    for name, text in zip(wide, printed(furnished, listings, 40), strict=True):
        tables = [line for line in screens[name, None].split("\n") if "  " in line]
        assert [line for line in tables if line.rstrip() not in map(str.rstrip, text.split("\n"))] == []


def test_what_is_hidden_is_said(screens) -> None:
    assert "Hidden columns: " in screens["sql", 80]
    assert WIDE in " ".join(screens["sql", 80].split())


def test_formulas_are_in_the_conventional_order_and_data_as_they_are(screens) -> None:
    row = next(line for line in screens["conflicts", 120].split("\n") if "PbI2" in line)
    assert row.split()[:2] == ["PbI2", "I2Pb"]
    titles, *rows = screens["sql", None].split("\n")
    assert "formula" not in titles.split()
    assert any("I2Pb" in line.split() for line in rows)
