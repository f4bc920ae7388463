"""Structures as JSON: pymatgen's own form, alone or inside an entry, and OPTIMADE's attributes.

Both are read without pymatgen, whose `from_dict` guesses at unknown species. Not here: other formats, common checks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.entities.structures.errors import StructureError, shown, unreadable
from matstrata.pipelines.entities.structures.sites import MOST_SITES, Sites

_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:[0-9.]*[-+])?\Z")
_DEEPEST = 3  # how far a structure may be wrapped: {"data": {"attributes": {...}}}


def read_json(text: str) -> Sites:
    """Read a structure from JSON.

    Args:
        text: A pymatgen Structure, an entry that holds one under `structure`, or OPTIMADE structure attributes, alone
            or inside `attributes` and `data`.

    Returns:
        Its sites.

    Raises:
        StructureError: `structure.unreadable`, `.empty` or `.not_periodic`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "its depth"
        raise unreadable(f"The text begins like JSON but is not: the fault is at {place}; write valid JSON.") from error
    return _read_document(document, _DEEPEST)


def _read_document(document: Any, deepest: int) -> Sites:
    if isinstance(document, list):
        raise unreadable(f"The JSON is a list of {len(document)} items; give one structure per record.")
    if not isinstance(document, dict):
        raise unreadable("The JSON is not an object; give a pymatgen Structure or OPTIMADE attributes.")
    if "cartesian_site_positions" in document or "lattice_vectors" in document:
        return _read_optimade(document)
    if "sites" in document:
        return _read_pymatgen(document)
    for key in ("structure", "attributes", "data"):
        if isinstance(document.get(key), dict) and deepest:
            return _read_document(document[key], deepest - 1)
    raise unreadable(
        "The JSON holds no structure: neither pymatgen's lattice and sites nor OPTIMADE's lattice_vectors, "
        "cartesian_site_positions, species and species_at_sites are there."
    )


def _read_pymatgen(document: Mapping[str, Any]) -> Sites:
    lattice = document.get("lattice")
    if not isinstance(lattice, dict):
        raise StructureError(
            "structure.not_periodic", "The JSON has sites but no lattice: a molecule is not a crystal."
        )
    periodic = lattice.get("pbc", [True, True, True])
    if not isinstance(periodic, list) or not all(periodic) or len(periodic) != 3:
        raise StructureError(
            "structure.not_periodic", f"lattice.pbc is {shown(periodic)}: only crystals periodic in 3 directions fit."
        )
    matrix = _vectors(lattice.get("matrix"), "lattice.matrix")
    if len(matrix) != 3:
        raise unreadable(f"lattice.matrix has {len(matrix)} vectors instead of 3; correct it.")
    rows = _rows(document["sites"], "sites")
    coords, mixes, names = [], [], []
    for number, row in enumerate(rows, start=1):
        where = f"sites[{number - 1}]"
        if not isinstance(row, dict):
            raise unreadable(f"{where} is not an object; write it as pymatgen does.")
        coords.append(row.get("abc"))
        names.append(str(row.get("label") or number))
        mix: dict[str, float] = {}
        for part in _rows(row.get("species"), f"{where}.species"):
            if not isinstance(part, dict):
                raise unreadable(f"{where}.species holds {shown(part)} instead of an object with element and occu.")
            symbol = _symbol(part.get("element"), where)
            mix[symbol] = mix.get(symbol, 0.0) + _number(part.get("occu", 1), f"{where}.species occu")
        mixes.append(mix)
    return Sites(matrix, _vectors(coords, "abc of sites"), mixes, names)


def _read_optimade(document: Mapping[str, Any]) -> Sites:
    _check_periodic(document)
    matrix = _vectors(document.get("lattice_vectors"), "lattice_vectors")
    if len(matrix) != 3:
        raise unreadable(f"lattice_vectors has {len(matrix)} vectors instead of 3; correct it.")
    positions = _vectors(document.get("cartesian_site_positions"), "cartesian_site_positions")
    names = [str(name) for name in _rows(document.get("species_at_sites"), "species_at_sites")]
    if len(names) != len(positions):
        raise unreadable(f"species_at_sites names {len(names)} sites, cartesian_site_positions {len(positions)}.")
    notes: list[str] = []
    species = _optimade_species(document.get("species"), notes)
    if unknown := [name for name in names if name not in species]:
        raise unreadable(f"species_at_sites names {shown(unknown[0])}, which species does not describe; add it.")
    mixes = [dict(species[name]) for name in names]
    for place, share in _assembly_shares(document.get("assemblies"), len(names)).items():
        mixes[place] = {symbol: occupancy * share for symbol, occupancy in mixes[place].items()}
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise unreadable("lattice_vectors span no volume; correct them.")
    stated = document.get("chemical_formula_reduced")
    return Sites(
        matrix=matrix,
        frac_coords=positions @ np.linalg.inv(matrix),
        mixes=mixes,
        names=names,
        notes=notes,
        stated_formula=stated if isinstance(stated, str) and stated else None,
    )


