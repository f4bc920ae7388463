"""Any CIF, by pymatgen's parser; what that parser would guess, drop or leave unsaid is refused or noted here.

Not here: the plain layout (`plain_cif`), and checks that hold for every format (`sites`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from matstrata.pipelines.entities.structures.cif_faults import fault_in
from matstrata.pipelines.entities.structures.errors import StructureError, shown, unreadable
from matstrata.pipelines.entities.structures.sites import MOST_SITES, Sites, cell_matrix
from matstrata.schemas.elements import SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure
    from pymatgen.io.cif import CifBlock, CifParser

LONGEST_CIF = 2_000_000
"""Characters; the longest of small molecules' CIFs, with reflection data inside, have about a million."""

SITE_TOLERANCE = 1e-4
"""Of the cell: pymatgen's own."""

ROUNDED_SITE_TOLERANCE = 2e-3
"""Of the cell: for coordinates of three or four digits, whose images on special positions do not quite meet."""

_MOST_IMAGES = 20_000
_ESSENTIAL = re.compile(
    r"_cell_(?:length|angle)|_symmetry_|_space_group|_magnetic_space_group"
    r"|_atom_site_(?:label|type_symbol|fract_[xyz]|occupancy|attached_hydrogens)\Z"
)
_MODULATED = ("_cell_modulation_dimension", "_cell_wave_vector", "_cell_subsystem")
_UNKNOWN = frozenset({"", "?", "."})
_OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_CELL = (*(f"_cell_length_{axis}" for axis in "abc"), *(f"_cell_angle_{axis}" for axis in ("alpha", "beta", "gamma")))

_KEYS = {
    key.lower().replace(".", "_"): key
    for key in (
        *_CELL,
        *_COORDINATES,
        *_OPERATIONS,
        "_atom_site_label",
        "_atom_site_type_symbol",
        "_atom_site_occupancy",
        "_atom_site_calc_flag",
        "_chemical_formula_sum",
        "_symmetry_space_group_name_H-M",
        "_space_group_name_H-M_alt",
        "_space_group_IT_number",
        "_symmetry_Int_Tables_number",
    )
}
"""CIF keys know no case, and later dialects write dots; pymatgen wants exactly these spellings."""

_KEY = re.compile(r"(?im)^([ \t]*)(_(?:cell|atom_site|symmetry|space_group|chemical_formula)[\w.\-]*)")
_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?:\([^)]*\)?)?\s*\Z")
_WATER = re.compile(r"[Ww]at")  # pymatgen's words for a molecule whose hydrogens were not found
_GROUP = re.compile(r"OH|NO3")  # pymatgen leaves an OH out and takes a nitrate for its nitrogen

_ISOTOPE = re.compile(r"([DT])(?![a-z])")
_STAND_INS = {"D": "Og", "T": "Ts"}
"""Two elements of which no crystal will ever be known."""
_ISOTOPES = {stand_in: isotope for isotope, stand_in in _STAND_INS.items()}

_REMARKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Defaulting to P1"), "no symmetry is given; the atoms were taken for the whole cell (P1)"),
    (re.compile(r"Spacegroup from (\S+) used"), "no symmetry operations are given; those of {} were taken"),
    (re.compile(r"1-line symmetry op P1"), "the only symmetry operation is the identity"),
    (re.compile(r"(\S+) parsed as (\S+)"), "'{}' was read as {}"),
    (re.compile(r"(\d+) fractional coordinates rounded"), "{} coordinate(s) were taken for exact thirds"),
    (re.compile(r"implicit hydrogens"), "hydrogens that the source implies have no positions and are missing"),
    (re.compile(r"line: (.+)"), "passed over, as it belongs to no key: {}"),
)
_SILENT = re.compile(r"sum to > 1|No structure parsed|Issues encountered")  # said better elsewhere
_MOST_REMARKS = 8
_ILL_FORMED = (
    "The CIF can't be read: its quotes, numbers or symmetry operations are not well formed; "
    "check it with a CIF validator, such as checkCIF or cod-tools."
)


