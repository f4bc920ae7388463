"""The groups of equal structures: the structures without a group, and writing groups.

Not here: deciding which are equal (`pipelines.entities.structures.duplicates`).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from matstrata.store.lake.lake import Lake
from matstrata.store.lake.signatures import signature


def waiting(lake: Lake) -> pa.Table:
    """All structures of the compositions of which at least one structure has no group yet.

    Columns: structure_id, material_id, space_group, protostructure, cif, structure_group.
    """
    with lake.reader() as con:
        return con.execute(
            "SELECT structure_id, material_id, space_group, protostructure, cif, structure_group FROM structures "
            "WHERE material_id IN (SELECT material_id FROM structures WHERE structure_group IS NULL) "
            "ORDER BY structure_id"
        ).to_arrow_table()


def write_groups(lake: Lake, groups: Mapping[str, str]) -> None:
    """Set the group of each of the given structures."""
    with lake.commit("group structures", {"structures": len(groups)}) as transaction:
        transaction.con.register(
            "new_groups", pa.table({"structure_id": list(groups), "structure_group": list(groups.values())})
        )
        transaction.con.execute(
            "UPDATE structures s SET structure_group = g.structure_group FROM new_groups g "
            "WHERE s.structure_id = g.structure_id AND s.structure_group IS DISTINCT FROM g.structure_group"
        )


def structures_summary(lake: Lake) -> tuple[int, int, str]:
    """Number of structures, number of groups, and a hash of both."""
    with lake.reader() as con:
        row = con.execute(
            "SELECT count(*), count(DISTINCT structure_group), "
            "bit_xor(md5_number(structure_id || coalesce(structure_group, ''))) FROM structures"
        ).fetchone()
    assert row is not None
    return row[0], row[1], signature(row)
