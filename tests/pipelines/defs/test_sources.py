"""The asset of a source, as Dagster runs it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_asset
from matstrata.pipelines.ingest.sources import get_contract
from tests.lab import CONTRACT

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute:DeprecationWarning"),  # Dagster 1.13 under pydantic 2
]


@pytest.fixture
def materialize(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the asset of the lab's source on these rows."""
    monkeypatch.setenv("MATSTRATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MATSTRATA_CONTRACTS", str(tmp_path / "contracts"))
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "lab.yaml").write_text(CONTRACT, encoding="utf-8")

    def materialize(rows: list[str]) -> dg.ExecuteInProcessResult:
        (folder / "lab.csv").write_text("\n".join(["formula,gap", *rows]) + "\n", encoding="utf-8")
        asset = observations_asset(get_contract("lab"))
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [asset], resources={"store": StoreResource()}, instance=instance, raise_on_error=False
            )

    return materialize


def test_a_sound_source_passes_its_checks(materialize) -> None:
    done = materialize(["GaN,3.4", "Xx,1"])
    assert done.success
    checks = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert checks == {"conservation": True, "validation": True, "drift": True}


@pytest.mark.parametrize(
    ("rows", "rule_id"),
    [([f"GaN{i},{1000 + i}" for i in range(1, 40)], "table.plausible_unit"), (["GaN,-3"], "value.out_of_bounds")],
    ids=["the source", "each record"],
)
def test_a_refused_source_fails_its_validation_and_shows_why(materialize, rows: list[str], rule_id: str) -> None:
    done = materialize(rows)
    assert not done.success
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("validation", False)
    assert rule_id in check.description
    assert rule_id in check.metadata["expectations"].value
