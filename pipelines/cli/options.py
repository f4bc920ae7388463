"""What several commands declare: how a group of commands behaves, `--json` and `--wide`.

Not here: options of one command, which stand where it is declared.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Annotated

import typer

CONTEXT = {"help_option_names": ["-h", "--help"]}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with every row and every value whole.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show every column whole, however narrow the terminal is; a pipe always does.")
]


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
