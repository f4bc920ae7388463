"""Groups of equal structures: which entries of several sources are the same crystal.

Two structures are equal if pymatgen's StructureMatcher maps one onto the other (another cell, origin, size of cell, and
small shifts do not matter) and their volumes per atom differ by at most a tenth. Where their space groups differ, only
noise may lie between them, so that polymorphs stay apart also where little moves, such as cubic and tetragonal BaTiO3;
and so do structures under pressure that halved their volume.

Not here: reading (`parse`), symmetry (`symmetry`), and what is done with duplicates (splits, refreshes).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import TYPE_CHECKING

from matstrata.pipelines.entities.structures.parsed import ParsedStructure

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

VOLUME_TOLERANCE = 0.1
"""Largest difference of two volumes per atom, as a part of the smaller one."""

NOISE = 0.04
"""Angstrom; how far an atom may lie from its place in a structure of another space group that is still the same."""

_TASKS_PER_WORKER = 8  # parts of equal length, so that one with slow structures does not hold up the rest


@dataclass(frozen=True)
class _Member:
    """A structure with what is compared before the matcher is asked."""

    place: int
    space_group: int | None
    protostructure: str | None
    parsed: ParsedStructure

    @cached_property
    def text(self) -> str:
        return self.parsed.to_cif()

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Depends on the structure alone, so that the groups do not depend on the order of the input.

        High symmetry and small cells come first: they make the best representatives.
        """
        return (-(self.space_group or 0), self.protostructure or "", self.parsed.n_sites, self.text)

    @cached_property
    def reduced(self) -> Structure:
        """The primitive, Niggli-reduced cell: what the matcher would work out again at each comparison."""
        from pymatgen.core.structure import Structure  # 0.1 s to import

        mixes = [dict(mix) for mix in self.parsed.species]
        structure = Structure(self.parsed.matrix, mixes, self.parsed.frac_coords)
        return structure.get_reduced_structure(reduction_algo="niggli").get_primitive_structure()


def group_structures(
    material_ids: Sequence[str],
    space_groups: Sequence[int | None],
    protostructures: Sequence[str | None],
    parsed: Sequence[ParsedStructure],
    n_workers: int = 1,
) -> list[int]:
    """Group equal structures; the four sequences have one item per structure.

    Only structures of one material are compared, each with one representative per group: those with the same
    protostructure first, then all others, because noise changes symmetry labels.

    Args:
        material_ids: Compositions; different ones are never equal.
        space_groups: Numbers, or None.
        protostructures: Labels, or None.
        parsed: The structures.
        n_workers: Processes to use; worth it from some ten thousand structures on.

    Returns:
        A label per structure, equal within a group: 0, 1, 2, ... in the order of the materials' ids and then of the
        representatives. The same structures give the same labels, in whatever order they come.

    Raises:
        ValueError: The sequences differ in length.
    """
    materials: dict[str, list[_Member]] = {}
    rows = zip(material_ids, space_groups, protostructures, parsed, strict=True)
    for place, (material_id, space_group, protostructure, structure) in enumerate(rows):
        member = _Member(place, space_group, protostructure, structure)
        materials.setdefault(material_id, []).append(member)
    buckets = [materials[material_id] for material_id in sorted(materials)]
    several = [bucket for bucket in buckets if len(bucket) > 1]
    pairs = iter(_found(several, n_workers))
    labels = [0] * len(parsed)
    label = 0
    for bucket in buckets:
        groups = next(pairs) if len(bucket) > 1 else [[bucket[0].place]]
        for group in groups:
            for place in group:
                labels[place] = label
            label += 1
    return labels


def _found(buckets: list[list[_Member]], n_workers: int) -> list[list[list[int]]]:
    if n_workers <= 1 or len(buckets) < n_workers:
        return _grouped(buckets)
    step = max(1, len(buckets) // (n_workers * _TASKS_PER_WORKER))
    tasks = [buckets[start : start + step] for start in range(0, len(buckets), step)]
    # Not by fork: the parent may run threads (Dagster, Arrow), and a fork copies their locks.
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
        return [groups for done in pool.map(_grouped, tasks) for groups in done]


def _grouped(buckets: list[list[_Member]]) -> list[list[list[int]]]:
    """The groups of each material, as places in the input."""
    if not buckets:
        return []
    from pymatgen.core.structure_matcher import StructureMatcher  # 0.2 s to import

    matcher = StructureMatcher()
    result = []
    for bucket in buckets:
        groups: list[list[_Member]] = []
        for member in sorted(bucket, key=lambda member: member.order):
            group = _home(member, groups, matcher)
            if group is None:
                groups.append([member])
            else:
                group.append(member)
        result.append([[member.place for member in group] for group in groups])
    return result


def _home(member: _Member, groups: list[list[_Member]], matcher: StructureMatcher) -> list[_Member] | None:
    """The first group whose representative equals the member, the likeliest groups first."""
    likely = [group for group in groups if group[0].protostructure == member.protostructure]
    other_prototypes = [group for group in groups if group[0].protostructure != member.protostructure]
    for group in [*likely, *other_prototypes]:
        if _equal(group[0], member, matcher):
            return group
    return None


def _equal(one: _Member, other: _Member, matcher: StructureMatcher) -> bool:
    volumes = sorted([one.parsed.volume_per_atom, other.parsed.volume_per_atom])
    if volumes[1] > volumes[0] * (1 + VOLUME_TOLERANCE):
        return False
    if one.text == other.text:
        return True
    try:
        if not matcher.fit(one.reduced, other.reduced, skip_structure_reduction=True):
            return False
        if None in (one.space_group, other.space_group) or one.space_group == other.space_group:
            return True
        moved = matcher.get_rms_dist(one.reduced, other.reduced)
        # the matcher counts in units of the mean spacing of the atoms
        spacing = (one.parsed.volume_per_atom * other.parsed.volume_per_atom) ** (1 / 6)
        return moved is not None and moved[1] * spacing <= NOISE
    except (ValueError, ArithmeticError, RuntimeError):  # a cell that pymatgen can't reduce equals none but itself
        return False
