"""Great Expectations' Data Docs of each source's last validation: a page each, and an index, in `<store>/docs`.

The sections are drawn by GX's own renderers and templates. The frame around them is ours, because GX's loads scripts,
styles and fonts from five networks; ours needs none, and its content security policy allows none.

Not here: the validation (`validation`), nor how a page is opened (`pipelines.cli.app`).
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.validating.second_process import in_second_process
from matstrata.pipelines.ingest.validating.validation import Validation, read_evaluated
from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import InputError
from matstrata.schemas.expectations import great_expectations
from matstrata.schemas.rules import RULES
from matstrata.store.lake.atomic import write_atomically
from matstrata.store.lake.lake import Lake

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

log = logging.getLogger("matstrata.ingest")

_HERE = Path(__file__).parent
_LOCK_TIMEOUT = 30
_LONGEST_VALUE = 300  # characters of it that the page holds
_STATISTICS = ("evaluated_expectations", "successful_expectations", "unsuccessful_expectations", "success_percent")
_COLUMN_SECTIONS = {
    "class_name": "ValidationResultsColumnSectionRenderer",
    "table_renderer": {
        "class_name": "RulesTable",
        "module_name": "matstrata.pipelines.ingest.validating.data_docs_table",
    },
}


def docs_page(lake: Lake, source: str) -> Path:
    """The path of the page of a source's last committed validation, once it is written."""
    return lake.root / "docs" / f"{_stem(source)}.html"


def refused_page(lake: Lake, source: str) -> Path:
    """The path of the page of a validation that stopped the source; it is removed when the source is sound again."""
    return lake.root / "docs" / f"{_stem(source)}.refused.html"


def find_page(lake: Lake, source: str | None = None) -> Path:
    """The newest page of a source, or the index of all.

    Raises:
        InputError: there is no store, or no page of it.
    """
    if not lake.exists():
        raise InputError(f"there is no store in {lake.root}; make one with 'matstrata run', or set MATSTRATA_STORE")
    index = lake.root / "docs" / "index.html"
    candidates = [index] if source is None else [refused_page(lake, source), docs_page(lake, source)]
    page = next((page for page in candidates if page.exists()), None)
    if page is not None:
        return page
    documented = sorted({str(facts["source"]) for facts in _entries(lake)})
    pages = f"; there are pages of {', '.join(documented)}" if documented else ""
    what = "validations" if source is None else f"source {source!r}"
    remedy = "matstrata refresh" if source is None else "matstrata sources list"
    raise InputError(
        f"there is no page of {what} in {index.parent}{pages}; a source's page is written when 'matstrata "
        f"refresh' finds it changed, see '{remedy}'"
    )


def write_page(
    lake: Lake,
    contract: Contract,
    files: Sequence[SourceFile],
    validation: Validation,
    when: datetime,
    *,
    refusal: str | None = None,
) -> None:
    """Write the page of a validation, and the index. What fails is logged: the refresh itself stands.

    Args:
        lake: the store, in whose folder they are written.
        contract: the source.
        files: what was validated.
        validation: what was found.
        when: time of the validation.
        refusal: why the source was stopped, if it was; the page of what the store holds then stays.
    """
    source = contract.source
    try:
        page = docs_page(lake, source) if refusal is None else refused_page(lake, source)
        facts = _facts(contract, validation, when, page.name, refused=refusal is not None)
        text = in_second_process(_render, contract, files, validation.evaluated, when, facts, refusal)
        with _locked(page.parent):
            write_atomically(page, text)
            write_atomically(page.with_suffix(".json"), json.dumps(facts, indent=1))
            if refusal is None:
                _remove(refused_page(lake, source))
            _write_index(lake)
    except Exception as error:  # noqa: BLE001 - a page that can't be drawn or written must not undo sound work
        log.warning("%s: the page of its validation could not be written: %s", source, error)


def forget_refusal(lake: Lake, source: str) -> None:
    """Remove the page of a refused validation: the source is again what the store holds."""
    _forget(lake, refused_page(lake, source))


def forget_pages(lake: Lake, source: str) -> None:
    """Remove the pages of a source that the store no longer holds."""
    _forget(lake, refused_page(lake, source), docs_page(lake, source))