def read_cif(text: str, *, site_tolerance: float = SITE_TOLERANCE) -> Sites:
    """Read the first structure of a CIF.

    Args:
        text: The file's text, with line feeds only.
        site_tolerance: Symmetry images of atoms nearer than this part of the cell are one atom.

    Returns:
        Its sites, all symmetry operations applied.

    Raises:
        StructureError: `structure.unreadable`, `.empty` or `.occupancy`.
    """
    if len(text) > LONGEST_CIF:
        raise unreadable(f"The CIF has {len(text)} characters; at most {LONGEST_CIF} are read. Remove reflection data.")
    text = _KEY.sub(_with_known_key, text)
    if not re.search(r"^\s*data_", text, re.MULTILINE):
        text = f"data_unnamed\n{text}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structure, block, remarks = _parsed(text, site_tolerance)
        except StructureError:
            raise
        except Exception as error:  # pymatgen lets any error of its depths through
            _check_cell_in(text)
            raise unreadable(fault_in(text) or _ILL_FORMED) from error
    notes = _notes([*remarks, *[str(warning.message) for warning in caught]])
    if not any(block.get(key) for key in _OPERATIONS) and not any("symmetry" in note for note in notes):
        notes.append("no symmetry operations are given; those of the space group number were taken")
    return _as_sites(structure, block, notes)


def _with_known_key(match: re.Match[str]) -> str:
    return match[1] + _KEYS.get(match[2].lower().replace(".", "_"), match[2])


def _parsed(text: str, site_tolerance: float) -> tuple[Structure, Mapping[str, Any], list[str]]:
    from pymatgen.io.cif import CifFile, CifParser  # 0.4 s to import

    file = CifFile.from_str(text)
    with_atoms = [block for block in file.data.values() if _COORDINATES[0] in block.data]
    if not with_atoms:
        _check_cell_in(text)
        if fault := fault_in(text):
            raise unreadable(fault)
        _refuse_without_atoms([block.data for block in file.data.values()])
    block, remarks = with_atoms[0], []
    if len(with_atoms) > 1:
        remarks.append(f"line: {len(with_atoms) - 1} further structure(s) of the file")
    _check_block(block, remarks)
    _replace_isotopes(block)
    symmetric = len(_listed(block.data, _OPERATIONS)) != 1
    # Thirds are made exact only where symmetry operations need it: elsewhere the numbers are kept as they are.
    frac_tolerance = 1e-4 if symmetric else 0
    tolerance = site_tolerance if symmetric else SITE_TOLERANCE
    parser: Any = CifParser.from_str(
        _essential(block), frac_tolerance=frac_tolerance, site_tolerance=tolerance, check_cif=False
    )
    structures = parser.parse_structures(primitive=False, check_occu=False, on_error="ignore")
    _check_operations(parser)
    return structures[0], block.data, [*remarks, *parser.warnings]


def _essential(block: CifBlock) -> str:
    """The block without what is not needed, so that odd texts and quotes elsewhere in the file do no harm."""
    essential = {key: value for key, value in block.data.items() if _ESSENTIAL.match(key)}
    loops = [[key for key in loop if key in essential] for loop in block.loops]
    return str(type(block)(essential, [loop for loop in loops if loop], "structure"))


