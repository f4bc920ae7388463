"""Text of any known format becomes a checked structure, or a refusal that says why.

Here: telling the formats apart. Not here: the formats (`plain_cif`, `cif`, `json_text`, `poscar`), and the checks
(`sites`).
"""

from __future__ import annotations

import re

from matstrata.pipelines.entities.structures.cif import ROUNDED_SITE_TOLERANCE, read_cif
from matstrata.pipelines.entities.structures.errors import StructureError, unreadable
from matstrata.pipelines.entities.structures.json_text import read_json
from matstrata.pipelines.entities.structures.parsed import ParsedStructure
from matstrata.pipelines.entities.structures.plain_cif import read_plain_cif
from matstrata.pipelines.entities.structures.poscar import looks_like_poscar, read_poscar
from matstrata.pipelines.entities.structures.sites import Sites, checked

__all__ = ["ParsedStructure", "StructureError", "parse_structure"]

_CIF = re.compile(r"^[ \t]*(?:data_|loop_|_(?:cell|atom_site|symmetry|space_group)[_.])", re.MULTILINE | re.IGNORECASE)
_XYZ = re.compile(r"\s*[0-9]+[ \t]*\n[^\n]*\n[ \t]*[A-Z][a-z]?(?:[ \t]+-?[0-9.]+){3}")


def parse_structure(text: str) -> ParsedStructure:
    """Read a crystal structure; the text itself tells the format.

    Args:
        text: A CIF of any dialect, a pymatgen Structure or an entry that holds one as JSON, OPTIMADE structure
            attributes as JSON, or a POSCAR.

    Returns:
        The structure, with what the reader had to assume in its `notes`.

    Raises:
        StructureError: `structure.unreadable`, `.empty`, `.overlapping_sites`, `.occupancy` or `.not_periodic`.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        return checked(_read(text))
    except StructureError as error:
        if error.rule_id != "structure.overlapping_sites" or not _is_cif(text):
            raise
        joined = _with_images_joined(text)
        if joined is None:
            raise
        return joined


def _is_cif(text: str) -> bool:
    return text.lstrip()[:1] not in {"{", "["} and _CIF.search(text) is not None


def _with_images_joined(text: str) -> ParsedStructure | None:
    """A second try for a CIF whose atoms overlap because their coordinates are rounded; None if they overlap for good.

    Not the first try: atoms split about a symmetry element are as near, and joining those would lose half of them.
    """
    try:
        sites = read_cif(text, site_tolerance=ROUNDED_SITE_TOLERANCE)
        sites.notes.append("symmetry images that differ by the rounding of coordinates were taken for one atom")
        return checked(sites)
    except StructureError:
        return None


def _read(text: str) -> Sites:
    begin = text.lstrip()[:1]
    if not begin:
        raise StructureError("structure.empty", "The text is empty: give a structure as CIF, JSON or POSCAR.")
    if begin in "{[":
        return read_json(text)
    if _is_cif(text):
        return read_plain_cif(text) or read_cif(text)
    if looks_like_poscar(text):
        return read_poscar(text)
    if _XYZ.match(text):
        raise StructureError("structure.not_periodic", "The text is an XYZ file: a molecule without a cell.")
    raise unreadable(
        "The text is not a structure in a known format: neither CIF (data_, loop_) nor JSON ({) nor POSCAR (a comment, "
        "a scale, three vectors)."
    )
