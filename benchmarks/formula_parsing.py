"""Speed of formula parsing compared with pymatgen, and whether both give the same compositions.

Run as `python benchmarks/formula_parsing.py [table.csv ...]`: tables with a column `formula`; without any, the
formulas of the transport database in matminer's wheel.
"""

from __future__ import annotations

import csv
import io
import sys
import tarfile
import time
import warnings
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from matstrata.schemas.composition import Composition, parse_formula

_PEER_ROWS = 5_000  # for pymatgen a part only, or the benchmark would take minutes


def bundled_formulas(limit: int | None = None) -> list[str]:
    """Read the first formulas of Ricci et al.'s transport database (doi:10.1038/sdata.2017.85), 47,737 in all."""
    package = find_spec("matminer")
    if package is None or package.origin is None:
        raise FileNotFoundError("The formulas come with matminer, which is not installed: install it.")
    archive = Path(package.origin).parent / "utils" / "data_files" / "mp_transport" / "transport_database.tar.xz"
    with tarfile.open(archive, "r:xz") as members:
        member = members.extractfile("transport_database.csv")
        if member is None:
            raise FileNotFoundError(f"{archive} does not contain transport_database.csv: reinstall matminer.")
        rows = csv.DictReader(io.TextIOWrapper(member, encoding="utf-8", newline=""))
        return [row["pretty_formula"] for row in islice(rows, limit)]


def table_formulas(path: Path) -> list[str]:
    """Read the column `formula` of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return [row["formula"] for row in csv.DictReader(lines)]


def read_all(formulas: list[str]) -> list[Composition]:
    """Parse every formula without the cache, and compute the fields of a row of `materials` except the group."""
    compositions = []
    for formula in formulas:
        composition = parse_formula.__wrapped__(formula)
        _ = composition.material_id, composition.elements, composition.fractions
        compositions.append(composition)
    return compositions


def main() -> int:
    """Print the measurements; return 1 if pymatgen parses any formula differently."""
    paths = [Path(word) for word in sys.argv[1:]]
    formulas = [formula for path in paths for formula in table_formulas(path)] if paths else bundled_formulas()

    start = time.perf_counter()
    compositions = read_all(formulas)
    ours = (time.perf_counter() - start) / len(formulas)
    start = time.perf_counter()
    groups = {composition.group_id for composition in compositions}
    grouping = (time.perf_counter() - start) / len(formulas)

    from pymatgen.core.composition import Composition as Peer  # deferred: 2 s

    part = formulas[:: max(1, len(formulas) // _PEER_ROWS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every property that a noble gas lacks
        start = time.perf_counter()
        peers = []
        for formula in part:
            peer = Peer(formula, strict=True)
            _ = peer.reduced_formula, peer.fractional_composition
            peers.append(peer)
        theirs = (time.perf_counter() - start) / len(part)

    different = [f for f, peer in zip(part, peers, strict=True) if not _same(parse_formula(f), peer.as_dict())]
    print(f"{len(formulas):,} formulas, {len(groups):,} groups")
    print(f"parse, material_id, elements, fractions: {ours * 1e6:.1f} us a formula ({1 / ours:,.0f} a second)")
    print(f"group_id: {grouping * 1e6:.1f} us a formula")
    print(f"pymatgen, reduced and fractional formula: {theirs * 1e6:.1f} us a formula, ratio {theirs / ours:.0f}")
    print(f"parsed differently by pymatgen: {len(different)} of {len(part):,} {different[:3]}")
    return 1 if different else 0


def _same(composition: Composition, peer: dict[str, float]) -> bool:
    total = sum(peer.values())
    ours: dict[str, float] = {}
    for symbol, fraction in zip(composition.elements, composition.fractions, strict=True):
        key = "H" if symbol in {"D", "T"} else symbol  # pymatgen does not distinguish them
        ours[key] = ours.get(key, 0) + fraction
    return ours.keys() == peer.keys() and all(abs(ours[s] - peer[s] / total) < 1e-9 for s in ours)


if __name__ == "__main__":
    sys.exit(main())
