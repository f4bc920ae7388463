"""Writing the report of a property to disk, and only when something in it has changed.

Not here: what it contains (`report_page`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from matstrata.schemas import display, rules, terms
from matstrata.schemas.ensembles import get_ensemble
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import file_sha256, signature
from matstrata.store.lake.syntax import module_hash
from matstrata.store.models import predictions_summary, serving

log = logging.getLogger("matstrata.reports")


@dataclass(frozen=True, slots=True)
class Written:
    """A report on disk.

    Attributes:
        path: Its file.
        version: A hash of everything that it depends on.
        is_new: Whether it was written just now, rather than left as it was.
    """

    path: Path
    version: str
    is_new: bool


def report_path(lake: Lake, property_name: str) -> Path:
    """The file of a property's report."""
    return lake.root / "reports" / f"{property_name}.html"


def write_report(lake: Lake, property_name: str) -> Written:
    """Write the report of a property, unless the file is up to date.

    Raises:
        InputError: The property is unknown, or has no model.
        OSError: The file can't be written; the old report stays.
    """
    version = _version(lake, property_name)
    path = report_path(lake, property_name)
    stamp = path.with_suffix(".version")
    if path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return Written(path, version, is_new=False)
    from matstrata.pipelines.reports.report_page import build  # deferred: 1 s, plotly

    log.info("%s: writing the report", property_name)
    snapshot = lake.snapshot()
    with lake.reader(snapshot) as con:
        text = build(con, property_name, snapshot=snapshot)
    write_atomically(path, text)
    write_atomically(stamp, version)
    return Written(path, version, is_new=True)


def _version(lake: Lake, property_name: str) -> str:
    package = Path(__file__).parent
    files = [*sorted(package.rglob("*.py")), *(Path(str(module.__file__)) for module in (display, rules, terms))]
    words = [module_hash(file) for file in files]  # its sentences are what a page is made of
    assets = [file_sha256(file) for file in sorted(package.glob("report.*")) if file.suffix != ".py"]
    sources = get_ensemble(property_name).source_names
    with lake.reader() as con:
        state = con.execute(
            "SELECT source, contract_sha256, file_sha256, rows_in, rows_rejected FROM sources "
            "WHERE source IN (SELECT unnest(?)) ORDER BY source",
            [list(sources)],
        ).fetchall()
    model_id = serving(lake, property_name)["model_id"]
    return signature(words, assets, state, model_id, predictions_summary(lake, property_name))
