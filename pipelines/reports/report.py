"""Where a report lies, and when it must be written anew. Not here: what it says (`page`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from matstrata.schemas.ensembles import get_ensemble
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import code_signature, file_sha256, signature
from matstrata.store.models import predictions_summary, serving

log = logging.getLogger("matstrata.reports")


@dataclass(frozen=True, slots=True)
class Written:
    """A report on disk; `version` names all that it depends on, `anew` whether it was written just now."""

    path: Path
    version: str
    anew: bool


def report_path(lake: Lake, property_name: str) -> Path:
    """Where the report of a property lies."""
    return lake.root / "reports" / f"{property_name}.html"


def write_report(lake: Lake, property_name: str) -> Written:
    """Write the report of a property, unless the one there says the same."""
    version = _version(lake, property_name)
    path = report_path(lake, property_name)
    stamp = path.with_suffix(".version")
    if path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return Written(path, version, anew=False)
    from matstrata.pipelines.reports.report_page import build  # deferred: 1 s, plotly

    log.info("%s: writing the report", property_name)
    snapshot = lake.snapshot()
    with lake.reader(snapshot) as con:
        text = build(con, property_name, snapshot=snapshot)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    stamp.write_text(version, encoding="utf-8")
    return Written(path, version, anew=True)


def _version(lake: Lake, property_name: str) -> str:
    here = Path(__file__).parent
    assets = [file_sha256(file) for file in sorted(here.glob("report.*"))]
    sources = get_ensemble(property_name).sources
    with lake.reader() as con:
        state = con.execute(
            "SELECT source, contract_sha256, file_sha256, rows_in, rows_rejected FROM sources "
            "WHERE source IN (SELECT unnest(?)) ORDER BY source",
            [list(sources)],
        ).fetchall()
    model_id = serving(lake, property_name)["model_id"]
    return signature(code_signature([here]), assets, state, model_id, predictions_summary(lake, property_name))
