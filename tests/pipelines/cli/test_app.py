"""The help of every command: paragraphs that fill the terminal, defaults that are printed, JSON and width alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from matstrata.pipelines.cli.app import app

WITH_COLUMNS = {
    "benchmark", "catalog", "conflicts", "dataset list", "dataset show", "features describe", "features list",
    "models compare", "models list", "models show", "release diff", "release list", "release show",
    "sources check", "sources list", "sources rejections", "sources show", "sql", "stats", "status",
}  # fmt: skip


def commands(instance: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in instance.registered_commands:
        yield prefix + (command.name or command.callback.__name__)
    for nested in instance.registered_groups:
        yield from commands(nested.typer_instance, f"{prefix}{nested.name} " if nested.name else prefix)


COMMANDS = sorted(commands(app))


def printed_help(name: str) -> str:
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0
    return result.stdout


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 35
    assert set(COMMANDS) > WITH_COLUMNS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_and_says_what_the_command_does(name: str) -> None:
    text = printed_help(name)
    assert max(map(len, text.splitlines())) <= 80
    paragraphs = [line for line in text.splitlines() if line.startswith(" ") and line.strip()]
    assert len(paragraphs) > 1, "a usage line only"
    assert "…" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listing_can_be_wide_and_nothing_else(name: str) -> None:
    assert ("--wide" in printed_help(name)) == (name in WITH_COLUMNS)


def test_defaults_are_printed() -> None:
    assert "[default: (all)]" in printed_help("refresh")
    assert "(refractive_index)" in printed_help("run")
    assert "(magpie)" in printed_help("dataset build")


def test_paragraphs_fill_the_terminal() -> None:
    """Lines of a docstring are no lines of the help."""
    line = next(line for line in printed_help("refresh").splitlines() if "If one source fails" in line)
    assert line.strip() == "If one source fails, the rest is refreshed all the same."
