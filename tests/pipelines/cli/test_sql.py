"""`matstrata sql` as people use it: a statement, a pipe, a prompt in a terminal, Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matstrata.pipelines.cli.sql import ask
from matstrata.pipelines.cli.sql_prompt import completer, from_stream, split
from matstrata.schemas.errors import InputError
from matstrata.store.lake.query import connect_locked

COMMAND = Path(sys.executable).with_name("matstrata")
ENDLESS = "SELECT count(*) FROM range(4000000000000) t(i) WHERE hash(i) % 7 = 3"


@pytest.fixture
def environment(lake, tmp_path):
    return {**os.environ, "MATSTRATA_STORE": str(lake.root), "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm"}


def run(environment, *words, stdin="", check=0):
    done = subprocess.run(
        [COMMAND, "sql", *words], env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == check, done.stderr
    return done


@pytest.mark.parametrize(
    ("text", "statements", "rest"),
    [
        ("SELECT 1", [], "SELECT 1"),
        ("SELECT 1;", ["SELECT 1"], ""),
        ("SELECT ';'; SELECT \";\"; SELECT $$;$$;", ["SELECT ';'", 'SELECT ";"', "SELECT $$;$$"], ""),
        ("SELECT 1 -- ;\n+ 1;", ["SELECT 1 -- ;\n+ 1"], ""),
        ("SELECT 'open ;", [], "SELECT 'open ;"),
        ("SELECT /* ; */ 'Überraschung'; x", ["SELECT /* ; */ 'Überraschung'"], "x"),
        (";;", [], ""),
    ],
)
def test_statements_end_where_sql_says(text, statements, rest):
    assert split(text) == (statements, rest)


def test_a_stream_is_run_statement_by_statement():
    seen: list[str] = []
    from_stream(["SELECT 1; SELECT\n", "2\n", "; -- the end\n", "SELECT 3\n"], seen.append)
    assert [text.split() for text in seen] == [["SELECT", "1"], ["SELECT", "2"], ["--", "the", "end", "SELECT", "3"]]


def test_completion_knows_tables_columns_and_keywords(lake):
    from prompt_toolkit.document import Document

    with connect_locked(lake) as con:
        names = completer(con)

    def offered(text: str) -> list[str]:
        return [each.text for each in names.get_completions(Document(text), None)]

    assert offered("SELECT * FROM obser") == ["observation_id", "observations"] or "observations" in offered(
        "FROM obser"
    )
    assert "labels_wide" in offered("FROM lab")
    assert "temperature_k" in offered("SELECT observations.temp")
    assert "SELECT" in offered("sel")
    assert offered(".sch") == [".schema"]


def test_a_pipe_and_errors(environment):
    assert "a_1" in run(environment, "SELECT 1 AS a, 2 AS a").stdout
    done = run(environment, "--format", "csv", stdin="SELECT 1 AS a; SELECT ';' AS b\n;\nSELECT 3 AS c")
    assert done.stdout.split() == ["a", "1", "b", ";", "c", "3"]
    done = run(environment, "--format", "csv", stdin="SELECT 1 AS a; DROP TABLE sources; SELECT 2", check=2)
    assert done.stdout.split() == ["a", "1"]
    assert "only reads" in done.stderr


LATE = "SELECT CAST(CASE WHEN range = 300000 THEN 'a' ELSE '1' END AS INT) AS x FROM range(400000)"


def test_an_error_that_comes_late_is_a_sentence(environment):
    for format in ("table", "csv", "json", "parquet"):
        done = run(
            environment, LATE, "--format", format, "--output", str(Path(environment["XDG_STATE_HOME"] + "x")), check=2
        )
        assert "Could not convert string 'a'" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_failure_that_duckdb_calls_an_interrupt_is_explained(lake):
    def masked(_result):
        raise InputError("SQL: INTERRUPT Error: Interrupted!")

    with connect_locked(lake) as con:
        with pytest.raises(InputError, match="Could not convert string 'a'"):
            ask(con, LATE, masked)
        with pytest.raises(InputError, match="Interrupted"):  # nothing fails when it is run again
            ask(con, "SELECT 1", masked)


def test_a_large_result_needs_little_memory(environment):
    code = (
        "import resource, sys\nfrom matstrata.pipelines.cli.entry import main\nsys.argv = ['matstrata', 'sql', "
        "\"SELECT range AS i, hash(range) AS h, 'x' || range AS s FROM range({n})\", '-f', 'parquet', '-o', sys.argv[1]]\n"
        "try: main()\nexcept SystemExit: pass\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", code.format(n=n), str(Path(environment["MATSTRATA_STORE"]) / "x.parquet")],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for n in (10_000, 10_000_000)
    ]
    assert peaks[1] - peaks[0] < 200_000  # kB; the result itself has 300 MB


@pytest.mark.parametrize("words", [[], ["--format", "csv"]], ids=["table", "csv"])
def test_ctrl_c_stops_a_statement(environment, words):
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "sql", ENDLESS, *words], env=environment, stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    with process:
        try:
            seen = ""
            while "Ctrl-C stops" not in seen:  # progress, on the terminal only
                seen += os.read(master, 65536).decode()
            process.send_signal(signal.SIGINT)
            assert (process.wait(timeout=60), process.stdout.read()) == (130, "")
            assert "Traceback" not in os.read(master, 65536).decode()
        finally:
            process.kill()  # an endless statement would outlive a failed test
            os.close(master)


class Terminal:
    """The prompt in a terminal of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, "sql"], env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, ends - time.monotonic()))
            assert ready, f"{text!r} did not come, but {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.fixture
def terminal(environment) -> Iterator[Terminal]:
    terminal = Terminal(environment)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.master)


def test_the_prompt(environment, terminal):
    terminal.until("strata>")
    terminal.type("SELECT 40 +\r")
    terminal.until("...")
    terminal.type("2 AS answer;\r")
    terminal.until("42")
    terminal.until("strata>")
    terminal.type("SELEC 1;\r")
    terminal.until("syntax error")
    terminal.until("strata>")
    terminal.type(".schema observations\r")
    terminal.until("temperature, where stated")
    terminal.until("strata>")
    terminal.type(ENDLESS + ";\r")
    terminal.until("Ctrl-C stops")  # progress
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.until("stopped")
    terminal.until("strata>")
    terminal.type(".quit\r")
    assert terminal.process.wait(timeout=60) == 0
    history = Path(environment["XDG_STATE_HOME"]) / "matstrata" / "sql_history"
    assert "2 AS answer;" in history.read_text()