def _check_block(block: CifBlock, remarks: list[str]) -> None:
    """Refuse what pymatgen would guess or drop without a word, and correct what it misreads."""
    data = block.data
    if any(key.startswith(_MODULATED) for key in data):
        raise StructureError(
            "structure.not_periodic",
            "The CIF describes a modulated structure, which has no cell in three dimensions; give an approximant.",
        )
    lattice = [_cell_number(data, key) for key in _CELL] if all(key in data for key in _CELL) else None
    if lattice is None and not (data.get("_symmetry_cell_setting") or data.get("_space_group_crystal_system")):
        missing = ", ".join(key for key in _CELL if key not in data)
        raise unreadable(f"The CIF gives no complete cell: {missing} is missing; add it.")
    if lattice:
        cell_matrix(lattice)  # refuses impossible ones with a better sentence
    labels = data.get("_atom_site_label") or data.get("_atom_site_type_symbol")
    columns = [data.get(key) for key in _COORDINATES]
    if not isinstance(labels, list) or not all(isinstance(column, list) for column in columns):
        raise unreadable(
            "The CIF's atoms need one loop_ with a label (or type symbol) and fract_x, _y and _z; correct it."
        )
    if not labels:
        raise StructureError("structure.empty", "The CIF's loop of atoms has no rows: give at least one atom.")
    data.setdefault("_atom_site_label", labels)
    if data["_atom_site_label"] is labels and "_atom_site_label" not in {key for loop in block.loops for key in loop}:
        next(loop for loop in block.loops if "_atom_site_type_symbol" in loop).append("_atom_site_label")
    if len(labels) * max(1, len(_listed(data, _OPERATIONS))) > _MOST_IMAGES:
        raise unreadable(
            f"The CIF describes more than {_MOST_IMAGES} atom images; at most {MOST_SITES} sites are read."
        )
    _drop_dummies(data, remarks)
    for place, label in enumerate(data["_atom_site_label"]):
        _check_row(data, place, label)


def _replace_isotopes(block: CifBlock) -> None:
    """Let other symbols stand for D and T: to pymatgen their compositions equal hydrogen's, and it joins the sites."""
    labels = block.data["_atom_site_label"]
    symbols = block.data.get("_atom_site_type_symbol", labels)
    isotopes = [_ISOTOPE.match(symbol) for symbol in symbols]
    if not any(isotopes) or any(symbol.startswith(tuple(_STAND_INS.values())) for symbol in symbols):
        return
    if symbols is labels:
        next(loop for loop in block.loops if "_atom_site_label" in loop).append("_atom_site_type_symbol")
    block.data["_atom_site_type_symbol"] = [
        _STAND_INS[isotope[1]] if isotope else symbol for isotope, symbol in zip(isotopes, symbols, strict=True)
    ]


def _drop_dummies(data: dict[str, Any], remarks: list[str]) -> None:
    flags = data.get("_atom_site_calc_flag")
    if not isinstance(flags, list) or "dum" not in flags:
        return
    real_places = [place for place, flag in enumerate(flags) if flag != "dum"]
    for key in [key for key, column in data.items() if key.startswith("_atom_site_") and len(column) == len(flags)]:
        data[key] = [data[key][place] for place in real_places]
    remarks.append(f"line: {len(flags) - len(real_places)} dummy atom(s)")


def _check_row(data: dict[str, Any], place: int, label: str) -> None:
    where = f"Site {place + 1} ({shown(label)[1:-1]})"
    symbols = data.get("_atom_site_type_symbol", data["_atom_site_label"])
    if _GROUP.match(symbols[place]):
        raise unreadable(f"{where} is {shown(symbols[place])}, a group of atoms; give a row for each atom.")
    if not _names_element(symbols[place]):
        raise unreadable(f"{where} names no element, but {shown(symbols[place])}; give its type symbol.")
    if symbols is data["_atom_site_label"] and re.match(r"T(?![a-z])", label):
        raise unreadable(f"{where}: T may stand for tritium or for any tetrahedral atom; give its type symbol.")
    for key in _COORDINATES:
        value = data[key][place]
        if value in _UNKNOWN:
            raise unreadable(f"{where} has no position: {key} is {shown(value)}; give it, or delete the row.")
        if not _NUMBER.match(value):
            raise unreadable(f"{where}: {key} is {shown(value)}, which is not a number; correct it.")
    occupancies = data.get("_atom_site_occupancy")
    if not isinstance(occupancies, list):
        return
    if occupancies[place] in _UNKNOWN:
        occupancies[place] = "1"  # the default by the CIF dictionary; pymatgen takes "." for 0
    elif not _NUMBER.match(occupancies[place]) or occupancies[place].lstrip().startswith("-"):
        raise StructureError(
            "structure.occupancy",
            f"{where}: the occupancy is {shown(occupancies[place])}; it must be a number from 0 to 1.",
        )


