"""What a contract would do to its files, without writing anything.

Not here: how it is shown (`pipelines.cli.tables`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.refresh import AllRefusedError, examine
from matstrata.schemas.contracts import Contract

_SHOWN = ("source_record", "formula_reported", "material_id", "property", "value", "unit", "value_reported")


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be accepted and refused, with examples.

    Attributes:
        rows_in: records in the files.
        accepted: records that would become observations.
        observations: how many of them.
        examples: of the observations.
        rejected: records refused, by rule.
        refused: examples of them, by rule.
        flagged: observations that carry a warning, by rule.
        structures: structures found.
    """

    rows_in: int
    accepted: int
    observations: int
    examples: list[dict[str, Any]]
    rejected: dict[str, int]
    refused: dict[str, list[dict[str, str]]]
    flagged: dict[str, int]
    structures: int


def dry_run(contract: Contract, files: Sequence[SourceFile], examples: int = 3) -> DryRun:
    """Read and validate the files of a contract as an ingestion would.

    Raises:
        ReadError, WorkError: as an ingestion would, where no single record is at fault.
    """
    try:
        observed, _ = examine(contract, files)
    except AllRefusedError as error:
        observed = error.observed
    refused: dict[str, list[dict[str, str]]] = {}
    for rejection in observed.rejections:
        rejected_examples = refused.setdefault(rejection.rule_id, [])
        if len(rejected_examples) < examples:
            rejected_examples.append({"source_record": rejection.source_record, "reason": rejection.reason})
    table = observed.observations
    flags = Counter(pc.list_flatten(table["flags"]).to_pylist())
    return DryRun(
        rows_in=observed.rows_in,
        accepted=observed.rows_in - len(observed.rejections),
        observations=table.num_rows,
        examples=table.select(_SHOWN).slice(0, examples).to_pylist(),
        rejected=dict(Counter(rejection.rule_id for rejection in observed.rejections).most_common()),
        refused=refused,
        flagged=dict(flags.most_common()),
        structures=observed.structures.num_rows,
    )
