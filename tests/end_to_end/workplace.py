"""A place of its own for a test: store, Dagster home and cache in a temporary folder, commands as users type them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matstrata.store import FeatureStore

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("matstrata")


@dataclass(frozen=True)
class Workplace:
    """Where commands run; `variables` are added to the environment."""

    folder: Path
    variables: dict[str, str]

    @property
    def store(self) -> Path:
        return self.folder / "warehouse"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MATSTRATA_")}
        home = self.folder / "dagster_home"
        home.mkdir(exist_ok=True)
        shutil.copy(PROJECT / "dagster_home" / "dagster.yaml", home)
        return kept | {
            "MATSTRATA_STORE": str(self.store),
            "MATSTRATA_CACHE": str(self.folder / "cache"),
            "DAGSTER_HOME": str(home),
            "COLUMNS": "160",
            **self.variables,
        }

    def run(self, *words: str, exit_code: int = 0, **variables: str) -> str:
        """Run a command, check its exit code, and return what it printed on standard output."""
        done = self.attempt(*words, **variables)
        assert done.returncode == exit_code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        return subprocess.run(
            [str(COMMAND), *words],
            env=self.environment | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """The result of a query, asked in this process: `matstrata sql` would start for seconds each time."""
        with FeatureStore.open(self.store) as store:
            return store.sql(statement).to_pylist()

    def value(self, statement: str) -> Any:
        """The one value that a query gives."""
        (row,) = self.rows(statement)
        (value,) = row.values()
        return value

    def snapshot(self) -> int:
        return self.value("SELECT max(snapshot_id) AS n FROM lake.snapshots()")

    def copy_to(self, folder: Path, **variables: str) -> Workplace:
        """The same store in another place, so that a test may change it."""
        shutil.copytree(self.store, folder / "warehouse")
        return Workplace(folder, self.variables | variables)