def _names_element(word: str) -> bool:
    """Whether pymatgen finds an element at the beginning; it leaves other sites out without a word."""
    return word[:2].title() in SYMBOLS or word[:1].upper() in SYMBOLS or _WATER.match(word) is not None


def _cell_number(data: Mapping[str, Any], key: str) -> float:
    value = data[key]
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise unreadable(f"{key} is {shown(value)}, which is not a number; correct it.")
    return float(re.sub(r"\(.*", "", value))


def _listed(data: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    for key in keys:
        if value := data.get(key):
            return value if isinstance(value, list) else [value]
    return []


def _check_operations(parser: CifParser) -> None:
    """A slip in an operation, such as `x,x,z`, would put atoms where none are."""
    for operation in parser.symmetry_operations:
        if abs(abs(np.linalg.det(operation.rotation_matrix)) - 1) > 1e-6:
            raise unreadable(f"{operation.as_xyz_str()!r} is not a symmetry operation; correct the list of operations.")


def _check_cell_in(text: str) -> None:
    """Name the cell where it is at fault, even in a file whose other parts can't be read."""
    cell = [re.search(rf"^\s*{key}[ \t]+(\S+)", text, re.MULTILINE) for key in _CELL]
    data = {key: match[1] for key, match in zip(_CELL, cell, strict=True) if match}
    if len(data) == len(_CELL):
        cell_matrix([_cell_number(data, key) for key in _CELL])


def _refuse_without_atoms(blocks: Sequence[Mapping[str, Any]]) -> NoReturn:
    if any(key.startswith("_atom_site_cart") for data in blocks for key in data):
        raise unreadable("The CIF gives Cartesian coordinates; give fractional ones (_atom_site_fract_x, _y, _z).")
    raise unreadable("The CIF lists no atoms: a loop_ with _atom_site_label and _atom_site_fract_x, _y, _z is missing.")


def _notes(remarks: Sequence[str]) -> list[str]:
    """Say in plain words what pymatgen remarked."""
    notes: list[str] = []
    for remark in remarks:
        if _SILENT.search(remark):
            continue
        for pattern, sentence in _REMARKS:
            if match := pattern.search(remark):
                notes.append(sentence.format(*match.groups()))
                break
        else:
            notes.append("pymatgen: " + " ".join(remark.split())[:200])
    notes = list(dict.fromkeys(notes))
    if len(notes) > _MOST_REMARKS:
        notes[_MOST_REMARKS:] = [f"{len(notes) - _MOST_REMARKS} more remark(s) of this kind"]
    return notes


def _as_sites(structure: Structure, block: Mapping[str, Any], notes: list[str]) -> Sites:
    mixes: list[dict[str, float]] = []
    for site in structure:
        mix: dict[str, float] = {}
        for species, occupancy in site.species.items():
            symbol = _symbol(species)
            mix[symbol] = mix.get(symbol, 0.0) + float(occupancy)
        mixes.append(mix)
    stated = block.get("_chemical_formula_sum")
    a, b, c, alpha, beta, gamma = (float(value) for value in structure.lattice.parameters)
    if all(key in block for key in _CELL):  # the digits as written, not as they come back from the vectors
        a, b, c, alpha, beta, gamma = (_cell_number(block, key) for key in _CELL)
    lattice = (a, b, c, alpha, beta, gamma)
    return Sites(
        matrix=cell_matrix(lattice),
        frac_coords=np.array(structure.frac_coords, dtype=float),
        mixes=mixes,
        names=[str(site.label) for site in structure],
        notes=notes,
        lattice=lattice,
        stated_formula=stated if isinstance(stated, str) and stated not in _UNKNOWN else None,
    )


def _symbol(species: Any) -> str:
    """The element without its charge."""
    match = re.match(r"[A-Z][a-z]*", str(species))
    symbol = match[0] if match else str(species)
    return _ISOTOPES.get(symbol, symbol)