def _check_periodic(document: Mapping[str, Any]) -> None:
    directions = document.get("nperiodic_dimensions")
    types = document.get("dimension_types")
    if directions is None and isinstance(types, list):
        directions = types.count(1)
    vectors = document.get("lattice_vectors")
    flat = isinstance(vectors, list) and any(v is None or (isinstance(v, list) and None in v) for v in vectors)
    if directions not in (None, 3) or (isinstance(types, list) and types != [1, 1, 1]) or flat:
        count = directions if directions not in (None, 3) else "fewer than 3"
        raise StructureError(
            "structure.not_periodic", f"The structure is periodic in {count} directions; only crystals, with 3, fit."
        )


def _optimade_species(listed: Any, notes: list[str]) -> dict[str, dict[str, float]]:
    species: dict[str, dict[str, float]] = {}
    for entry in _rows(listed, "species"):
        if not isinstance(entry, dict) or "name" not in entry:
            raise unreadable("Each of species must be an object with name, chemical_symbols and concentration.")
        name = str(entry["name"])
        symbols = _rows(entry.get("chemical_symbols"), f"chemical_symbols of species {shown(name)}")
        shares = _rows(entry.get("concentration"), f"concentration of species {shown(name)}")
        if len(symbols) != len(shares):
            raise unreadable(f"Species {shown(name)} has {len(symbols)} symbols but {len(shares)} concentrations.")
        mix: dict[str, float] = {}
        for symbol, share in zip(symbols, shares, strict=True):
            if symbol == "X":
                raise unreadable(f"Species {shown(name)} holds X, an unknown element; name the element.")
            amount = _number(share, f"concentration of species {shown(name)}")
            if symbol != "vacancy":
                element = _symbol(symbol, f"Species {shown(name)}")
                mix[element] = mix.get(element, 0.0) + amount
        if entry.get("attached"):
            notes.append(f"species {name}: attached atoms have no positions and are missing")
        species[name] = mix
    return species


def _assembly_shares(assemblies: Any, n_sites: int) -> dict[int, float]:
    """How often each site of an assembly is there: the probabilities of the groups that hold it."""
    shares: dict[int, float] = {}
    for assembly in _rows(assemblies or [], "assemblies"):
        if not isinstance(assembly, dict):
            raise unreadable("Each of assemblies must be an object with sites_in_groups and group_probabilities.")
        groups = _rows(assembly.get("sites_in_groups"), "sites_in_groups")
        chances = _rows(assembly.get("group_probabilities"), "group_probabilities")
        if len(groups) != len(chances):
            raise unreadable(f"An assembly has {len(groups)} groups but {len(chances)} probabilities.")
        for group, chance in zip(groups, chances, strict=True):
            for place in _rows(group, "sites_in_groups"):
                if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < n_sites:
                    raise unreadable(f"An assembly names site {shown(place)}; there are {n_sites}, counted from 0.")
                shares[place] = shares.get(place, 0.0) + _number(chance, "group_probabilities")
    return shares


def _rows(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise unreadable(f"{where} is {shown(value)} instead of a list; correct it.")
    if len(value) > MOST_SITES:
        raise unreadable(f"{where} has {len(value)} items; at most {MOST_SITES} sites are read.")
    return value


def _vectors(value: Any, where: str) -> NDArray[np.float64]:
    rows = _rows(value, where)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3:
            raise unreadable(f"{where}[{number}] is {shown(row)} instead of three numbers; correct it.")
    return np.array([[_number(item, where) for item in row] for row in rows], dtype=float).reshape(-1, 3)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unreadable(f"{where} holds {shown(value)} instead of a number; correct it.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise unreadable(f"{where} holds {shown(value)}, which is not a finite number; correct it.")
    return number


def _symbol(value: Any, where: str) -> str:
    match = _SYMBOL.match(value) if isinstance(value, str) else None
    if not match:
        raise unreadable(f"{where} holds {shown(value)}, which is not an element; name the element.")
    return match[1]
