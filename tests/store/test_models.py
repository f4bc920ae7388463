"""Which model serves: not a worse one, and not one that was taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store import models
from matstrata.store.lake.lake import Lake

START = datetime(2026, 1, 1, tzinfo=UTC)


def register(lake: Lake, name: str, error: float, day: int, features: str = "magpie_v1") -> None:
    """An ensemble with one figure, which serves if it may."""
    lake.files.write(models.model_path(name), b"model")
    row = {
        "model_id": name,
        "property": "band_gap",
        "source": None,
        "training_set_id": "t",
        "snapshot": 1,
        "features": [features],
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


def test_an_older_ensemble_serves_again_once_its_code_and_data_are_back(lake: Lake) -> None:
    register(lake, "first", 0.30, 1)
    register(lake, "changed", 0.20, 2)
    assert models.serving(lake, "band_gap")["model_id"] == "changed"
    assert models.may_serve(lake, "first", "band_gap"), "it is asked for only where it is what the code makes"
    register(lake, "worse", 0.31, 3)
    assert models.serving(lake, "band_gap")["model_id"] == "changed"


def test_an_ensemble_on_features_that_are_no_longer_computed_gives_way(lake: Lake) -> None:
    rows = [{"name": "magpie", "version": version, "current": version == 2, "rows": 0} for version in (1, 2)]
    with lake.commit("two versions") as transaction:
        transaction.insert("feature_sets", pa.Table.from_pylist(rows, schema=TABLES["feature_sets"].arrow_schema))
    register(lake, "outdated", 0.20, 1, "magpie_v1")
    register(lake, "worse", 0.30, 2, "magpie_v2")
    assert models.serving(lake, "band_gap")["model_id"] == "worse", "nothing can be predicted by the other"
    register(lake, "still worse", 0.40, 3, "magpie_v2")
    assert models.serving(lake, "band_gap")["model_id"] == "worse"


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
