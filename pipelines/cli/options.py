"""What several commands declare: how a group of commands behaves, `--json` and `--wide`.

Not here: options of one command, which stand where it is declared.
"""

from __future__ import annotations

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
