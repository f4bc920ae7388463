"""Refreshing one source: files -> raw records -> observations and rejections -> validated -> committed.

Not here: how each of these is done (the other modules of this package, and `store.records.sources`), and the page of
the validation (`documented`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa

from matstrata.pipelines.ingest.observations import Observed, observe, quarantine
from matstrata.pipelines.ingest.readers import get_reader, reader_package
from matstrata.pipelines.ingest.records import ReadError, SourceFile
from matstrata.pipelines.ingest.validating.validation import RefusedError, Validation, validate
from matstrata.schemas.contracts import Contract
from matstrata.schemas.properties import get_property
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import code_signature, signature
from matstrata.store.records.sources import Earlier, earlier, formulas, ingested, keep_refusal, refresh

log = logging.getLogger("matstrata.ingest")

_DECISIVE = {"name", "unit", "lower", "upper", "zero_class", "typical"}
"""What decides, of a property's declaration, which values a source gives; titles and synonyms don't."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a refresh found and did.

    Attributes:
        source: the source.
        rows_in: records in its files.
        rows_accepted: records that became observations.
        rows_rejected: records that were refused.
        inserted: observations added.
        updated: observations changed.
        deleted: observations removed.
        changed: whether anything of the store is another than before.
        refreshed_at: when the files were read, now or before.
        validation: what validation found; None where nothing was read, as files, contract and code are the same.
    """

    source: str
    rows_in: int
    rows_accepted: int
    rows_rejected: int
    inserted: int
    updated: int
    deleted: int
    changed: bool
    refreshed_at: datetime
    validation: Validation | None = None


def refresh_source(
    lake: Lake, contract: Contract, files: Sequence[SourceFile], *, accept_change: bool = False
) -> Ingested:
    """Bring the store up to date with a source.

    Nothing is read where files, contract and code are those of the last refresh; nothing is written of what did not
    change. Data that differ suspiciously from the last refresh stop it, unless `accept_change`.

    Raises:
        ReadError: a file is unusable, or every record of the source is refused.
        WorkError: a table-level rule failed, or the commit did; the data in the store are as they were.
    """
    hashes = [file.sha256 for file in files]
    sign = _signer(contract)
    current = sign(hashes)
    with lake.reader() as con:
        before = ingested(con, contract.source).get(contract.source)
        if before is not None and before["signature"] == current:
            log.info("%s: unchanged, %s records", contract.source, f"{before['rows_in']:,}")
            counts = (before["rows_in"], before["rows_accepted"], before["rows_rejected"])
            return Ingested(contract.source, *counts, 0, 0, 0, changed=False, refreshed_at=before["refreshed_at"])
        log.info("%s: reading %s", contract.source, ", ".join(file.name for file in files))
        last = None if accept_change or not _same_meaning(before, contract) else earlier(con, contract.source)
        only_files_differ = before is not None and before["signature"] == sign(_hashes_of(before))
        spellings = formulas(con, contract.source) if only_files_differ else None
    try:
        observed, validation = examine(contract, files, last, spellings)
    except (RefusedError, AllRefusedError) as refused:
        results = _validations_table(contract.source, _one_hash(hashes), refused.validation, datetime.now(UTC))
        keep_refusal(lake, contract.source, results)
        raise
    rejected = len(observed.rejections)
    now = datetime.now(UTC)
    window = contract.reconcile.temperature_k or (None, None)
    row = {
        "source": contract.source,
        "title": contract.title,
        "kind": contract.kind,
        "method": contract.method,
        "licence": contract.licence,
        "citation": contract.citation.bibtex,
        "doi": contract.citation.doi,
        "file_sha256": _one_hash(hashes),
        "files": json.dumps([{"name": file.name, "sha256": file.sha256} for file in files]),
        "contract_sha256": contract.sha256,
        "signature": current,
        "policy": contract.reconcile.policy,
        "label_min_temperature_k": window[0],
        "label_max_temperature_k": window[1],
        "rows_in": observed.rows_in,
        "rows_accepted": observed.rows_in - rejected,
        "rows_rejected": rejected,
        "refreshed_at": now,
    }
    done = refresh(
        lake,
        row,
        observed.observations,
        _rejections_table(contract, observed),
        _validations_table(contract.source, _one_hash(hashes), validation, now),
        observed.structures,
    )
    log.info(
        "%s: %s records in, %s accepted, %s rejected; %s observations added, %s changed, %s removed",
        contract.source,
        *(f"{count:,}" for count in (observed.rows_in, row["rows_accepted"], rejected)),
        *(f"{count:,}" for count in (done.inserted, done.updated, done.deleted)),
    )
    return Ingested(
        contract.source,
        observed.rows_in,
        observed.rows_in - rejected,
        rejected,
        done.inserted,
        done.updated,
        done.deleted,
        done.changed,
        now,
        validation,
    )


def unchanged(lake: Lake, contracts: Mapping[str, Contract], files: Mapping[str, Sequence[SourceFile]]) -> list[str]:
    """Of these sources those whose files, contract and code are still those of their last refresh.

    Args:
        lake: the store; there may be none yet.
        contracts: by source.
        files: of each of these sources.
    """
    if not lake.exists():
        return []
    with lake.reader() as con:
        before = ingested(con, *contracts)
    return [
        source
        for source, row in before.items()
        if row["signature"] == _signer(contracts[source])([file.sha256 for file in files[source]])
    ]


class AllRefusedError(ReadError):
    """No record of a source is sound: the file or the contract is wrong, not the data.

    `observed` holds the rejections; `validation` is of the records that came so far, if any did.
    """

    def __init__(self, contract: Contract, observed: Observed, validation: Validation | None = None) -> None:
        first = observed.rejections[0]
        super().__init__(
            f"source {contract.source} is refused, the data in the store stay as they were: "
            f"all {observed.rows_in:,} records break a rule; the first, {first.source_record}, {first.rule_id}: "
            f"{first.reason}"
        )
        self.observed = observed
        self.validation = validation or Validation()


def examine(
    contract: Contract,
    files: Sequence[SourceFile],
    last: Earlier | None = None,
    spellings: pa.Table | None = None,
) -> tuple[Observed, Validation]:
    """Read and validate a source without writing anything.

    Args:
        contract: the source.
        files: its files.
        last: what the last refresh left, to compare the new data with.
        spellings: of formulas that the same code has read before, `formula_reported` and `material_id`.

    Raises:
        AllRefusedError: every record is refused.
        ReadError, WorkError: as `refresh_source`.
    """
    raw = get_reader(contract.reader).read(files, contract.options)
    observed = observe(contract, raw, spellings)
    if _is_spoilt(observed):
        raise AllRefusedError(contract, observed)
    log.info("%s: validating %s observations", contract.source, f"{observed.observations.num_rows:,}")
    validation = validate(observed.observations, contract, last)
    observed = quarantine(observed, raw, validation.quarantined)
    if _is_spoilt(observed):
        raise AllRefusedError(contract, observed, validation)
    return observed, validation


def _same_meaning(before: Mapping[str, object] | None, contract: Contract) -> bool:
    """Whether the last refresh was by the same contract: another unit or column is a change that is meant."""
    return before is not None and before["contract_sha256"] == contract.sha256


def _is_spoilt(observed: Observed) -> bool:
    return not observed.observations.num_rows and bool(observed.rejections)


def _signer(contract: Contract) -> Callable[[Sequence[str]], str]:
    """What gives the signature of the source, as contract and code stand now, with files of these hashes."""
    vocabulary = [get_property(name).model_dump(include=_DECISIVE) for name in contract.properties]
    code = _reading_code(contract.reader, contract.columns.structure is not None)
    package = reader_package(contract.reader)
    return lambda hashes: signature(contract.sha256, list(hashes), vocabulary, code, package)


@lru_cache(maxsize=64)
def _reading_code(reader: str, has_structures: bool) -> str:  # noqa: FBT001 (a key of the cache)
    """The signature of the code that reads and validates a source; what reads structures counts where it has some."""
    unused = ["matstrata.pipelines.ingest.readers.__init__"]  # another reader in the list changes nothing
    if not has_structures:
        unused.append("matstrata.pipelines.entities.structures")
    return code_signature([examine, get_reader(reader).read], unused)


def _one_hash(hashes: Sequence[str]) -> str:
    """The hash of a source's file, or one of all its files' hashes."""
    return hashes[0] if len(hashes) == 1 else signature(list(hashes))


def _hashes_of(row: Mapping[str, Any]) -> list[str]:
    """The hashes of the files that a row of `sources` was made of."""
    return [file["sha256"] for file in json.loads(row["files"])]


def _rejections_table(contract: Contract, observed: Observed) -> pa.Table:
    rows = [
        {
            "source": contract.source,
            "source_record": rejection.source_record,
            "rule_id": rejection.rule_id,
            "reason": rejection.reason,
            "raw": rejection.raw,
            "file_sha256": rejection.file_sha256,
        }
        for rejection in observed.rejections
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["rejections"].arrow_schema)


def _validations_table(source: str, file_sha256: str, validation: Validation, now: datetime) -> pa.Table:
    rows = [
        {
            "source": source,
            "rule_id": result.rule_id,
            "column": result.column,
            "property": result.property,
            "severity": result.severity,
            "success": result.success,
            "checked": result.checked,
            "unexpected": result.unexpected,
            "file_sha256": file_sha256,
            "validated_at": now,
        }
        for result in validation.results
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["validations"].arrow_schema)
