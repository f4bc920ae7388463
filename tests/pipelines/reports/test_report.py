"""A report is written when something in it has changed, and only then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from matstrata.pipelines.reports import report
from matstrata.pipelines.reports.report import report_path, write_report
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake


@pytest.fixture
def store(filled: tuple[Lake, int], tmp_path: Path) -> Lake:
    """A copy of the plausible store that the test may change; its ensemble of the band gap has a source by method."""
    lake = Lake(Path(shutil.copytree(filled[0].root, tmp_path / "store")))
    with lake.commit("a second ensemble") as transaction:
        transaction.con.execute(
            "INSERT INTO models SELECT * REPLACE ('gap' AS model_id, 'band_gap' AS property) FROM models"
        )
    return lake


@pytest.fixture(autouse=True)
def light_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that takes no seconds to draw: it names its snapshot."""
    monkeypatch.setattr(
        "matstrata.pipelines.reports.report_page.build", lambda con, name, *, snapshot: f"{name} of snapshot {snapshot}"
    )


def _execute(lake: Lake, statement: str) -> None:
    with lake.commit("change") as transaction:
        transaction.con.execute(statement)


def test_an_unchanged_report_is_left_as_it_is(store: Lake) -> None:
    first = write_report(store, "refractive_index")
    assert (first.is_new, first.path) == (True, report_path(store, "refractive_index"))
    assert first.path.read_text() == f"refractive_index of snapshot {store.snapshot()}"
    _execute(store, "UPDATE materials SET n_elements = 7")  # a new snapshot; nothing that the version depends on
    again = write_report(store, "refractive_index")
    assert (again.is_new, again.version) == (False, first.version)


@pytest.mark.parametrize(
    ("property_name", "statement"),
    [
        ("refractive_index", "UPDATE sources SET file_sha256 = 'new' WHERE source = 'ricci_transport'"),
        ("refractive_index", "UPDATE sources SET rows_rejected = 1 WHERE source = 'refractiveindex_info'"),
        ("refractive_index", "UPDATE models SET model_id = 'newer' WHERE property = 'refractive_index'"),
        # 'gllbsc_gaps:GLLB-SC' in the ensemble: one method of this source
        ("band_gap", "INSERT INTO sources BY NAME SELECT 'gllbsc_gaps' AS source, 5 AS rows_in"),
    ],
    ids=["file", "rejections", "model", "source by method"],
)
def test_what_it_depends_on_makes_it_new(store: Lake, property_name: str, statement: str) -> None:
    before = write_report(store, property_name)
    _execute(store, statement)
    after = write_report(store, property_name)
    assert after.is_new
    assert after.version != before.version


def test_a_report_that_was_deleted_is_written_again(store: Lake) -> None:
    first = write_report(store, "refractive_index")
    first.path.unlink()
    assert write_report(store, "refractive_index").is_new
    assert first.path.exists()


def test_a_changed_template_makes_it_new(store: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(store, "refractive_index")
    monkeypatch.setattr(report, "file_sha256", lambda file: f"another {file.name}")
    assert write_report(store, "refractive_index").is_new


def test_without_a_model_there_is_no_report(lake: Lake) -> None:
    with pytest.raises(InputError, match="matstrata run"):
        write_report(lake, "refractive_index")
    assert not report_path(lake, "refractive_index").exists()
