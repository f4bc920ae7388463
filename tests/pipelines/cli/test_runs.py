"""Bringing sources up to date: what did not change costs no run, and Dagster knows all the same how things stand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from matstrata.pipelines.cli.runs import bring_up_to_date
from matstrata.pipelines.defs.sources import observations_key
from matstrata.schemas.errors import InputError
from matstrata.store.settings import PROJECT
from tests.lab import CONTRACT

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute:DeprecationWarning"),  # Dagster 1.13 under pydantic 2
]

GOOD = ["GaN,3.4", "Si,1.12", "ZnO,3.3"]
KEY = observations_key("lab")
Update = Callable[[list[str]], dict[str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster instance of its own, and the settings of a store beside it."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(PROJECT / "dagster_home" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("MATSTRATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MATSTRATA_CONTRACTS", str(tmp_path / "contracts"))
    return home


@pytest.fixture
def update(home: Path, pristine: Path, tmp_path: Path) -> Update:
    """Write the lab's file and bring it up to date."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "lab.yaml").write_text(CONTRACT, encoding="utf-8")

    def update(rows: list[str]) -> dict[str, str]:
        (folder / "lab.csv").write_text("\n".join(["formula,gap", *rows]) + "\n", encoding="utf-8")
        return bring_up_to_date(["lab"])

    return update


def materialized() -> list[tuple[str, int, int]]:
    """Of each materialization, the newest first: run, observations, and how many of them are new."""
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(KEY, limit=10).records
    found = []
    for record in records:
        metadata = record.asset_materialization.metadata
        found.append((record.run_id, metadata["dagster/row_count"].value, metadata["observations added"].value))
    return found


def versions() -> set[str]:
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(KEY, limit=10).records
    return {record.asset_materialization.tags["dagster/data_version"] for record in records}


def test_what_did_not_change_is_recorded_without_a_run(update) -> None:
    assert update(GOOD) == {}
    assert update(GOOD) == {}
    (second, rows, added), (first, *_) = materialized()
    assert first
    assert not second
    assert (rows, added) == (3, 0)
    assert len(versions()) == 1
    assert update(["GaN,3.39", *GOOD[1:]]) == {}
    assert materialized()[0][1:] == (3, 1)
    assert update(["GaN,3.39", *GOOD[1:]]) == {}
    assert materialized()[0][1:] == (3, 0)
    assert len(versions()) == 2


def test_another_dagster_learns_of_a_source_that_did_not_change(update, home: Path) -> None:
    update(GOOD)
    for kept in home.iterdir():
        if kept.is_dir():
            shutil.rmtree(kept)
    update(GOOD)
    ((run, rows, added),) = materialized()
    assert run
    assert (rows, added) == (3, 0)


def test_a_source_that_is_sound_again_passes_its_check_again(update) -> None:
    def validation() -> bool:
        with dg.DagsterInstance.get() as instance:
            key = dg.AssetCheckKey(KEY, "validation")
            (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
        return record.event.dagster_event.asset_check_evaluation_data.passed

    update(GOOD)
    failed = update(["GaN,-3"])
    assert "value.out_of_bounds" in failed["lab"]
    assert not validation()
    assert update(GOOD) == {}
    assert validation()


def test_an_unknown_source_ends_it_at_once(update) -> None:
    with pytest.raises(InputError, match="unknown source 'nowhere'"):
        bring_up_to_date(["lab", "nowhere"])


def test_a_source_without_its_file_or_with_a_broken_contract_costs_no_other(update, tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    (folder / "gone.yaml").write_text(CONTRACT.replace("lab", "gone"), encoding="utf-8")
    (folder / "broken.yaml").write_text("source: [", encoding="utf-8")
    (folder / "bare.yaml").write_text(CONTRACT.replace("lab.csv", "bare").replace("lab", "bare"), encoding="utf-8")
    (folder / "bare").mkdir()
    (folder / "lab.csv").write_text("formula,gap\nGaN,3.4\n", encoding="utf-8")
    failed = bring_up_to_date(["bare", "broken", "gone", "lab"])
    assert failed.keys() == {"bare", "broken", "gone"}
    assert "broken.yaml can't be read" in failed["broken"]
    assert "holds no file" in failed["bare"]
    assert f"file {folder / 'gone.csv'} does not exist" in failed["gone"]
    assert materialized()[0][1:] == (1, 1)
    with pytest.raises(InputError, match=r"gone\.csv does not exist"):
        bring_up_to_date(["gone"])
    with pytest.raises(InputError, match=r"broken\.yaml can't be read"):
        bring_up_to_date(["broken"])
