"""Every verb of `matstrata models`, on a store with two ensembles and the model of one source on record."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from matstrata.pipelines.cli.app import app
from matstrata.schemas.errors import InputError
from matstrata.store import models
from tests.pipelines.cli.conftest import IDS, PROPERTY, Furnished, register

Typed = Callable[..., str]
OLD, NEW, HELPER = IDS["old"], IDS["new"], IDS["helper"]


@pytest.fixture
def copy(furnished_copy: Furnished, monkeypatch: pytest.MonkeyPatch) -> Furnished:
    """A store of the test's own, which is that of the settings."""
    for name, value in furnished_copy.variables.items():
        monkeypatch.setenv(name, value)
    return furnished_copy


@pytest.fixture
def typed(copy: Furnished) -> Typed:
    """Run `matstrata models` with these arguments; what it printed."""

    def typed(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return typed


def serving(copy: Furnished) -> str:
    return models.serving(copy.lake, PROPERTY)["model_id"]


def test_list_has_all_models_with_the_error_that_decides(typed: Typed) -> None:
    rows = {row["model_id"]: row for row in json.loads(typed("list", "--json"))}
    assert rows.keys() == {OLD, NEW, HELPER}
    assert {row["property"] for row in rows.values()} == {PROPERTY}
    assert (rows[NEW]["mae"], rows[OLD]["mae"], rows[HELPER]["mae"]) == (0.4, 0.41234567, None)
    assert {row["model_id"] for row in rows.values() if row["serving"]} == {NEW, HELPER}
    lines = {line.split()[0]: line.split() for line in typed("list").splitlines() if line}
    assert lines[NEW][1:3] == [PROPERTY, "serves"]
    assert lines[OLD][1] == PROPERTY
    assert lines[OLD][-1] == "0.4123"
    assert "serves" not in lines[OLD]


def test_list_of_one_property(typed: Typed) -> None:
    assert len(json.loads(typed("list", PROPERTY, "--json"))) == 3
    assert json.loads(typed("list", "refractive_index", "--json")) == []


def test_show_takes_the_beginning_of_an_id(typed: Typed) -> None:
    row = json.loads(typed("show", NEW[:3], "--json"))
    assert row["model_id"] == NEW
    assert row["parameters"]["weights"] == {"lab": 0.7, "a_laboratory_far_away": 0.3}
    figures = {(each["setting"], each["metric"]): each["value"] for each in row["metrics"]}
    assert figures["known_dft", "mae"] == 0.4
    assert figures["mean", "rmse"] == pytest.approx(1.85185185)
    text = typed("show", NEW[:3])
    assert NEW in text
    assert "grouped_kfold  known_dft  all     mae     0.4" in text
    assert "1.852" in text


def test_compare_prints_differences_of_shared_figures(typed: Typed) -> None:
    comparison = json.loads(typed("compare", OLD, NEW, "--json"))
    assert (comparison["first"], comparison["second"]) == (OLD, NEW)
    errors = {(each["setting"], each["metric"]): each["difference"] for each in comparison["figures"]}
    assert errors["known_dft", "mae"] == pytest.approx(-0.01234567)
    assert errors["mean", "mae"] == 0
    line = next(line for line in typed("compare", OLD, NEW).splitlines() if "known_dft" in line and " mae" in line)
    assert line.split()[-3:] == ["0.4123", "0.4", "-0.01235"]


def test_compare_with_a_model_without_figures_has_none(typed: Typed) -> None:
    assert json.loads(typed("compare", HELPER, NEW, "--json"))["figures"] == []


def test_promote_lets_a_model_serve(typed: Typed, copy: Furnished) -> None:
    assert f"{OLD} serves {PROPERTY}" in typed("promote", OLD[:4])
    assert serving(copy) == OLD
    rows = {row["model_id"]: row for row in json.loads(typed("list", "--json"))}
    assert not rows[NEW]["serving"]
    assert rows[HELPER]["serving"], "the model of a source is not an ensemble's rival"


def test_rollback_goes_back_and_withdraws(typed: Typed, copy: Furnished) -> None:
    assert f"{OLD} serves {PROPERTY} again" in typed("rollback", PROPERTY)
    assert serving(copy) == OLD
    rows = {row["model_id"]: row for row in json.loads(typed("list", "--json"))}
    assert rows[NEW]["withdrawn"]
    assert "withdrawn" in typed("list")
    with pytest.raises(InputError, match="nothing to roll back to"):
        typed("rollback", PROPERTY)
    typed("promote", NEW)
    assert serving(copy) == NEW
    assert not json.loads(typed("show", NEW, "--json"))["withdrawn"]


@pytest.mark.parametrize("verb", ["show", "promote", "compare"])
def test_an_id_that_names_none_or_several_is_refused(typed: Typed, copy: Furnished, verb: str) -> None:
    more = [NEW] if verb == "compare" else []
    with pytest.raises(InputError, match=r"'zzz'.*'matstrata models list' shows"):
        typed(verb, "zzz", *more)
    with pytest.raises(InputError, match=r"2 models.*'0'"):
        typed(verb, "0", *more)
    assert serving(copy) == NEW


def test_a_property_without_an_ensemble_is_refused(typed: Typed) -> None:
    with pytest.raises(InputError, match="there are models of band_gap"):
        typed("rollback", "refractive_index")


def test_rollback_passes_over_a_model_whose_file_is_gone(typed: Typed, copy: Furnished) -> None:
    register(copy.lake, "0f" * 8, 0.3)
    (copy.lake.root / models.model_path(NEW)).unlink()
    assert f"{OLD} serves" in typed("rollback", PROPERTY)
