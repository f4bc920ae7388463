"""Sources that are interfaces: what they answer is kept as a file, and from there on is a source like any other.

Not here: the interfaces themselves (one module each), and what the answers mean (`pipelines.ingest.readers`).
"""

from __future__ import annotations

import time
from pathlib import Path

from matstrata.schemas.contracts import FileLocation


def answer(location: FileLocation, folder: Path) -> Path:
    """The file with what the interface answers, requested again where the last one is too old.

    Raises:
        InputError: the query is wrong, or a key is missing.
        WorkError: the interface does not answer; the same call resumes.
    """
    if location.optimade is not None:
        from matstrata.pipelines.ingest.fetching import optimade, optimade_pages

        interface = location.optimade
        query = optimade_pages.OptimadeQuery(
            interface.base_url, interface.filter, interface.response_fields, max_results=interface.max_results
        )
        file = folder / f"{query.sha256}.jsonl"
        return file if _is_fresh(file, location.max_age_hours) else optimade.fetch(query, folder)
    from matstrata.pipelines.ingest.fetching import materials_project

    assert location.materials_project is not None
    summaries = materials_project.MaterialsProjectQuery(
        dict(location.materials_project.criteria), max_results=location.materials_project.max_results
    )
    file = folder / f"{summaries.sha256}.jsonl"
    return file if _is_fresh(file, location.max_age_hours) else materials_project.fetch(summaries, folder)


def _is_fresh(file: Path, hours: float) -> bool:
    return file.exists() and time.time() - file.stat().st_mtime < hours * 3600