def _forget(lake: Lake, *pages: Path) -> None:
    existing = [page for page in pages if page.exists()]
    if not existing:
        return
    try:
        with _locked(existing[0].parent):
            for page in existing:
                _remove(page)
            _write_index(lake)
    except OSError as error:
        log.warning("%s could not be removed: %s", existing[0], error)


def _stem(source: str) -> str:
    return "index.source" if source == "index" else source  # names of sources hold no dots


def _locked(folder: Path) -> FileLock:
    """Two processes may refresh two sources; the one that writes the index last must have seen both pages."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock", timeout=_LOCK_TIMEOUT)


def _remove(page: Path) -> None:
    page.with_suffix(".json").unlink(missing_ok=True)
    page.unlink(missing_ok=True)


def _entries(lake: Lake) -> list[Mapping[str, Any]]:
    facts = [json.loads(path.read_text(encoding="utf-8")) for path in (lake.root / "docs").glob("*.json")]
    return sorted(facts, key=lambda entry: (entry["source"], entry["page"]))


def _write_index(lake: Lake) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # deferred: 0.1 s

    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("data_docs_index.html").render(entries=_entries(lake), store=lake.root)
    write_atomically(lake.root / "docs" / "index.html", text)


def _facts(
    contract: Contract,
    validation: Validation,
    when: datetime,
    page: str,
    *,
    refused: bool,
) -> dict[str, Any]:
    """What the index says of a validation."""
    results = validation.results
    failed = [result for result in results if not result.success]
    if refused:
        outcome = "refused"
    elif not failed:
        outcome = "passed"
    else:
        outcome = "records refused" if any(result.rule_id in RULES for result in failed) else "warning"
    return {
        "source": contract.source,
        "title": contract.title,
        "page": page,
        "outcome": outcome,
        "success": not failed,
        "expectations": len(results),
        "held": len(results) - len(failed),
        "validated_at": when.isoformat(timespec="seconds"),
        "rules": [
            {
                "rule_id": result.rule_id,
                "of": result.property or result.column or "",
                "checked": result.checked,
                "unexpected": result.unexpected,
                "success": result.success,
            }
            for result in results
        ],
    }


def _suite_result(
    contract: Contract, files: Sequence[SourceFile], evaluated: Sequence[ExpectationValidationResult], when: datetime
) -> ExpectationSuiteValidationResult:
    """The results as one suite's, copied by way of JSON, as GX reads them from its stores."""
    gx = great_expectations()
    from great_expectations.core import expectation_validation_result as core
    from great_expectations.validator.validation_statistics import calc_validation_statistics

    counts = calc_validation_statistics(list(evaluated))
    meta = {
        "great_expectations_version": gx.__version__,
        "run_id": {"run_name": contract.source, "run_time": when.isoformat()},
        "batch_spec": {
            "data_asset_name": f"observations of {contract.source}",
            "contract": contract.sha256,
            "files": {file.name: file.sha256 for file in files},
        },
    }
    native = core.ExpectationSuiteValidationResult(
        success=counts.success,
        results=list(evaluated),
        suite_name=f"observations.{contract.source}",
        statistics={name: getattr(counts, name) for name in _STATISTICS},
        meta=meta,
    ).to_json_dict()
    for result in native["results"]:
        result["result"] = _printable(result["result"])
    suite: ExpectationSuiteValidationResult = core.expectationSuiteValidationResultSchema.load(native)
    return suite


def _printable(value: Any) -> Any:
    """Values as GX can print them: it fails on NumPy's numbers, and puts strings into the page as if they were HTML."""
    if isinstance(value, dict):
        return {key: _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, str):
        return html.escape(value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…", quote=False)
    return float(value) if isinstance(value, float) else value  # NumPy's float64 is a float, too


def _render(
    contract: Contract,
    files: Sequence[SourceFile],
    evaluated: bytes,
    when: datetime,
    facts: Mapping[str, Any],
    refusal: str | None,
) -> str:
    outcome = _suite_result(contract, files, read_evaluated(evaluated), when)
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer(column_section_renderer=_COLUMN_SECTIONS).render(outcome)
    header = document.sections[0].content_blocks[0].subheader.string_template
    del header["styling"]["params"]["expectation_suite_name"]  # a link to a page that only GX's own sites have
    view = DefaultJinjaPageView(custom_views_directory=str(_HERE))
    text: str = view.render(document, template="data_docs.html", contract=contract, facts=facts, refusal=refusal)
    return text
