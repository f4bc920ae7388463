"""The element tables of Magpie (Ward et al. 2016, doi:10.1038/npjcompumats.2016.28), as matminer's wheel carries them.

Here: where the tables are and how a number in them reads. Not here: which tables a feature set takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def table_files(names: Iterable[str]) -> tuple[Path, ...]:
    """Return the files of the named tables, one value per line in the order of the periodic table.

    matminer is located, not imported: its import takes 4 s.

    Raises:
        FileNotFoundError: matminer is not installed.
    """
    package = find_spec("matminer")
    if package is None or package.origin is None:
        raise FileNotFoundError("The Magpie element tables come with matminer, which is not installed: install it.")
    folder = Path(package.origin).parent / "utils" / "data_files" / "magpie_elementdata"
    return tuple(folder / f"{name}.table" for name in names)


def number(word: str) -> float | None:
    """Return the number that a word of a table stands for; None where it reads `Missing`."""
    try:
        return float(word)
    except ValueError:
        return None
