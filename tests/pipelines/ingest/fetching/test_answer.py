"""An interface is asked anew only where its last answer is too old; other questions have answers of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.fetching import answer, materials_project, optimade
from matstrata.schemas.contracts import FileLocation
from matstrata.schemas.errors import WorkError

HOUR = 3600.0
OPTIMADE = {"base_url": "https://example.org/optimade", "filter": 'elements HAS "Si"', "response_fields": ["nsites"]}
MP = {"criteria": {"chemsys": "Si-O"}}


def location(kind: str, hours: float | None = None, **changes: object) -> FileLocation:
    asked = {"optimade": OPTIMADE, "materials_project": MP}[kind] | changes
    return FileLocation.model_validate({kind: asked} | ({} if hours is None else {"max_age_hours": hours}))


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What the interfaces were asked; each answers with a new file."""
    queries: list[str] = []

    def fetch(query, folder: Path) -> Path:
        queries.append(query.sha256)
        folder.mkdir(exist_ok=True)
        (folder / f"{query.sha256}.jsonl").write_text(f"answer {len(queries)}")
        return folder / f"{query.sha256}.jsonl"

    monkeypatch.setattr(optimade, "fetch", fetch)
    monkeypatch.setattr(materials_project, "fetch", fetch)
    return queries


def grown_old(file: Path, hours: float) -> None:
    then = time.time() - hours * HOUR
    os.utime(file, (then, then))


@pytest.mark.parametrize("kind", ["optimade", "materials_project"])
class TestFreshness:
    def test_the_first_time_it_is_asked(self, kind, asked, tmp_path):
        assert answer(location(kind), tmp_path).read_text() == "answer 1"
        assert len(asked) == 1

    def test_a_fresh_answer_is_kept(self, kind, asked, tmp_path):
        first = answer(location(kind, 24), tmp_path)
        grown_old(first, 23.9)
        assert answer(location(kind, 24), tmp_path) == first
        assert first.read_text() == "answer 1"

    def test_an_old_one_is_asked_for_anew(self, kind, asked, tmp_path):
        first = answer(location(kind, 24), tmp_path)
        grown_old(first, 24.1)
        assert answer(location(kind, 24), tmp_path) == first
        assert first.read_text() == "answer 2"

    def test_how_old_is_too_old_is_for_the_contract_to_say(self, kind, asked, tmp_path):
        grown_old(answer(location(kind), tmp_path), 2)
        answer(location(kind, 3), tmp_path)
        assert len(asked) == 1
        answer(location(kind, 1), tmp_path)
        assert len(asked) == 2

    def test_a_day_is_the_default(self, kind, asked, tmp_path):
        file = answer(location(kind), tmp_path)
        grown_old(file, 23)
        answer(location(kind), tmp_path)
        assert len(asked) == 1
        grown_old(file, 25)
        answer(location(kind), tmp_path)
        assert len(asked) == 2

    def test_time_goes_by(self, kind, asked, tmp_path, monkeypatch):
        answer(location(kind, 1), tmp_path)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 2 * HOUR)
        answer(location(kind, 1), tmp_path)
        assert len(asked) == 2

    def test_a_limit_makes_another_question(self, kind, asked, tmp_path):
        files = {answer(location(kind, max_results=n), tmp_path) for n in (None, 10, 20)}
        assert len(files) == len(set(asked)) == 3


def test_another_filter_is_another_question(asked, tmp_path):
    assert answer(location("optimade"), tmp_path) != answer(location("optimade", filter="nsites<5"), tmp_path)
    assert len(asked) == 2


def test_a_failure_leaves_the_old_answer(tmp_path, asked, monkeypatch):
    file = answer(location("optimade"), tmp_path)
    grown_old(file, 48)

    def fails(query, folder):
        raise WorkError("the provider is down")

    monkeypatch.setattr(optimade, "fetch", fails)
    with pytest.raises(WorkError, match="down"):
        answer(location("optimade"), tmp_path)
    assert file.read_text() == "answer 1"
