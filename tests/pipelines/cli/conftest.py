"""A small store that has something of everything the commands list: built once, copied by tests that change it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.ingest.onboarding import add_source
from matstrata.store import models
from matstrata.store.datasets import named as datasets
from matstrata.store.datasets.labelled import Request
from matstrata.store.features.sets import materialize
from matstrata.store.lake.lake import Lake
from matstrata.store.upkeep.releases import create
from tests import lab

PROPERTY = "band_gap"
IDS = {"old": "0d" * 8, "new": "0e" * 8, "helper": "a1" * 8}
DATA = {
    "lab": ["PbI2,2.31234567", "GaN,3.4", "Si,1.12", "ZnO,3.3", "NaCl,8.5", "GaAs,1.42", "Xx,1"],
    "a_laboratory_far_away": ["PbI2,0.4", "GaN,3.41", "Si,1.1", "ZnO,3.37", "MgO,7.8", "CdTe,1.49", "GaAs,-3"],
}


@dataclass(frozen=True)
class Furnished:
    """The folder with the store and its contracts."""

    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "store")

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of a command says of it."""
        return {
            "MATSTRATA_STORE": str(self.folder / "store"),
            "MATSTRATA_CONTRACTS": str(self.folder / "contracts"),
            "MATSTRATA_CACHE": str(self.folder / "cache"),
            "DAGSTER_HOME": str(self.folder),
        }

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MATSTRATA_")}
        return inherited | self.variables


@pytest.fixture(scope="session")
def furnished() -> Iterator[Furnished]:
    """A store with two sources that disagree, features, a release, a dataset and models; only to be read."""
    folder = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))  # a short path, as users have them
    contracts, lake = folder / "contracts", Lake(folder / "store")
    contracts.mkdir()
    for source, rows in DATA.items():
        (contracts / f"{source}.yaml").write_text(lab.named(source), encoding="utf-8")
        (contracts / f"{source}.csv").write_text("\n".join(["formula,gap", *rows]) + "\n", encoding="utf-8")
        add_source(lake, contracts / f"{source}.yaml", cache=folder / "cache", mirrors=())
    create(lake, "v1", note="before any features")
    for name in ("magpie", "stoichiometry"):
        materialize(lake, get_feature_set(name))
    datasets.build(lake, "gaps", Request.of(PROPERTY, ["magpie", "stoichiometry"]))
    create(lake, "v2")
    for model, error in (("old", 0.41234567), ("new", 0.4), ("helper", None)):
        register(lake, IDS[model], error, source="lab" if model == "helper" else None)
    yield Furnished(folder)
    shutil.rmtree(folder)


@pytest.fixture
def furnished_copy(furnished: Furnished, tmp_path: Path) -> Furnished:
    """The same store, to be changed."""
    return Furnished(Path(shutil.copytree(furnished.folder, tmp_path / "furnished")))


def register(lake: Lake, model_id: str, error: float | None, *, source: str | None = None) -> None:
    """Put a model on record, with a file and, if it was evaluated, the error of its stack and of the mean."""
    path = models.model_path(model_id)
    (lake.root / path).parent.mkdir(exist_ok=True)
    (lake.root / path).write_bytes(b"a model")
    row: dict[str, Any] = {
        "model_id": model_id,
        "property": PROPERTY,
        "source": source,
        "training_set_id": "f0" * 32,
        "snapshot": lake.snapshot(),
        "features": ["magpie_v1", "stoichiometry_v1"],
        "code_signature": "c0" * 32,
        "seed": 0,
        "parameters": '{"weights": {"lab": 0.7, "a_laboratory_far_away": 0.3}}',
        "path": path,
        "file_sha256": hashlib.sha256(b"a model").hexdigest(),
        "serving": True,
        "withdrawn": False,
        "created_at": datetime.now(UTC),
    }
    figures = {} if error is None else {"known_dft": error, "mean": 1.2345678901}
    metrics = [
        {"model_id": model_id, "protocol": "grouped_kfold", "subset": "all", "metric": metric}
        | {"setting": setting, "value": value * factor}
        for setting, value in figures.items()
        for metric, factor in (("mae", 1.0), ("rmse", 1.5))
    ]
    models.record(lake, row, metrics)
