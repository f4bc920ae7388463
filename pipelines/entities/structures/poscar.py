"""VASP's POSCAR. Not here: elements guessed where a file of VASP 4 names none; such a file is refused."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.entities.structures.errors import shown, unreadable
from matstrata.pipelines.entities.structures.sites import MOST_SITES, Sites
from matstrata.schemas.elements import SYMBOLS

_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:[_/.0-9].*)?\Z")  # Fe_pv and Fe/1a2b3c are iron
_LAYOUT = "a comment, a scale, three vectors, element symbols, counts, 'Direct' or 'Cartesian', then positions"


def looks_like_poscar(text: str) -> bool:
    """Whether the second line holds a scale and the third a vector."""
    lines = text.split("\n", 4)
    return len(lines) > 3 and len(_floats(lines[1])) in (1, 3) and len(_floats(lines[2])) >= 3


def read_poscar(text: str) -> Sites:
    """Read a POSCAR of VASP 5, or one of VASP 4 whose comment or positions name the elements.

    Args:
        text: The file's text, with line feeds only.

    Returns:
        Its sites.

    Raises:
        StructureError: `structure.unreadable`.
    """
    lines = text.split("\n")
    matrix, factors = _cell(lines)
    line = 5
    symbols = _symbols(lines[line]) if len(lines) > line else None
    line += symbols is not None
    words = lines[line].split() if len(lines) > line else []
    if not words or not all(word.isascii() and word.isdigit() and len(word) < 7 for word in words):
        raise unreadable(f"POSCAR line {line + 1} should hold the counts of atoms; the layout is: {_LAYOUT}.")
    counts = [int(word) for word in words]
    if sum(counts) > MOST_SITES:
        raise unreadable(f"The POSCAR counts {sum(counts)} atoms; at most {MOST_SITES} are read. Give a smaller cell.")
    line += 1
    mode = lines[line].strip()[:1].lower() if len(lines) > line else ""
    if mode == "s":  # selective dynamics: which atoms may move is of no interest here
        line += 1
        mode = lines[line].strip()[:1].lower() if len(lines) > line else ""
    if not mode.isalpha():
        raise unreadable(f"POSCAR line {line + 1} should say 'Direct' or 'Cartesian'; the layout is: {_LAYOUT}.")
    rows = lines[line + 1 : line + 1 + sum(counts)]
    positions = [_floats(row)[:3] for row in rows]
    if len(positions) < sum(counts) or any(len(position) < 3 for position in positions):
        short = next((n for n, position in enumerate(positions) if len(position) < 3), len(positions))
        raise unreadable(
            f"POSCAR line {line + 2 + short}: the position of atom {short + 1} of {sum(counts)} is missing."
        )
    names = _names(symbols or _symbols(lines[0]), counts, rows)
    coords = np.array(positions, dtype=float).reshape(-1, 3)
    if mode in "ck":
        coords = coords * factors @ np.linalg.inv(matrix)
    return Sites(matrix, coords, [{name: 1.0} for name in names], names)


def _cell(lines: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scaled vectors, and the factors that also scale Cartesian positions."""
    vectors = [_floats(line)[:3] for line in lines[2:5]]
    scale = _floats(lines[1]) if len(lines) > 1 else []
    if len(vectors) < 3 or any(len(vector) < 3 for vector in vectors) or len(scale) not in (1, 3):
        raise unreadable(f"The text is not a POSCAR: its cell is incomplete; the layout is: {_LAYOUT}.")
    matrix = np.array(vectors)
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e5 or abs(np.linalg.det(matrix)) < 1e-9:
        raise unreadable("The POSCAR's vectors span no reasonable volume; check lines 3 to 5.")
    factors = np.array(scale if len(scale) == 3 else scale * 3)
    if len(scale) == 1 and scale[0] < 0:  # minus the volume of the cell
        factors = np.full(3, (-scale[0] / abs(np.linalg.det(matrix))) ** (1 / 3))
    if not np.isfinite(factors).all() or factors.min() < 1e-6 or factors.max() > 1e6:
        raise unreadable("The POSCAR's scale on line 2 must be a positive number, or minus the volume; correct it.")
    return matrix * factors, factors


def _names(symbols: list[str] | None, counts: list[int], rows: list[str]) -> list[str]:
    if symbols and len(symbols) == len(counts):
        return [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    last = [row.split()[-1] for row in rows]
    if all(word in SYMBOLS for word in last):
        return last
    raise unreadable(
        f"The POSCAR does not name one element for each of its counts {shown(counts)}; add a line of symbols."
    )


def _symbols(line: str) -> list[str] | None:
    """The elements that a line names, if it names nothing else."""
    matches = [_SYMBOL.match(word) for word in line.split()]
    symbols = [match[1] for match in matches if match and match[1] in SYMBOLS]
    return symbols if symbols and len(symbols) == len(matches) else None


def _floats(line: str) -> list[float]:
    """The numbers with which a line begins; VASP ignores what follows."""
    numbers: list[float] = []
    for word in line.split():
        try:
            number = float(word)
        except ValueError:
            break
        if not math.isfinite(number):
            break
        numbers.append(number)
    return numbers
