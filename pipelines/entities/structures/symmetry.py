"""Space group, Pearson symbol and protostructure of a structure, by moyopy.

A protostructure says which kind of atom sits on which Wyckoff positions of which space group, in AFLOW's notation:
`AB_cF8_225_a_b:Cl-Na`. The choice among settings that the space group's Euclidean normalizer makes equal follows
aviary: the letters nearest to the beginning of the alphabet, then the smallest text. That normalizer is all that
moyopy offers: it depends on the cell's metric, so that exchanged axes of an orthorhombic cell, or another cell choice
of a monoclinic one, may still give another label (2 of aviary's 68 examples do). Labels help to find equal structures
quickly; they never decide alone.

Not here: whether two structures are the same (`duplicates`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from math import gcd
from string import ascii_uppercase
from typing import TYPE_CHECKING, TypeVar

from matstrata.pipelines.entities.structures.parsed import Mix, ParsedStructure, is_full

if TYPE_CHECKING:
    from moyopy import MoyoDataset

_Setting = tuple[tuple[tuple[str, int], ...], ...]  # per kind of atom: (Wyckoff letter, number of orbits)
_Answer = TypeVar("_Answer")

SYMPREC = 0.01
"""Angstrom; how far atoms may lie from the places that a symmetry asks for."""

WIDER_SYMPREC = 0.1
"""Angstrom; tried where the narrower one gives no answer."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """What is known of a structure's symmetry; where nothing could be found, all is None and a note says why.

    Attributes:
        space_group: its number, 1 to 230.
        pearson: such as `cF8`; a site shared by several elements counts as one atom.
        protostructure: such as `AB_cF8_225_a_b:Cl-Na`; shared sites are kinds of their own, in brackets.
        notes: what had to be assumed.
    """

    space_group: int | None
    pearson: str | None
    protostructure: str | None
    notes: tuple[str, ...] = ()


def symmetry_of(parsed: ParsedStructure, *, symprec: float = SYMPREC, wider: float = WIDER_SYMPREC) -> Symmetry:
    """Find the symmetry of a structure; never raises.

    Args:
        parsed: The structure. Distinct mixes of elements on its sites count as distinct kinds of atoms.
        symprec: Tolerance in angstrom.
        wider: Tolerance to try where the first gives no answer.

    Returns:
        The symmetry, or one without content and a note where both tolerances fail.
    """
    names = [_kind(mix) for mix in parsed.species]
    kinds = sorted(set(names))
    numbers = [kinds.index(name) + 1 for name in names]
    for tolerance in (symprec, wider):
        dataset = _answer(partial(_dataset, parsed, numbers, tolerance))
        if dataset is None:
            continue
        notes = [] if tolerance == symprec else [f"symmetry found with a tolerance of {tolerance:g} angstrom only"]
        settings = _answer(partial(_equal_settings, dataset))
        if settings is None:
            notes.append("the protostructure's Wyckoff letters are those of one setting, not of the canonical one")
            settings = {_own_setting(dataset, numbers)}
        label = _protostructure(dataset, kinds, settings)
        return Symmetry(dataset.number, _pearson(dataset), label, tuple(notes))
    return Symmetry(None, None, None, (f"no symmetry was found with tolerances of {symprec:g} and {wider:g} angstrom",))


def _answer(ask: Callable[[], _Answer]) -> _Answer | None:
    """What moyopy says, or None where it finds nothing or fails."""
    try:
        return ask()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 - a panic in Rust arrives as a BaseException
        return None


def _kind(mix: Mix) -> str:
    if is_full(mix):
        return mix[0][0]
    return "(" + "".join(f"{symbol}{occupancy:.4g}" for symbol, occupancy in mix) + ")"


def _dataset(parsed: ParsedStructure, numbers: list[int], symprec: float) -> MoyoDataset:
    from moyopy import Cell, MoyoDataset  # 0.01 s to import

    # It warns of each supercell that the operations listed for it are not all; they are not used here.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    return MoyoDataset(Cell(parsed.matrix.tolist(), parsed.frac_coords.tolist(), numbers), symprec=symprec)


def _pearson(dataset: MoyoDataset) -> str:
    """AFLOW writes oC for every orthorhombic cell with one centered face, moyopy oS."""
    return dataset.pearson_symbol.replace("oS", "oC")


def _protostructure(dataset: MoyoDataset, kinds: Sequence[str], settings: set[_Setting]) -> str:
    amounts = Counter(dataset.std_cell.numbers)
    present = [kinds[number - 1] for number in sorted(amounts)]
    divisor = gcd(*amounts.values())
    anonymous = "".join(
        letters + (str(amount) if amount > 1 else "")
        for letters, amount in zip(_anonymous(), [amounts[n] // divisor for n in sorted(amounts)], strict=False)
    )
    wyckoffs = min(settings, key=lambda setting: (_remoteness(setting), setting))
    written = "_".join("".join(f"{n if n > 1 else ''}{letter}" for letter, n in kind) for kind in wyckoffs)
    return f"{anonymous}_{_pearson(dataset)}_{dataset.number}_{written}:{'-'.join(present)}"


def _own_setting(dataset: MoyoDataset, numbers: Sequence[int]) -> _Setting:
    """The Wyckoff positions that each kind occupies, in the setting that the dataset happens to have."""
    orbits = set(zip(numbers, dataset.wyckoffs, dataset.orbits, strict=True))
    counts = Counter((number, letter) for number, letter, _ in orbits)
    kinds: dict[int, list[tuple[str, int]]] = {}
    for (number, letter), n in sorted(counts.items()):
        kinds.setdefault(number, []).append((letter, n))
    return tuple(tuple(kinds[number]) for number in sorted(kinds))


def _equal_settings(dataset: MoyoDataset) -> set[_Setting]:
    """The Wyckoff positions that each kind occupies, in every setting that the normalizer makes equal."""
    numbers = dataset.std_cell.numbers
    settings = set()
    for _, positions in dataset.normalizer_wyckoff_positions().coset_representatives:
        atoms: Counter[tuple[int, str]] = Counter()
        multiplicities: dict[str, int] = {}
        for number, position in zip(numbers, positions, strict=True):
            atoms[number, position.letter] += 1
            multiplicities[position.letter] = position.multiplicity
        kinds: dict[int, list[tuple[str, int]]] = {}
        for (number, letter), n in sorted(atoms.items()):
            kinds.setdefault(number, []).append((letter, n // multiplicities[letter]))
        settings.add(tuple(tuple(kinds[number]) for number in sorted(kinds)))
    return settings


def _remoteness(setting: _Setting) -> int:
    letters: Iterable[str] = (letter for kind in setting for letter, _ in kind)
    return sum(0 if letter == "A" else ord(letter) - ord("a") + 1 for letter in letters)


def _anonymous() -> Iterable[str]:
    """A to Z, then AA, AB and on."""
    for length in count(1):
        for letters in product(ascii_uppercase, repeat=length):
            yield "".join(letters)
