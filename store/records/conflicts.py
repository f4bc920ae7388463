"""Where sources of one kind disagree about a material by more than measurements of it scatter.

Not here: the definitions of conflicts, labels and noise (`store.lake.views`).
"""

from __future__ import annotations

from typing import Any

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.terms import Kind
from matstrata.store.lake.lake import Lake
from matstrata.store.lake.views import CONFLICT_FACTOR
from matstrata.store.records.noise import pooled_noise


def conflicts(lake: Lake, property: str, kind: Kind) -> tuple[float, list[dict[str, Any]]]:
    """The threshold, in the property's unit, and the pairs of labels that contradict each other, the worst first.

    They are those of the view `conflicts` (`store.lake.views`). The threshold is `CONFLICT_FACTOR` times the noise of
    repeated measurements, pooled over all sources that measure the property; 0 where nothing was measured twice.

    Raises:
        InputError: There is no such property, or no source of that kind reports it.
    """
    get_property(property)
    threshold = CONFLICT_FACTOR * (pooled_noise(lake, property) or 0.0)
    with lake.reader() as con:
        if not con.execute(
            "SELECT 1 FROM observations WHERE property = ? AND kind = ? LIMIT 1", [property, kind]
        ).fetchone():
            raise InputError(
                f"the store has no {kind} of {property}; 'matstrata sources list' shows its sources, and --kind "
                "chooses between experiment and computation"
            )
        rows = (
            con.execute(
                "SELECT * EXCLUDE (property, kind, unit, threshold) FROM conflicts WHERE property = ? AND kind = ? "
                "ORDER BY difference DESC, material_id, source_a, source_b",
                [property, kind],
            )
            .to_arrow_table()
            .to_pylist()
        )
    return threshold, rows
