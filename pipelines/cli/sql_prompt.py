"""The SQL prompt: statements over several lines, completion of names, history; or statements from standard input.

Not here: running them (`pipelines.cli.sql`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from matstrata.pipelines.cli import interrupts
from matstrata.pipelines.cli.console import err, out, plain
from matstrata.pipelines.cli.tables import print_grid
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.sql import literal

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.document import Document

_HELP = """Statements end with ';' and may take several lines. Tab completes tables, columns and keywords.
  .tables          the tables and views, and what a row of each is
  .schema TABLE    the columns of a table: types, definitions, units
  .quit            leave (or Ctrl-D); Ctrl-C stops a statement"""

_TABLES = """
SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name AS name, comment
FROM (
    SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = 'lake'
    UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views() WHERE database_name = 'lake'
) ORDER BY schema_name = 'features', name
"""


def split(text: str) -> tuple[list[str], str]:
    """The complete statements of a text, without their ';', and what follows the last of them.

    >>> split("SELECT ';'; SELECT 2; SELECT")
    (["SELECT ';'", 'SELECT 2'], 'SELECT')
    """
    raw = text.encode()
    statements, start = [], 0
    for offset, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.operator and raw[offset : offset + 1] == b";":
            statements.append(raw[start:offset].decode().strip())
            start = offset + 1
    return [statement for statement in statements if statement], raw[start:].decode().strip()


def from_stream(stream: Iterable[str], run: Callable[[str], None]) -> None:
    """Run all statements of a stream, each as soon as it is complete; the last needs no ';'."""
    waiting = ""
    for line in stream:
        statements, waiting = split(waiting + line) if ";" in line else ([], waiting + line)
        for statement in statements:
            run(statement)
        waiting += "\n" if waiting and not waiting.endswith("\n") else ""
    for statement in [waiting] if duckdb.tokenize(waiting) else []:
        run(statement)


def prompt(con: duckdb.DuckDBPyConnection, run: Callable[[str], None]) -> None:
    """Ask for statements until the person leaves; an error ends the statement and not the session."""
    from prompt_toolkit import PromptSession  # deferred: 0.2 s
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()

    def complete() -> bool:
        text = session.default_buffer.document.text.strip()
        return not text or text.startswith(".") or (bool(split(text)[0]) and not split(text)[1])

    @bindings.add("enter", filter=Condition(complete))
    def _(_event: object) -> None:
        session.default_buffer.validate_and_handle()

    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history_file())),
        completer=completer(con),
        complete_while_typing=False,
        multiline=True,
        key_bindings=bindings,
        prompt_continuation="     ... ",
    )
    err.print("SQL, read-only. '.help' helps, '.quit' or Ctrl-D leaves.")
    while True:
        try:
            text = session.prompt("strata> ").strip()
        except KeyboardInterrupt:
            interrupts.stop_if_terminated()
            continue
        except EOFError:
            return
        if text.rstrip(";") in (".quit", ".exit", ".q"):
            return
        for statement in [text] if text.startswith(".") else split(text)[0]:
            try:
                _command(con, statement) if statement.startswith(".") else run(statement)
            except (InputError, WorkError) as error:
                err.print(f"[bold red]error:[/] {plain(error)}", soft_wrap=True)
            except KeyboardInterrupt:
                interrupts.stop_if_terminated()
                err.print("stopped")
                break


def _command(con: duckdb.DuckDBPyConnection, text: str) -> None:
    word, _, about = text.rstrip(";").partition(" ")
    if word == ".tables":
        print_grid(out, ["table", "one row is"], con.execute(_TABLES).fetchall())
    elif word == ".schema" and about.strip():
        schema, _, table = about.strip().rpartition(".")
        rows = con.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE database_name = 'lake' "
            f"AND schema_name = {literal(schema or 'main')} AND table_name = {literal(table)} ORDER BY column_index"
        ).fetchall()
        if not rows:
            raise InputError(f"there is no table {about.strip()}; .tables lists them")
        print_grid(out, ["column", "type", "definition"], rows, least=("type",))
    else:
        out.print(_HELP, markup=False, highlight=False)


def completer(con: duckdb.DuckDBPyConnection) -> Completer:
    """Completes commands, keywords, tables, and columns; after 'table.' its columns only."""
    from prompt_toolkit.completion import Completer, Completion  # deferred: 0.2 s

    columns: dict[str, list[str]] = {}
    for table, column in con.execute(
        "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name, column_name "
        "FROM duckdb_columns() WHERE database_name = 'lake' ORDER BY ALL"
    ).fetchall():
        columns.setdefault(table, []).append(column)
    keywords = [word.upper() for (word,) in con.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()]
    words = sorted(columns) + sorted({name for names in columns.values() for name in names}) + sorted(keywords)

    class Names(Completer):
        def get_completions(self, document: Document, _complete_event: object) -> Iterator[Completion]:
            text = document.text_before_cursor
            start = max((text.rfind(mark) for mark in " \n\t(,=<>+-*/"), default=-1) + 1
            word = text[start:]
            if text.startswith("."):
                commands = [each for each in (".tables", ".schema", ".help", ".quit") if each.startswith(text)]
                yield from (Completion(each, -len(text)) for each in commands)
                return
            table, dot, rest = word.rpartition(".")
            of_table = columns.get(table, [])
            if dot and of_table:
                yield from (Completion(each, -len(rest)) for each in of_table if each.startswith(rest))
                return
            yield from (
                Completion(each, -len(word)) for each in words if word and each.lower().startswith(word.lower())
            )

    return Names()


def history_file() -> Path:
    """Where the prompt keeps what was typed."""
    import platformdirs

    return Path(platformdirs.user_state_dir("matstrata", ensure_exists=True)) / "sql_history"
