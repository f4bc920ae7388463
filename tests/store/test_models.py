"""Which model serves: not a worse one, and not one that was taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store import models
from matstrata.store.lake.lake import Lake

START = datetime(2026, 1, 1, tzinfo=UTC)


def register(lake: Lake, name: str, error: float, day: int) -> None:
    """An ensemble with one figure, which serves if it may."""
    lake.files.write(models.model_path(name), b"model")
    row = {
        "model_id": name,
        "property": "band_gap",
        "source": None,
        "training_set_id": "t",
        "snapshot": 1,
        "features": ["magpie_v1"],
        "code_signature": "c",
        "seed": 0,
        "parameters": "{}",
        "path": models.model_path(name),
        "file_sha256": "0" * 64,
        "serving": False,
        "withdrawn": False,
        "created_at": START + timedelta(days=day),
    }
    figure = {"protocol": "grouped_kfold", "setting": "known_dft", "subset": "all", "metric": "mae", "value": error}
    models.record(lake, row, [{"model_id": name, **figure}])
    if models.may_serve(lake, name, "band_gap"):
        models.promote(lake, row)


def test_a_worse_ensemble_does_not_take_over(lake: Lake) -> None:
    register(lake, "first", 0.300, 1)
    register(lake, "worse", 0.310, 2)
    assert models.serving(lake, "band_gap")["model_id"] == "first"
    register(lake, "equal", 0.302, 3)
    assert models.serving(lake, "band_gap")["model_id"] == "equal"
    assert [row["model_id"] for row in models.listing(lake) if row["serving"]] == ["equal"]


def test_a_rollback_serves_the_one_before_and_marks_the_other(lake: Lake) -> None:
    register(lake, "first", 0.30, 1)
    register(lake, "second", 0.25, 2)
    assert models.rollback(lake, "band_gap")["model_id"] == "first"
    assert models.serving(lake, "band_gap")["model_id"] == "first"
    assert models.match(lake, "sec")["withdrawn"]
    with pytest.raises(InputError, match="nothing to roll back to"):
        models.rollback(lake, "band_gap")
    models.promote(lake, models.match(lake, "second"))
    assert models.serving(lake, "band_gap")["model_id"] == "second"
    assert not models.match(lake, "second")["withdrawn"]


def test_an_unclear_beginning_of_an_id_is_said(lake: Lake) -> None:
    register(lake, "abc1", 0.3, 1)
    register(lake, "abc2", 0.2, 2)
    with pytest.raises(InputError, match="2 models"):
        models.match(lake, "abc")
    with pytest.raises(InputError, match="no model"):
        models.match(lake, "x")
