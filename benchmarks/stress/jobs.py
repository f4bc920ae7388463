"""The jobs that the stress scripts run on a small store: ingest, materialize, train, maintain; real, but quick.

Each says what it is about to do and what it has done, so that a witness who outlives it knows what must be there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from matstrata.pipelines.ingest.onboarding import add_source
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep.maintenance import Policy, maintain

SPEC = EnsembleSpec(name="band_gap", target="lab", helpers=("dft",), features=("magpie",))
SOURCES = {"lab": "experiment", "dft": "computation"}
KINDS = ("ingest", "materialize", "train", "maintain")  # what is killed
POLICY = Policy(keep_snapshots=3, keep_days=0, grace_hours=0)  # the harshest: whatever may go, goes at once
REFUSED = 3

_ELEMENTS = (
    *("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Ti", "Zr", "Zn", "Cd", "Ag", "Cu"),
    *("O", "S", "Se", "Te", "F", "Cl", "Br", "N", "P"),
)
_CONTRACT = """
source: {source}
title: {source}
description: Made up.
kind: {kind}
method: made up
licence: CC0-1.0
citation: {{bibtex: "@misc{{{source}}}"}}
files: [{{path: {source}.csv}}]
reader: delimited
columns: {{formula: formula}}
values: [{{column: gap, property: band_gap, unit: eV}}]
"""

Say = Callable[[str], None]


def formulas() -> list[str]:
    """300 binary compositions."""
    return [f"{a}{b}" for a, b in combinations(_ELEMENTS, 2)]


def rows_of(source: str, version: int) -> Iterator[tuple[str, float]]:
    """What a version of a source reports: another number of rows, and other values, each time."""
    count = (120 if source == "lab" else 240) + version * 7 % 40
    for position, formula in enumerate(formulas()[:count]):
        yield formula, round(0.5 + (position % 13) * 0.3 + (version % 17) * 0.01, 4)


def write_source(desk: Path, source: str, version: int) -> Path:
    """The file of a version, with three records that will be refused, and its contract."""
    lines = [f"{formula},{value}" for formula, value in rows_of(source, version)]
    refused = [f"Xx{i},1.0" for i in range(REFUSED)]
    (desk / f"{source}.csv").write_text("\n".join(["formula,gap", *lines, *refused, ""]))
    contract = desk / f"{source}.yaml"
    contract.write_text(_CONTRACT.format(source=source, kind=SOURCES[source]))
    return contract


@dataclass(frozen=True, slots=True)
class Workshop:
    """A store, and the desk where its sources' files are written."""

    lake: Lake
    desk: Path

    def run(self, kind: str, version: int, say: Say) -> None:
        """Do one job from its beginning to its end."""
        getattr(self, kind)(version, say)

    def ingest(self, version: int, say: Say) -> None:
        """Another version of both sources."""
        for source in SOURCES:
            self._add(source, version, say)

    def _add(self, source: str, version: int, say: Say) -> None:
        contract = write_source(self.desk, source, version)
        say(f"try {source} {version}")
        add_source(self.lake, contract, cache=self.desk / "cache", mirrors=(), accept_change=True)
        say(f"done {source} {version}")

    def news(self, version: int, say: Say) -> None:
        """Another version of one source: less to do than `ingest`, but enough for what follows to have work."""
        self._add("dft", version, say)

    def materialize(self, _version: int, say: Say) -> None:
        """The materials, and their Magpie descriptors."""
        from matstrata.pipelines.descriptors.registry import FEATURE_SETS
        from matstrata.store.features.sets import materialize
        from matstrata.store.records.materials import update_materials

        say(f"snapshot {update_materials(self.lake).snapshot}")
        say(f"snapshot {materialize(self.lake, FEATURE_SETS['magpie']).snapshot}")

    def train(self, _version: int, say: Say) -> None:
        """Frozen training sets, and the model of one source."""
        from matstrata.pipelines.learning import jobs as training
        from matstrata.pipelines.learning.models import source_models

        source_models.ITERATIONS = 15
        for training_set in training.training_sets(self.lake, SPEC).values():
            say(f"frozen {training_set.training_set_id}")
        say(f"model {training.train_source(self.lake, SPEC, 'dft').model_id}")

    def maintain(self, _version: int, say: Say) -> None:
        """Expire, rewrite, merge, delete: all that may go."""
        maintain(self.lake, POLICY)
        say("maintained")


def warm_up() -> None:
    """Import what the jobs need, and read what they hash, so that a forked process starts at once; no thread starts."""
    import great_expectations  # noqa: F401
    import matminer.featurizers.composition  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import skops.io  # noqa: F401

    import matstrata.pipelines.learning.jobs  # noqa: F401
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    FEATURE_SETS["magpie"].signature()
