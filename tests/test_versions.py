"""A version depends on what decides values, and on nothing else: lines of each kind are edited in a copy of the project.

For each edit the test says which sources would be read, which feature sets computed and which models trained again.
Not here: how versions are found (tests/store/lake/test_signatures.py), and what happens when one is taken back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.sources import contracts
from matstrata.schemas.ensembles import ensembles

PROJECT = Path(__file__).resolve().parents[1]
CONTRACTS = contracts()
SOURCES, MODELS = set(CONTRACTS), set(ensembles())
SETS = {"magpie", "stoichiometry", "hellinger", "valence"}


def sources(reader: str | None = None, property: str | None = None, *, structures: bool = False) -> set[str]:
    """The shipped sources with a reader, a property, or structures."""
    return {
        name
        for name, contract in CONTRACTS.items()
        if (reader is None or contract.reader == reader)
        and (property is None or property in contract.properties)
        and (not structures or contract.columns.structure is not None)
    }


class Copy:
    """A copy of the project's code, and a process that says which versions it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("schemas", "store", "pipelines"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(PROJECT / "matstrata", folder / "matstrata", symlinks=True)
        self.process = self.start(folder)
        self.before = self.ask(self.process)

    def start(self, folder: Path) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MATSTRATA_")}
        return subprocess.Popen(
            [sys.executable, str(PROJECT / "tests" / "versions_of.py")],
            env=environment | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, process: subprocess.Popen[str]) -> dict[str, dict[str, str]]:
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def stop(self, process: subprocess.Popen[str]) -> None:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()

    def stale(self, after: dict[str, dict[str, str]]) -> dict[str, set[str]]:
        """What would be made again, by kind; kinds of which nothing would are left out."""
        changed = {
            kind: {name for name, version in versions.items() if after[kind].get(name) != version}
            for kind, versions in self.before.items()
        }
        return {kind: names for kind, names in changed.items() if names}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    project = Copy(tmp_path_factory.mktemp("copy"))
    yield project
    project.stop(project.process)


def edit(path: str, old: str, new: str, id: str, **stale: set[str]) -> object:
    """The first match of `old` in a file becomes `new`, and of each kind these names are stale."""
    return pytest.param(path, old, new, stale, id=id)


DOCSTRING = r'\A"""', '"""In short: '
FIRST_IMPORT = "\nfrom __future__"


