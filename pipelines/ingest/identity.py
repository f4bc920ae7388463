"""What a record is about: its composition, and the structure or molecule where it gives one.

Not here: how formulas, SMILES and structures are read (`schemas.formula`, `molecules`, `structures`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matstrata.pipelines.entities.molecules import SmilesError, read_smiles
from matstrata.schemas.composition import FormulaError, read_key
from matstrata.schemas.contracts import Contract
from matstrata.schemas.tables import TABLES

if TYPE_CHECKING:
    from matstrata.pipelines.entities.molecules import Molecule
    from matstrata.pipelines.entities.structures.parse import ParsedStructure

T = TypeVar("T")
Refuse = Callable[[int, str, str], None]

_DECIMAL_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9])")


@dataclass(frozen=True, slots=True)
class Identified:
    """What n records are about; null where a record was refused.

    Attributes:
        formulas: (n,) as reported, or as the structure or the molecule gives it.
        material_ids: (n,) compositions.
        entity_ids: (n,) the structure or molecule; null where only a composition is given.
        space_groups: (n,) numbers that trail a formula.
        molecules: (n,) canonical SMILES.
        assumed: (n,) whether something had to be assumed to read the structure.
        parsed: (n,) the structures.
    """

    formulas: pa.Array
    material_ids: pa.Array
    entity_ids: pa.Array
    space_groups: pa.Array
    molecules: list[str | None]
    assumed: pa.Array
    parsed: list[ParsedStructure | None]

    def structures(self, source: str, rows: NDArray[np.intp], records: pa.ChunkedArray) -> pa.Table:
        """Rows of the table `structures` for the given records, without their group."""
        schema = TABLES["structures"].arrow_schema
        structures = [(int(row), parsed) for row in rows if (parsed := self.parsed[row]) is not None]
        if not structures:
            return schema.empty_table()
        from matstrata.pipelines.entities.structures.symmetry import symmetry_of

        made = []
        for row, parsed in structures:
            symmetry = symmetry_of(parsed)
            made.append(
                {
                    "structure_id": self.entity_ids[row].as_py(),
                    "material_id": self.material_ids[row].as_py(),
                    "source": source,
                    "source_record": records[row].as_py(),
                    "space_group": symmetry.space_group,
                    "protostructure": symmetry.protostructure,
                    "structure_group": None,
                    "ordered": parsed.ordered,
                    "n_sites": parsed.n_sites,
                    **dict(zip(_LATTICE, parsed.lattice, strict=True)),
                    "volume_per_atom": parsed.volume_per_atom,
                    "density": parsed.density,
                    "cif": parsed.to_cif(),
                    "notes": list(parsed.notes),
                }
            )
        return pa.Table.from_pylist(made, schema=schema)


_LATTICE = ("lattice_a", "lattice_b", "lattice_c", "lattice_alpha", "lattice_beta", "lattice_gamma")


def identify(contract: Contract, table: pa.Table, refuse: Refuse, spellings_read: pa.Table | None = None) -> Identified:
    """Read formulas, structures and SMILES; what can't be read is refused with rule and sentence.

    Args:
        contract: says which columns hold them.
        table: the raw records.
        refuse: called with row, rule and sentence.
        spellings_read: spellings of formulas that the same code has read before, `formula_reported` and `material_id`.
    """
    n = table.num_rows
    columns = contract.columns
    parsed: list[ParsedStructure | None] = [None] * n
    molecules: list[Molecule | None] = [None] * n
    texts: pa.Array | None = None
    if columns.structure is not None:
        parsed = _read_structures(table[columns.structure], refuse)
        texts = pa.array([None if p is None else p.formula for p in parsed], pa.string())
    elif columns.smiles is not None:
        molecules = _read_molecules(table[columns.smiles], refuse)
        texts = pa.array([None if m is None else m.formula for m in molecules], pa.string())
    compositions = None if texts is None else _read_formulas(texts, contract.max_amount, refuse)
    if columns.formula is not None:
        reported = table[columns.formula].combine_chunks()
        stated = _read_formulas(reported, contract.max_amount, refuse, spellings_read, decimal=contract.decimal)
        if compositions is not None:
            _compare(stated, compositions, parsed, reported, refuse)
    else:
        assert texts is not None
        assert compositions is not None
        reported, stated = texts, compositions
    return Identified(
        formulas=reported,
        material_ids=stated.material_ids,
        entity_ids=pa.array(_entities(contract.source, parsed, molecules), pa.string()),
        space_groups=stated.space_groups,
        molecules=[None if m is None else m.smiles for m in molecules],
        assumed=pa.array([p is not None and bool(p.notes) for p in parsed], pa.bool_()),
        parsed=parsed,
    )


@dataclass(frozen=True, slots=True)
class _Compositions:
    material_ids: pa.Array
    space_groups: pa.Array


def _read_formulas(
    texts: pa.Array, max_amount: float, refuse: Refuse, spellings_read: pa.Table | None = None, *, decimal: str = "."
) -> _Compositions:
    """Compositions of formulas; each spelling that is not known is parsed once, and null stays null.

    With decimal commas, Bi2Te2,7 ends with an amount and not with a space group.
    """
    encoded = pc.dictionary_encode(texts)
    spellings = encoded.dictionary
    if spellings_read is None:
        ids_before = pa.nulls(len(spellings), pa.string())
    else:
        ids_before = (
            spellings_read["material_id"]
            .take(pc.index_in(spellings, spellings_read["formula_reported"]))
            .combine_chunks()
        )
    unknown = np.flatnonzero(ids_before.is_null().to_numpy(zero_copy_only=False))
    material_ids: list[str | None] = []
    space_groups: dict[int, int] = {}
    errors: dict[int, FormulaError] = {}
    for number, text in zip(unknown.tolist(), spellings.take(pa.array(unknown)).to_pylist(), strict=True):
        try:
            pointed = _DECIMAL_COMMA.sub(".", text) if decimal == "," else text
            material_id, space_group = read_key(pointed, max_amount)
        except FormulaError as error:
            material_id, errors[number] = None, error
        else:
            if space_group is not None:
                space_groups[number] = space_group
        material_ids.append(material_id)
    ids = pc.replace_with_mask(ids_before, ids_before.is_null(), pa.array(material_ids, pa.string()))
    groups = np.full(len(spellings), np.nan)
    groups[list(space_groups)] = list(space_groups.values())
    if errors:
        indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(np.isin(indices, list(errors))):
            wrong = errors[int(indices[row])]
            refuse(int(row), wrong.rule_id, str(wrong))
    space = pa.array(groups, pa.float64(), from_pandas=True).cast(pa.int64())
    return _Compositions(ids.take(encoded.indices), space.take(encoded.indices))


def _read_structures(texts: pa.ChunkedArray, refuse: Refuse) -> list[ParsedStructure | None]:
    from matstrata.pipelines.entities.structures.errors import StructureError
    from matstrata.pipelines.entities.structures.parse import parse_structure

    def read(row: int, text: str) -> ParsedStructure | None:
        try:
            return parse_structure(text)
        except StructureError as error:
            refuse(row, error.rule_id, str(error))
            return None

    return _each(texts, read)


def _read_molecules(texts: pa.ChunkedArray, refuse: Refuse) -> list[Molecule | None]:
    def read(row: int, text: str) -> Molecule | None:
        try:
            return read_smiles(text)
        except SmilesError as error:
            refuse(row, "smiles.syntax", str(error))
            return None

    return _each(texts, read)


def _each(texts: pa.ChunkedArray, read: Callable[[int, str], T | None]) -> list[T | None]:
    return [read(row, text or "") for row, text in enumerate(texts.to_pylist())]


def _compare(
    stated: _Compositions,
    derived: _Compositions,
    parsed: list[ParsedStructure | None],
    reported: pa.Array,
    refuse: Refuse,
) -> None:
    """Refuse a record whose formula is not that of its structure; occupancies are rounded, so only ordered ones."""
    differs = pc.fill_null(pc.not_equal(stated.material_ids, derived.material_ids), fill_value=False)
    for row in np.flatnonzero(differs.to_numpy(zero_copy_only=False)):
        structure = parsed[row]
        if structure is None or structure.ordered:
            refuse(
                int(row),
                "composition.contradiction",
                f"formula {reported[int(row)].as_py()!r} says {stated.material_ids[int(row)].as_py()}, but the "
                f"structure or molecule is {derived.material_ids[int(row)].as_py()}; correct one of the two",
            )


def _entities(source: str, parsed: list[ParsedStructure | None], molecules: list[Molecule | None]) -> list[str | None]:
    """Names of structures (by source, content and its count) and molecules (InChIKey)."""
    names: list[str | None] = []
    seen: dict[str, int] = {}
    for structure, molecule in zip(parsed, molecules, strict=True):
        if structure is not None:
            name = hashlib.md5(f"{source}\x1f{structure.to_cif()}".encode(), usedforsecurity=False).hexdigest()
            seen[name] = seen.get(name, 0) + 1
            names.append(f"{name[:24]}" if seen[name] == 1 else f"{name[:24]}-{seen[name]}")
        else:
            names.append(None if molecule is None else molecule.inchikey)
    return names
