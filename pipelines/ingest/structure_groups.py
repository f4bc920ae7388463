"""Finding equal structures across all sources, where new ones came in.

Not here: when two structures are equal (`structures.duplicates`), and the table (`store.records.structures`).
"""

from __future__ import annotations

import logging

from matstrata.store.lake.lake import Lake
from matstrata.store.records.structures import waiting, write_groups

log = logging.getLogger("matstrata.ingest")


def update_groups(lake: Lake) -> int:
    """Group the structures of every composition that has a new one. Returns how many were looked at.

    A group is named by the smallest `structure_id` in it.
    """
    table = waiting(lake)
    if not table.num_rows:
        return 0
    from matstrata.pipelines.entities.structures.duplicates import group_structures  # deferred: pymatgen, 1 s
    from matstrata.pipelines.entities.structures.parse import parse_structure

    log.info("comparing %s structures", f"{table.num_rows:,}")
    identifiers = table["structure_id"].to_pylist()
    labels = group_structures(
        table["material_id"].to_pylist(),
        table["space_group"].to_pylist(),
        table["protostructure"].to_pylist(),
        [parse_structure(cif) for cif in table["cif"].to_pylist()],
    )
    names: dict[int, str] = {}
    for label, identifier in zip(labels, identifiers, strict=True):  # ordered by id: the first is the smallest
        names.setdefault(label, identifier)
    write_groups(lake, {identifier: names[label] for label, identifier in zip(labels, identifiers, strict=True)})
    return table.num_rows