@pytest.mark.parametrize(
    ("path", "old", "new", "stale"),
    [
        # what people read
        edit("pipelines/ingest/observations.py", FIRST_IMPORT, f"\n# a remark{FIRST_IMPORT}", "comment in ingest"),
        edit("pipelines/learning/stack/level1.py", FIRST_IMPORT, f"\n# a remark{FIRST_IMPORT}", "comment in learning"),
        edit("pipelines/ingest/readers/delimited.py", *DOCSTRING, "docstring of a reader"),
        edit("pipelines/descriptors/composition/magpie.py", *DOCSTRING, "docstring of a feature set"),
        edit("pipelines/learning/models/kernel.py", *DOCSTRING, "docstring of a model"),
        edit("schemas/formula.py", r"a charge is", "one charge is", "message of a rejection"),
        edit("schemas/ensembles.py", "must have one entry", "needs one entry", "message of an error"),
        edit("pipelines/learning/stack/ensemble.py", r'LearningError\(\s*f?"', r"\g<0>sorry: ", "message of learning"),
        edit("pipelines/ingest/refresh.py", r"%s: validating %s", "%s: now validating %s", "log line of ingest"),
        edit(
            "pipelines/learning/evaluation/evaluation.py",
            r"(\s+)log\.info\(",
            r'\1log.info("now")\g<0>',
            "log line more",
        ),
        edit("schemas/rules.py", "the record has no formula", "there is no formula", "sentence on a rule"),
        edit("schemas/tables.py", "name of the source, that", "the source's name, that", "definition of a column"),
        edit("schemas/properties.yaml", "definition: Energy between", "definition: The energy between", "definition"),
        # what decides no value
        edit("schemas/properties.yaml", r"gap, 'e \?gap'", "gap, forbidden zone, 'e ?gap'", "synonym for drafting"),
        edit("pipelines/ingest/drafting/sampling.py", r"\Z", "\nMORE = 1\n", "drafting"),
        edit("pipelines/ingest/fetching/optimade.py", r"\Z", "\nMORE = 1\n", "fetching"),
        edit("pipelines/ingest/readers/interface.py", "SAMPLE_ROWS = 4000", "SAMPLE_ROWS = 5000", "rows of a sample"),
        edit(
            "pipelines/ingest/readers/__init__.py",
            r'        "excel": ',
            r'        "their": "theirs",\n\g<0>',
            "reader more",
        ),
        edit(
            "pipelines/ingest/readers/delimited.py",
            r"\Z",
            "\n\ndef unused(x):\n    return x\n",
            "function that is unused",
        ),
        edit(
            "pipelines/ingest/identity.py",
            r"\nfrom matstrata",
            "\nimport matstrata.store.settings\nfrom matstrata",
            "own import",
        ),
        edit("pipelines/learning/methods/sisso.py", r"(\n[A-Z_]+ = )(\d+)", r"\g<1>1\2", "method that never serves"),
        edit(
            "pipelines/learning/jobs.py",
            "PREDICTED_AT_ONCE = 20_000",
            "PREDICTED_AT_ONCE = 10_000",
            "batch of predictions",
        ),
        edit("pipelines/cli/app.py", *DOCSTRING, "command"),
        edit("pipelines/reports/findings.py", *DOCSTRING, "report"),
        edit("store/lake/lake.py", *DOCSTRING, "store"),
        edit("schemas/tables.py", r"\n_TABLES = \(", '\\g<0>\n    Table("more", "a row", ()),', "table more"),
        # a changed constant or formula: exactly what uses it
        edit(
            "pipelines/descriptors/composition/magpie.py",
            r"high - low, mean",
            "low - high, mean",
            "magpie",
            features={"magpie"},
        ),
        edit(
            "pipelines/descriptors/composition/stoichiometry.py",
            r"\(2, 3, 5, 7, 10\)",
            "(2, 3, 5, 7, 11)",
            "norms",
            features={"stoichiometry"},
        ),
        edit(
            "pipelines/descriptors/composition/valence.py",
            r"\n_FAR = ",
            "\n_FAR = 1 + ",
            "valence",
            features={"valence"},
        ),
        edit(
            "pipelines/descriptors/composition/arrays.py",
            r"_BLOCK_ROWS = 1024",
            "_BLOCK_ROWS = 2048",
            "shared by sets",
            features=SETS,
        ),
        edit(
            "pipelines/ingest/readers/delimited.py",
            r"_MAX_LINES = 1000",
            "_MAX_LINES = 999",
            "reader",
            sources=sources("delimited"),
        ),
        edit(
            "pipelines/ingest/readers/refractiveindex_info.py",
            "_MAX_DEPTH = 20",
            "_MAX_DEPTH = 21",
            "another reader",
            sources={"refractiveindex_info"},
        ),
        edit(
            "pipelines/entities/structures/cif.py",
            r"\nSITE_TOLERANCE = 1e-4",
            "\nSITE_TOLERANCE = 1e-3",
            "structures",
            sources=sources(structures=True),
        ),
        edit(
            "pipelines/entities/structures/symmetry.py",
            r"\nSYMPREC = 0.01",
            "\nSYMPREC = 0.02",
            "symmetry",
            sources=sources(structures=True),
        ),
        edit("schemas/formula.py", "LONGEST_FORMULA = 1000", "LONGEST_FORMULA = 999", "formulas", sources=SOURCES),
        edit(
            "schemas/properties.yaml",
            r"(band_gap:(?s:.*?)upper: )25.0",
            r"\g<1>26.0",
            "bound",
            sources=sources(property="band_gap"),
            models={"band_gap"},
        ),
        edit(
            "pipelines/learning/models/boosting.py",
            "MIN_BASE_CHANCE = 0.01",
            "MIN_BASE_CHANCE = 0.02",
            "boosting",
            models=MODELS,
        ),
        edit(
            "pipelines/learning/stack/intervals.py",
            "ERROR_EXPONENT = 0.25",
            "ERROR_EXPONENT = 0.5",
            "intervals",
            models=MODELS,
        ),
        edit("pipelines/learning/training.py", r"= 1_500", "= 1_600", "evaluation", models=MODELS),
        edit("schemas/rules.py", r"\A", "", "no edit at all"),
    ],
)
def test_an_edit_makes_exactly_what_depends_on_it_stale(
    copy: Copy, path: str, old: str, new: str, stale: Mapping[str, set[str]]
) -> None:
    file = copy.folder / path
    original = file.read_text(encoding="utf-8")
    edited, count = re.subn(old, new, original, count=1)
    assert count == 1
    file.write_text(edited, encoding="utf-8")
    try:
        assert copy.stale(copy.ask(copy.process)) == stale
    finally:
        file.write_text(original, encoding="utf-8")


def test_what_is_taken_back_is_as_before(copy: Copy) -> None:
    assert copy.ask(copy.process) == copy.before


def test_moved_modules_make_nothing_stale(copy: Copy) -> None:
    moves = {
        "pipelines/descriptors/composition/stoichiometry.py": "pipelines/descriptors/composition/further/stoichiometry.py",
        "pipelines/learning/models/kernel.py": "pipelines/learning/kernel.py",
        "pipelines/ingest/readers/tables.py": "pipelines/ingest/tables.py",
        "pipelines/entities/structures/sites.py": "pipelines/entities/sites.py",
    }
    folder = copy.folder.parent / "moved"
    shutil.copytree(copy.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pipelines/descriptors/composition/further").mkdir()
    (folder / "pipelines/descriptors/composition/further/__init__.py").touch()
    for old, new in moves.items():
        (folder / old).rename(folder / new)
    dotted = {
        f"matstrata.{old}"[:-3].replace("/", "."): f"matstrata.{new}"[:-3].replace("/", ".")
        for old, new in moves.items()
    }
    packages = {old.rpartition(".")[::2]: new.rpartition(".")[0] for old, new in dotted.items()}
    for file in folder.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for old, new in dotted.items():
            text = text.replace(f"{old} import", f"{new} import")
        for (package, name), new in packages.items():
            listed = rf"from {re.escape(package)} import ([^\n]*\b){name}\b,? ?([^\n]*)"
            text = re.sub(listed, rf"from {new} import {name}\nfrom {package} import \1\2", text)
        file.write_text(re.sub(r"^from \S+ import *$", "", text, flags=re.MULTILINE), encoding="utf-8")
    process = copy.start(folder)
    try:
        assert copy.stale(copy.ask(process)) == {}
    finally:
        copy.stop(process)
