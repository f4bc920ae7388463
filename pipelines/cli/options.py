"""What several commands declare: how a group of commands behaves, `--json` and `--wide`.

Not here: options of one command, which stand where it is declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import cleandoc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from matstrata.schemas.text import visible

CONTEXT = {"help_option_names": ["-h", "--help"]}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with every row and every value whole.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show every column whole, however narrow the terminal is; a pipe always does.")
]


class Main(TyperGroup):
    """The command itself: what it says of wrong arguments is safe for a terminal, whatever these hold."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments before the first subcommand."""
        with _visible_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse the rest of the arguments and run the subcommand."""
        with _visible_errors():
            return super().invoke(ctx)


@contextmanager
def _visible_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(getattr(error, "message", None), str):  # Click's exceptions, which Typer does not export
            vars(error)["message"] = visible(vars(error)["message"])
        raise


def group(summary: str) -> typer.Typer:
    """A group of commands, which lists them when it is called without one."""
    return typer.Typer(no_args_is_help=True, help=summary, context_settings=CONTEXT)


def reflow_help(app: typer.Typer) -> None:
    """Let each paragraph of the commands' help fill the terminal; Typer keeps the lines of docstrings otherwise."""
    for command in app.registered_commands:
        paragraphs = cleandoc((command.callback and command.callback.__doc__) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for nested in app.registered_groups:
        if nested.typer_instance is not None:
            reflow_help(nested.typer_instance)
