"""What is newer: instants by their offsets, years and dates as periods, and nothing that can't be ordered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from matstrata.pipelines.ingest.observations import Observed, observe
from matstrata.pipelines.ingest.readers import get_reader
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.times import Period, read_period, undecided
from tests.pipelines.ingest.test_rules_raised import contract

DAY = 86400


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "format", "expected"),
    [
        ("2020", None, Period(seconds(2020, 1, 1), 366 * DAY)),
        ("2020-02", None, Period(seconds(2020, 2, 1), 29 * DAY)),
        (" 2020-05-31 ", None, Period(seconds(2020, 5, 31), DAY)),
        ("2020-05-31T12:00+02:00", None, Period(seconds(2020, 5, 31, 10), 0)),
        ("2020-05-31 12:00:00Z", None, Period(seconds(2020, 5, 31, 12), 0)),
        ("2020-05-31T12:00", None, Period(seconds(2020, 5, 31, 12), 0)),
        ("9999", None, Period(seconds(9999, 1, 1), 365 * DAY)),
        ("03/04/2020", "%d/%m/%Y", Period(seconds(2020, 4, 3), DAY)),
        ("March 2020", "%B %Y", Period(seconds(2020, 3, 1), 31 * DAY)),
        ("31.05.20 12:00 +0200", "%d.%m.%y %H:%M %z", Period(seconds(2020, 5, 31, 10), 0)),
        ("03/04/2020", None, None),
        ("2020-13", None, None),
        ("2020-02-30", None, None),
        ("spring 2020", None, None),
        ("infinity", None, None),
        ("٢٠٢٠", None, None),
        ("2020-05-31", "%d/%m/%Y", None),
    ],
)
def test_a_time_is_read_as_it_is_written(text: str, format: str | None, expected: Period | None) -> None:
    assert read_period(text, format) == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0, 1, 7, 30]), st.integers(0, 60)), max_size=12))
def test_a_row_is_undecided_if_its_period_holds_a_shorter_one(rows: list[tuple[str, int, int]]) -> None:
    periods = [(row, name, Period(float(start), float(length))) for row, (name, length, start) in enumerate(rows)]
    expected = {
        row
        for row, name, period in periods
        for _, other, inner in periods
        if name == other and inner.seconds < period.seconds and 0 <= inner.start - period.start < period.seconds
    }
    assert {row for row, _ in undecided(periods)} == expected


def observed(tmp_path, rows: list[tuple[str, float, str]], **reconcile: Any) -> Observed:
    lines = [f"{formula},{gap},{when}" for formula, gap, when in rows]
    (tmp_path / "lab.csv").write_text("\n".join(["formula,gap,when", *lines]) + "\n", encoding="utf-8")
    lab = contract(
        "delimited", {"formula": "formula"}, "gap", reconcile={"policy": "newest", "by": "when", **reconcile}
    )
    raw = get_reader(lab.reader).read([SourceFile("lab.csv", tmp_path / "lab.csv", "0" * 64)], lab.options)
    return observe(lab, raw)


def newest(result: Observed) -> list[float]:
    table = result.observations.sort_by([("rank", "ascending"), ("value", "ascending")])
    return table["value"].to_pylist()


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["2020-05-31T12:00+02:00", "2020-05-31T11:00+00:00", "2020-05-31T10:30Z"], [1.0, 3.0, 2.0]),
        (["2021", "2020-05-31", "2022-01"], [2.0, 1.0, 3.0]),  # a year is no number of seconds
        (["2019", "2021", "2020"], [1.0, 3.0, 2.0]),
        (["3", "10", "2"], [3.0, 1.0, 2.0]),  # versions
    ],
)
def test_records_are_ordered_by_time(tmp_path, times: list[str], order: list[float]) -> None:
    result = observed(tmp_path, [("GaN", value, when) for value, when in zip((1.0, 2.0, 3.0), times, strict=True)])
    assert result.rejections == ()
    assert newest(result) == order


def test_what_cannot_be_ordered_is_refused_with_a_sentence(tmp_path) -> None:
    rows = [("GaN", 1, "2020"), ("GaN", 2, "2020-05-31"), ("GaN", 3, "03/04/2020"), ("Si", 4, "2020"), ("GaN", 5, "")]
    result = observed(tmp_path, rows)
    assert sorted(each.rule_id for each in result.rejections) == ["order.undecided", "order.unreadable"]
    reasons = {each.rule_id: each.reason for each in result.rejections}
    assert "'2020-05-31': which is newer can't be told" in reasons["order.undecided"]
    assert "'03/04/2020', which is not a time like 2026" in reasons["order.unreadable"]
    assert sorted(result.observations["value"].to_pylist()) == [2.0, 4.0, 5.0]
    assert result.observations["rank"].null_count == 1  # a missing time is not refused, and never the newest


def test_the_contract_says_how_times_are_written(tmp_path) -> None:
    result = observed(tmp_path, [("GaN", 1, "03/04/2020"), ("GaN", 2, "02/05/2020")], format="%d/%m/%Y")
    assert newest(result) == [1.0, 2.0]
    result = observed(tmp_path, [("GaN", 1, "20200403"), ("GaN", 2, "2020")], format="%Y%m%d")
    assert [each.rule_id for each in result.rejections] == ["order.unreadable"]


def test_a_contract_without_a_format_keeps_its_hash() -> None:
    plain = contract("delimited", {"formula": "formula"}, "gap", reconcile={"policy": "newest", "by": "when"})
    assert plain.model_dump(mode="json")["reconcile"] == {"policy": "newest", "by": "when", "temperature_k": None}


@pytest.mark.parametrize("reconcile", [{"format": "%Y"}, {"policy": "newest", "by": "when", "format": "%d.%m."}])
def test_a_format_that_orders_nothing_is_refused(reconcile: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="'format' says how the times of 'newest' are written"):
        contract("delimited", {"formula": "formula"}, "gap", reconcile=reconcile)
