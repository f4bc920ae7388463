"""The table of materials: one row for each composition that any observation names.

Not here: how a formula is read (`schemas.composition`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from matstrata.schemas.composition import parse_formula
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake, Transaction
from matstrata.store.lake.signatures import signature


@dataclass(frozen=True, slots=True)
class MaterialsUpdate:
    """The changes that an update made to the table."""

    added: int
    removed: int
    total: int
    snapshot: int
    changed: bool


def update_materials(lake: Lake) -> MaterialsUpdate:
    """Add the compositions that observations name and the table lacks; remove those that none names any more."""
    with lake.reader() as con:
        pending = con.execute(
            "SELECT (SELECT count(*) FROM observations ANTI JOIN materials USING (material_id)), "
            "(SELECT count(*) FROM materials ANTI JOIN observations USING (material_id)), "
            "(SELECT count(*) FROM materials), (SELECT id FROM lake.current_snapshot())"
        ).fetchone()
        assert pending is not None
    if pending[:2] == (0, 0):
        return MaterialsUpdate(0, 0, pending[2], pending[3], changed=False)
    with lake.commit("update materials") as transaction:
        missing = transaction.con.execute(
            "SELECT DISTINCT material_id FROM observations ANTI JOIN materials USING (material_id) ORDER BY material_id"
        ).to_arrow_table()["material_id"]
        transaction.insert("materials", describe(missing.to_pylist()))
        removed = _remove_unnamed(transaction)
        total = transaction.con.execute("SELECT count(*) FROM materials").fetchone()
        assert total is not None
        transaction.facts.update(added=len(missing), removed=removed)
    return MaterialsUpdate(len(missing), removed, total[0], transaction.snapshot, transaction.changed)


def describe(material_ids: list[str]) -> pa.Table:
    """Rows of the table `materials` for the given compositions."""
    compositions = [parse_formula(material_id, max_amount=float("inf")) for material_id in material_ids]
    return pa.table(
        {
            "material_id": [composition.material_id for composition in compositions],
            "group_id": [composition.group_id for composition in compositions],
            "chemical_system": [composition.chemical_system for composition in compositions],
            "elements": [list(composition.elements) for composition in compositions],
            "n_elements": [composition.n_elements for composition in compositions],
            "fractions": [list(composition.fractions) for composition in compositions],
        },
        schema=TABLES["materials"].arrow_schema,
    )


def _remove_unnamed(transaction: Transaction) -> int:
    row = transaction.con.execute(
        "DELETE FROM materials WHERE material_id NOT IN (SELECT DISTINCT material_id FROM observations)"
    ).fetchone()
    assert row is not None
    return int(row[0])


def materials_version(lake: Lake) -> str:
    """A hash of the compositions in the table: the same materials, the same version."""
    with lake.reader() as con:
        row = con.execute("SELECT count(*), bit_xor(md5_number(material_id)) FROM materials").fetchone()
    return signature(row)
