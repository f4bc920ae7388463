"""The jobs that the stress scripts run on a small store: ingest, materialize, train, maintain; real, but quick.

Each reports what it is about to do and what it has done, so that a process that outlives it knows what the store must
contain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from matstrata.pipelines.ingest.onboarding import add_source
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.terms import Kind
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep.maintenance import Policy, maintain

SPEC = EnsembleSpec(name="band_gap", target="lab", helpers=("dft",), features=("magpie",))
SOURCES = {"lab": Kind.EXPERIMENT, "dft": Kind.COMPUTATION}
JOBS = ("ingest", "materialize", "train", "maintain")  # that are killed
POLICY = Policy(
    keep_snapshots=3, keep_days=0, grace_hours=0
)  # the strictest: whatever may be deleted, is deleted at once
REJECTED_RECORDS = 3

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

Report = Callable[[str], None]


def formulas() -> list[str]:
    """List 300 binary compositions."""
    return [f"{a}{b}" for a, b in combinations(_ELEMENTS, 2)]


def rows_of(source: str, version: int) -> Iterator[tuple[str, float]]:
    """Generate the rows of a version of a source: each version has another number of rows, and other values."""
    count = (120 if source == "lab" else 240) + version * 7 % 40
    for position, formula in enumerate(formulas()[:count]):
        yield formula, round(0.5 + (position % 13) * 0.3 + (version % 17) * 0.01, 4)


def write_source(folder: Path, source: str, version: int) -> Path:
    """Write the file of a version, with three records that are rejected, and its contract."""
    lines = [f"{formula},{value}" for formula, value in rows_of(source, version)]
    rejected = [f"Xx{i},1.0" for i in range(REJECTED_RECORDS)]
    (folder / f"{source}.csv").write_text("\n".join(["formula,gap", *lines, *rejected, ""]))
    contract = folder / f"{source}.yaml"
    contract.write_text(_CONTRACT.format(source=source, kind=SOURCES[source]))
    return contract


@dataclass(frozen=True, slots=True)
class Workshop:
    """A store, and the folder in which its sources' files are written."""

    lake: Lake
    folder: Path

    def run(self, job: str, version: int, report: Report) -> None:
        """Run one job from its beginning to its end."""
        getattr(self, job)(version, report)

    def ingest(self, version: int, report: Report) -> None:
        """Ingest another version of both sources."""
        for source in SOURCES:
            self._add(source, version, report)

    def _add(self, source: str, version: int, report: Report) -> None:
        contract = write_source(self.folder, source, version)
        report(f"try {source} {version}")
        add_source(self.lake, contract, cache=self.folder / "cache", mirrors=(), accept_change=True)
        report(f"done {source} {version}")

    def ingest_one(self, version: int, report: Report) -> None:
        """Ingest another version of one source: quicker than `ingest`, but enough for the next job to have work."""
        self._add("dft", version, report)

    def materialize(self, _version: int, report: Report) -> None:
        """Update the materials, and their Magpie descriptors."""
        from matstrata.pipelines.descriptors.registry import FEATURE_SETS
        from matstrata.store.features.sets import materialize
        from matstrata.store.records.materials import update_materials

        report(f"snapshot {update_materials(self.lake).snapshot}")
        report(f"snapshot {materialize(self.lake, FEATURE_SETS['magpie']).snapshot}")

    def train(self, _version: int, report: Report) -> None:
        """Freeze training sets, and train the model of one source."""
        from matstrata.pipelines.learning import jobs as training
        from matstrata.pipelines.learning.models import candidates
        from matstrata.pipelines.learning.models.boosting import Size

        candidates.DEEP = candidates.SHALLOW = Size(trees=15, depth=3, learning_rate=0.2)
        for training_set in training.training_sets(self.lake, SPEC).values():
            report(f"frozen {training_set.training_set_id}")
        report(f"model {training.train_source(self.lake, SPEC, 'dft').model_id}")

    def maintain(self, _version: int, report: Report) -> None:
        """Expire, rewrite, merge and delete everything that the policy allows."""
        maintain(self.lake, POLICY)
        report("maintained")


def warm_up() -> None:
    """Import the jobs' modules, and read what they hash, so that a forked process starts at once; no thread starts."""
    import great_expectations  # noqa: F401
    import matminer.featurizers.composition  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import skops.io  # noqa: F401

    import matstrata.pipelines.learning.jobs  # noqa: F401
    from matstrata.pipelines.descriptors.registry import FEATURE_SETS

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    FEATURE_SETS["magpie"].signature()
