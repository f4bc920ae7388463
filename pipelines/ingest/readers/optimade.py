"""Reader of OPTIMADE structures: JSON lines, a saved response, or a list of resources or of MongoDB documents.

One broken line or resource is one rejection, whatever else the file holds. Not here: fetching
(`pipelines.ingest.fetching.optimade`), what an attribute means (the contract), and whether a geometry is sound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import pyarrow as pa

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.interface import Reader
from matstrata.pipelines.ingest.readers.tables import (
    OWN_COLUMNS,
    RAW_CHARACTERS,
    check_options,
    json_text,
    member_name,
    undecodable,
    visible,
)
from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection, SourceFile

COLUMNS = ("id", "formula", "structure", "last_modified")
GEOMETRY = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "dimension_types",
    "nperiodic_dimensions",
    "nsites",
    "assemblies",  # without these two a disordered structure would pass for an ordered one
    "structure_features",
)
_FORMULAS = (
    "chemical_formula_reduced",
    "chemical_formula_pretty",
    "pretty_formula",
    "chemical_formula_descriptive",
    "chemical_formula_hill",
)
_STRUCTURAL = frozenset({*GEOMETRY, *_FORMULAS, "elements", "nelements"})
_ENVELOPE = frozenset({"id", "type", "links", "meta", "relationships"})  # of a resource, besides its attributes
_NO_COLUMN = frozenset({*GEOMETRY, "last_modified"}) - {"nsites", "nperiodic_dimensions"}
_STRUCTURE_TYPES = ("structures", "structure")


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read OPTIMADE structures.

    Args:
        files: JSON lines (with or without the header and the descriptions of properties that optimade-maker writes), a
            response as a provider gave it, or a list of resources or of the documents behind them (as `mongoexport`
            writes them, with `{"$date": ...}`). Each may be compressed, or an archive.
        options: `member`: which file of an archive.

    Returns:
        One row per structure: `id`, `formula` (reduced; where it is absent, the next best), `structure` (the attributes
        that describe the geometry, as JSON; "" without positions), `last_modified`, then one column per further scalar
        attribute, those of nested objects named like `_mp_stability.energy_above_hull`; all strings, "" where absent.
        An attribute whose name is taken is called `attributes.<name>`. `source_record` is "line 17" (JSON lines),
        "data[17]" (a response) or "[17]" (a list), after the file's name where there are several. Resources of other
        types, such as references, are not records.

    Raises:
        InputError: an option is wrong.
        ReadError: a file is empty, is not JSON, holds a provider's error, or has no structures.
    """
    check_options("optimade", options, ("member",))
    member = member_name(options)
    outcomes: list[_Record | Rejection] = []
    for file in files:
        prefix = "" if len(files) == 1 else f"{file.name} "
        records = [
            record
            for item in _items(file, member)
            if (record := _read_item(item, file, f"{prefix}{item.at}")) is not None
        ]
        if not records:
            raise ReadError(f"{file.name} has no structures; give the provider's answer to a query of /structures")
        outcomes += records
    return RawRecords(
        _as_table([record for record in outcomes if isinstance(record, _Record)]),
        tuple(rejection for rejection in outcomes if isinstance(rejection, Rejection)),
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """What should be a resource, and where it is; `text` is set instead where it is not even JSON."""

    at: str
    resource: object = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    own: tuple[str, ...]
    cells: Mapping[str, str]


class _MalformedError(ValueError):
    """The sentence says what is wrong with a resource."""


def _items(file: SourceFile, member: str | None) -> Iterator[_Item]:
    # bytes that are not text become lone surrogates, which only the record that holds them pays for
    text = read_bytes(file, member).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if not text.strip():
        raise ReadError(f"{file.name} is empty; fetch the source again, or remove the file from the contract")
    try:
        document = _loads(text)
    except (ValueError, RecursionError) as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if not any(_looks_like_resource(line) for _, line in lines):
            raise ReadError(f"{file.name} is neither JSON nor JSON lines ({error}); fetch the source again") from error
        yield from (_line(number, line) for number, line in lines)
        return
    if isinstance(document, dict) and isinstance(document.get("errors"), list):
        errors = json_text(document["errors"])[:1000]
        raise ReadError(
            f"{file.name} holds a provider's error instead of structures: {visible(errors)}; fetch it again"
        )
    if not isinstance(document, dict) or "data" not in document or "attributes" in document:
        place = ""
    else:
        place, document = "data", document["data"]
    if not place and isinstance(document, dict) and "\n" not in text.strip():  # JSON lines, of which there is one
        yield _Item(f"line {text[: text.index('{')].count(chr(10)) + 1}", document)
        return
    for number, resource in enumerate(document if isinstance(document, list) else [document]):
        yield _Item(f"{place}[{number}]", resource)


def _line(number: int, line: str) -> _Item:
    try:
        return _Item(f"line {number}", _loads(line))
    except (ValueError, RecursionError):
        return _Item(f"line {number}", text=line)


def _loads(text: str) -> object:
    # NaN is not JSON, but Python writes it: kept as the word, which no later step takes for a number
    return json.loads(text, parse_constant=str)


def _looks_like_resource(line: str) -> bool:
    try:
        resource = _loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(resource, dict) and not resource.keys().isdisjoint({"id", "_id", "attributes", "x-optimade"})


def _read_item(item: _Item, file: SourceFile, record: str) -> _Record | Rejection | None:
    """A record, or the reason why it can't be one, or None for what is not a structure."""
    try:
        if item.text is not None:
            raise _MalformedError("is not complete JSON")
        resource = _plain(item.resource)
        if not isinstance(resource, dict):
            raise _MalformedError("is not a JSON object")
        if not _is_structure(resource):
            return None
        cells = _cells(resource)
        raw = json.dumps(item.resource, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, ArithmeticError, OSError, RecursionError) as error:
        reason = str(error) if isinstance(error, _MalformedError) else "holds a number or a date that can't be read"
        return _rejection(item, file, record, "record.malformed", reason)
    if undecodable(raw) or any(map(undecodable, (*cells, *cells.values()))):
        return _rejection(item, file, record, "record.undecodable", "holds characters that are not UTF-8 text")
    return _Record((record, file.sha256, raw), cells)


def _rejection(item: _Item, file: SourceFile, record: str, rule_id: str, reason: str) -> Rejection:
    try:
        raw = json_text({"line": item.text} if item.text is not None else item.resource)
    except RecursionError:
        raw = json_text({"start": repr(item.resource)[:RAW_CHARACTERS]})
    if len(raw) > RAW_CHARACTERS:
        raw = json_text({"start": visible(raw)[:RAW_CHARACTERS]})
    sentence = f"{file.name}: {item.at} {reason}; correct it, or fetch it again"
    return Rejection(record, rule_id, sentence, visible(raw), file.sha256)


def _is_structure(resource: Mapping[str, object]) -> bool:
    """Whether this is a structure, not something of another kind that belongs into such a file.

    Raises:
        _MalformedError: it can't be told.
    """
    kind = resource.get("type")
    if isinstance(kind, str):
        return kind in _STRUCTURE_TYPES
    if "x-optimade" in resource or ("properties" in resource and "id" not in resource):
        return False  # optimade-maker's header, and its descriptions of properties
    if isinstance(resource.get("attributes"), dict) or not _STRUCTURAL.isdisjoint(resource):
        return True
    raise _MalformedError("has no type and no attributes of a structure")


def _cells(resource: Mapping[str, object]) -> dict[str, str]:
    """The columns of one structure.

    Raises:
        _MalformedError: it has no id or no attributes.
    """
    attributes = resource.get("attributes")
    identifier = resource.get("id")
    if "attributes" not in resource and not _STRUCTURAL.isdisjoint(resource):  # a document, not yet a resource
        key = next((key for key in ("id", "task_id", "_id") if resource.get(key) is not None), "id")
        identifier = resource.get(key)
        attributes = {name: value for name, value in resource.items() if name != key and name not in _ENVELOPE}
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        raise _MalformedError("has no id")
    if not isinstance(attributes, dict) or not attributes:
        raise _MalformedError(f"(id {identifier!r}) has no attributes")
    formula = next((text for name in _FORMULAS if (text := attributes.get(name)) and isinstance(text, str)), "")
    cells = {
        "id": str(identifier),
        "formula": formula,
        "structure": _structure(attributes),
        "last_modified": _cell(attributes.get("last_modified")) or "",
    }
    for name, cell in _scalars(attributes):
        if name not in _NO_COLUMN:
            cells[f"attributes.{name}" if name in COLUMNS or name in OWN_COLUMNS else name] = cell
    return cells


def _structure(attributes: Mapping[str, object]) -> str:
    if not attributes.get("cartesian_site_positions"):
        return ""
    return json_text({name: value for name in GEOMETRY if (value := attributes.get(name)) is not None})


def _scalars(attributes: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{name}.")
        else:
            cell = _cell(value)
            if cell is not None:
                yield f"{prefix}{name}", cell


def _cell(value: object) -> str | None:
    """A scalar as text, numbers and truth values as JSON writes them; None for anything else."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _plain(value: object) -> object:
    """The value with MongoDB's extended JSON resolved: dates as ISO text, ids as text, numbers as numbers."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in {"$oid", "$numberDecimal"}:
            return str(inner)
        if key in {"$numberInt", "$numberLong"}:
            return int(cast("str", inner))
        if key == "$numberDouble":
            return inner if str(inner).strip("-") in {"NaN", "Infinity"} else float(cast("str", inner))
        if key == "$date":
            moment = _plain(inner)
            if isinstance(moment, bool) or not isinstance(moment, int | float):
                return moment
            return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return {key: _plain(item) for key, item in value.items()}


def _as_table(records: Sequence[_Record]) -> pa.Table:
    names: Iterable[str] = dict.fromkeys([*COLUMNS, *(name for record in records for name in record.cells)])
    own = {name: pa.array([record.own[i] for record in records], pa.string()) for i, name in enumerate(OWN_COLUMNS)}
    return pa.table(own | {name: pa.array([r.cells.get(name, "") for r in records], pa.string()) for name in names})


READER = Reader("optimade", read)
