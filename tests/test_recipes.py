"""The recipes of docs/contributing, followed to the letter on a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
RECIPES = sorted((PROJECT / "docs" / "contributing").glob("*.md"))

# a sentence that ends in "New file `path`:", "Append to `path`:" or "Change `path` (…):", then a fenced block; or a
# block of shell commands
_STEP = re.compile(
    r"(?:(New file|[Aa]ppend to|Change) `([^`\n]+)`[^`\n]*:\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Step:
    """One step: what is to be done, to which file, with which text."""

    kind: str
    path: str
    text: str


def steps(recipe: Path) -> list[Step]:
    found = _STEP.findall(recipe.read_text(encoding="utf-8"))
    return [
        Step(kind.capitalize() if kind else language, path, text)
        for kind, path, language, text in found
        if kind or language == "sh"
    ]


def change(text: str, diff: str) -> str:
    """Apply a block of lines that begin with ' ', '-' or '+'; the old lines must occur exactly once."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    assert text.count(old) == 1, f"these lines occur {text.count(old)} times:\n{old}"
    return text.replace(old, new)


def follow(step: Step, folder: Path) -> None:
    """Do what a step says to a file."""
    file = folder / step.path
    if step.kind == "New file":
        assert not file.exists(), f"{step.path} exists already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step.text, encoding="utf-8")
    elif step.kind == "Append to":
        blank = "\n\n" if file.suffix == ".py" else "\n"
        file.write_text(file.read_text(encoding="utf-8") + blank + step.text, encoding="utf-8")
    elif step.kind == "Change":
        file.write_text(change(file.read_text(encoding="utf-8"), step.text), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which all recipes were followed, one after the other."""
    folder = tmp_path_factory.mktemp("copy") / "project"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "warehouse", "inbox", "mirror", "storage", "history")
    shutil.copytree(PROJECT, folder, symlinks=True, ignore=left_out)
    (folder / ".venv").symlink_to(sys.prefix)
    for recipe in RECIPES:
        for step in steps(recipe):
            follow(step, folder)
    for line in commands():
        if " > docs/" in line:  # a page that is made from the code
            run(folder, "sh", "-c", line)
    return folder


def commands() -> list[str]:
    """All lines of all blocks of commands."""
    return [
        line for recipe in RECIPES for step in steps(recipe) if step.kind == "sh" for line in step.text.splitlines()
    ]


def run(folder: Path, *command: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MATSTRATA_", "PYTEST"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder), "DAGSTER_HOME": str(folder / "dagster_home"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_recipe_has_steps() -> None:
    names = {recipe.stem for recipe in RECIPES if steps(recipe)}
    assert names == {recipe.stem for recipe in RECIPES} - {"plugins"}
    assert len(names) >= 9


def test_the_code_of_the_recipes_is_as_the_house_wants_it(copy: Path) -> None:
    run(copy, sys.executable, "-m", "ruff", "check", ".")
    run(copy, sys.executable, "-m", "ruff", "format", "--check", ".")


def test_the_tests_of_the_recipes_pass(copy: Path) -> None:
    """All that recipes say to run by pytest, in one go."""
    paths = dict.fromkeys(
        path for line in commands() if " -m pytest " in line for path in line.split(" -m pytest ")[1].split()
    )
    new = {step.path for recipe in RECIPES for step in steps(recipe) if step.path.startswith("tests/")}
    assert new <= set(paths)
    assert "passed" in run(copy, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *paths)
