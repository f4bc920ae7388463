"""Times by which the policy `newest` orders records: instants compared with their offsets, years and dates as periods.

Not here: which column they stand in (`schemas.contracts`), what happens to a record without one (`observations`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from calendar import isleap, monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

_DAY = 86400.0  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """A year, a month, a day, or an instant: when it starts (seconds since 1970, UTC), and how long it lasts."""

    start: float
    seconds: float


def read_period(text: str, format: str | None = None) -> Period | None:
    """The time that a text states; None where it states none.

    Args:
        text: In ISO 8601 without a `format`: 2026, 2026-05, 2026-05-31, 2026-05-31T12:00+02:00. Without an offset, UTC.
        format: Of `datetime.strptime`, such as '%d.%m.%Y'. What it leaves out makes the time a period.

    >>> read_period("1970-01-01T02:00+02:00"), read_period("1970", "%Y"), read_period("03/04/2020")
    (Period(start=0.0, seconds=0.0), Period(start=0.0, seconds=31536000.0), None)
    """
    text = text.strip()
    try:
        if format is not None:
            return _period(datetime.strptime(text, format), _directives(format))  # noqa: DTZ007 (UTC if without)
        if re.fullmatch(r"\d{4}(-\d{2})?", text, re.ASCII):
            year, _, month = text.partition("-")
            return _period(datetime(int(year), int(month or 1), 1, tzinfo=UTC), "Ym" if month else "Y")
        if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text, re.ASCII):
            return _period(datetime.combine(date.fromisoformat(text), datetime.min.time()), "Ymd")
        return _period(datetime.fromisoformat(text), "YmdH")
    except ValueError:
        return None


def undecided(periods: Iterable[tuple[int, str, Period]]) -> Iterator[tuple[int, int]]:
    """The rows whose period holds the time of another row of the same material, each with such a row.

    Args:
        periods: Row, material and period of each record.
    """
    by_material: dict[str, list[tuple[float, float, int]]] = {}
    for row, material, period in periods:
        by_material.setdefault(material, []).append((period.seconds, period.start, row))
    for group in by_material.values():
        shorter: list[tuple[float, int]] = []
        for length in sorted({seconds for seconds, _, _ in group}):
            equal = sorted((start, row) for seconds, start, row in group if seconds == length)
            for start, row in equal:
                place = bisect_left(shorter, (start, -1))
                if place < len(shorter) and shorter[place][0] < start + length:
                    yield row, shorter[place][1]
            for item in equal:
                insort(shorter, item)


def _directives(format: str) -> str:
    """Which of year, month, day and hour a format states."""
    letters = set(re.findall(r"%(.)", format.replace("%%", "")))
    if letters & set("HIcXsT"):
        return "YmdH"
    if letters & set("djxuUWV"):
        return "Ymd"
    return "Ym" if letters & set("mbB") else "Y"


def _period(moment: datetime, states: str) -> Period:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    days = {
        "Y": 366 if isleap(moment.year) else 365,
        "Ym": monthrange(moment.year, moment.month)[1],
        "Ymd": 1,
        "YmdH": 0,
    }[states]
    return Period((moment - _EPOCH).total_seconds(), days * _DAY)
