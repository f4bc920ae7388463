"""A short way to give a store observations: sources of hand-written rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from matstrata.schemas.properties import get_property
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import signature
from matstrata.store.records.sources import Refreshed, refresh

Row = tuple[str, str, float] | tuple[str, str, float, Mapping[str, Any]]
Put = Callable[..., Refreshed]


@pytest.fixture
def put(lake: Lake) -> Put:
    """Make the store hold these rows of a source, (record, formula, value) and perhaps other columns, and no others."""

    def put(
        source: str,
        rows: Sequence[Row],
        rejections: Sequence[tuple[str, str]] = (),
        *,
        file: str = "a" * 64,
        **fields: Any,
    ) -> Refreshed:
        kind = fields.get("kind", "experiment")
        written = [_observation(source, kind, file, *row) for row in rows]
        refused = [
            {
                "source": source,
                "source_record": record,
                "rule_id": rule,
                "reason": "no",
                "raw": "{}",
                "file_sha256": file,
            }
            for record, rule in rejections
        ]
        accepted = len({row[0] for row in rows})
        return refresh(
            lake,
            {
                **dict.fromkeys(TABLES["sources"].column_names),
                "source": source,
                "kind": kind,
                "file_sha256": file,
                "contract_sha256": "c" * 64,
                "policy": "median",
                "rows_in": accepted + len(rejections),
                "rows_accepted": accepted,
                "rows_rejected": len(rejections),
                "refreshed_at": datetime.now(UTC),
                **fields,
            },
            pa.Table.from_pylist(written, schema=TABLES["observations"].arrow_schema),
            pa.Table.from_pylist(refused, schema=TABLES["rejections"].arrow_schema),
            TABLES["validations"].arrow_schema.empty_table(),
            TABLES["structures"].arrow_schema.empty_table(),
        )

    return put


def _observation(
    source: str, kind: str, file: str, record: str, formula: str, value: float, other: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    content = {
        **dict.fromkeys(TABLES["observations"].column_names),
        "source": source,
        "source_record": record,
        "material_id": formula,
        "formula_reported": formula,
        "property": "band_gap",
        "value": value,
        "value_reported": str(value),
        "kind": kind,
        "conditions": "{}",
        **(other or {}),
    }
    content["unit"] = content["unit_reported"] = get_property(content["property"]).unit
    identity = content.pop("key", record)
    position = content.pop("source_record")
    return {
        **content,
        "source_record": position,
        "observation_id": signature(source, identity, content["property"]),
        "file_sha256": file,
        "record_hash": signature(content),
    }
