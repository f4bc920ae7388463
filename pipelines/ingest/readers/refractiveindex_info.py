"""Reader of the refractiveindex.info database: an archive of YAML files, one measurement each, to n at one wavelength.

Every file is one record, either a row or a rejection. Format: M. N. Polyanskiy, Sci. Data 11, 94 (2024),
doi:10.1038/s41597-023-02898-2. Not here: the physics (`dispersion`), the meaning of comments (`refractiveindex_prose`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from matstrata.pipelines.ingest.readers import refractiveindex_prose as prose
from matstrata.pipelines.ingest.readers.archives import read_members
from matstrata.pipelines.ingest.readers.dispersion import FORMULAS, DispersionError, evaluate, interpolate
from matstrata.pipelines.ingest.readers.interface import Reader
from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection, SourceFile
from matstrata.schemas.errors import InputError
from matstrata.schemas.terms import Kind

_COLUMNS = (
    "source_record",
    "file_sha256",
    "raw",
    "formula",
    "n",
    "temperature_k",
    "kind",
    "reference",
    "conditions",
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 10 times faster where PyYAML was built with libyaml
_TABLES = {"tabulated n": "n", "tabulated nk": "nk", "tabulated k": "k"}
_MAX_DEPTH = 20  # of nested YAML; libyaml's composer overflows the stack of the process on 200,000 brackets
_RAW_TEXT = 2000  # characters of an unreadable file that are kept


class _RefusedError(ValueError):
    """A file that breaks a rule."""

    def __init__(self, rule_id: str, reason: str) -> None:
        super().__init__(reason)
        self.rule_id = rule_id


@dataclass(frozen=True, slots=True)
class _Block:
    """One element of a file's DATA list.

    Attributes:
        form: "tabulated nk", "formula 1", …
        gives: "n", "k", "nk", or "" for a form that is not known.
        span: shortest and longest wavelength in micrometres.
        numbers: the table (m, 2 or 3), or the coefficients (c,).
    """

    form: str
    gives: str
    span: tuple[float, float]
    numbers: NDArray[np.float64]

    def covers(self, wavelength_um: float) -> bool:
        return self.span[0] <= wavelength_um <= self.span[1]

    def at(self, wavelength_um: float) -> dict[str, float]:
        if self.numbers.ndim == 2:
            return dict(zip(self.gives, map(float, interpolate(self.numbers, wavelength_um)), strict=True))
        return {"n": evaluate(int(self.form.split()[1]), self.numbers.tolist(), wavelength_um)}


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read the archive(s).

    Args:
        files: archives with files `…/<formula>/<name>.yml`.
        options: `wavelength_um`: where to evaluate n, in micrometres; `computed`: beginnings of record paths that are
            known from their papers to be calculations, though the file does not say so.

    Returns:
        Columns formula (the folder's name), n, temperature_k, kind, reference, conditions (JSON), all strings.

    Raises:
        InputError: an option is wrong.
        ReadError: an archive is unusable, or holds no YAML file.
    """
    wavelength_um, computed = _options(options)
    rows: list[tuple[str, ...]] = []
    rejections: list[Rejection] = []
    for file in files:
        before = len(rows) + len(rejections)
        for path, content in read_members(file, lambda name: name.endswith((".yml", ".yaml"))):
            record = path if len(files) == 1 else f"{file.name} {path}"
            raw = _raw_text(content)
            try:
                document = _document(content)
                blocks = _blocks(document)
                raw = _raw(document, blocks)
                row = _row(PurePosixPath(path), document, blocks, wavelength_um, computed=path.startswith(computed))
            except _RefusedError as refused:
                reason = f"{record}: {refused}"
                rejections.append(Rejection(record, refused.rule_id, reason, raw, file.sha256))
            else:
                rows.append((record, file.sha256, raw, *row))
        if len(rows) + len(rejections) == before:
            raise ReadError(f"{file.name} holds no YAML file; check the contract's file and reader")
    columns = zip(*rows, strict=True) if rows else ((),) * len(_COLUMNS)
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=list(_COLUMNS))
    return RawRecords(table, tuple(rejections))


def _options(options: Mapping[str, object]) -> tuple[float, tuple[str, ...]]:
    unknown = set(options) - {"wavelength_um", "computed"}
    if unknown:
        raise InputError(f"reader refractiveindex_info has no option {min(unknown)!r}; it has wavelength_um, computed")
    wavelength = options.get("wavelength_um")
    if isinstance(wavelength, bool) or not isinstance(wavelength, int | float) or not 0 < wavelength < math.inf:
        raise InputError(f"options.wavelength_um must be a positive number of micrometres, not {wavelength!r}")
    computed = options.get("computed", [])
    if not isinstance(computed, list | tuple) or not all(isinstance(start, str) and start for start in computed):
        raise InputError(f"options.computed must be a list of record paths, not {computed!r}")
    return float(wavelength), tuple(computed)


def _document(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _RefusedError(
            "record.undecodable", f"the file is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from error
    try:
        _check_shape(text)
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise _RefusedError(
            "record.malformed", f"the file is not the YAML expected ({detail}); correct the file"
        ) from error
    if not isinstance(document, dict):
        raise _RefusedError("record.malformed", "the file is not a mapping with REFERENCES, COMMENTS and DATA")
    return document


def _check_shape(text: str) -> None:
    """Refuse, before anything is built from it, YAML that nests deeply or multiplies itself by aliases."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            raise ValueError("it uses aliases, or nests too deeply")


def _blocks(document: Mapping[str, Any]) -> list[_Block]:
    data = document.get("DATA")
    if not isinstance(data, list) or not data or not all(isinstance(block, dict) for block in data):
        raise _RefusedError("record.malformed", "DATA is not a list of tables and formulas")
    if not isinstance(document.get("SPECS") or {}, dict):
        raise _RefusedError("record.malformed", "SPECS is not a mapping")
    return [_block(block) for block in data]


def _block(block: Mapping[str, Any]) -> _Block:
    form = " ".join(str(block.get("type", "")).split())
    try:
        if form in _TABLES:
            gives = _TABLES[form]
            table = _table(str(block.get("data", "")), 1 + len(gives))
            return _Block(form, gives, (float(table[:, 0].min()), float(table[:, 0].max())), table)
        kind, _, number = form.partition(" ")
        if kind != "formula" or number not in map(str, FORMULAS):
            return _Block(form, "", (math.nan, math.nan), np.empty(0))
        low, high = map(float, str(block.get("wavelength_range", "")).split())
        coefficients = np.array(str(block.get("coefficients", "")).split(), dtype=np.float64)
    except ValueError as error:
        raise _RefusedError(
            "record.malformed", f"the block {form!r} can't be read ({error}); correct the file"
        ) from error
    return _Block(form, "n", (low, high), coefficients)


def _table(text: str, width: int) -> NDArray[np.float64]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or any(len(line) != width for line in lines):
        raise ValueError(f"its rows do not have {width} numbers each")
    return np.array(lines, dtype=np.float64)


def _row(
    path: PurePosixPath, document: Mapping[str, Any], blocks: Sequence[_Block], wavelength_um: float, *, computed: bool
) -> tuple[str, ...]:
    """The reader's own columns of one record."""
    formula = path.parent.name
    if not formula:
        raise _RefusedError("record.malformed", "the file is not in a folder, whose name would be the formula")
    block = _block_of_n(blocks, wavelength_um)
    values: dict[str, float] = {}
    for source in (block, *(b for b in blocks if "k" in b.gives and b.covers(wavelength_um))):
        try:
            values = source.at(wavelength_um) | values
        except DispersionError as error:
            raise _RefusedError("record.malformed", f"{source.form}: {error}; correct the file") from error
    if not math.isfinite(values["n"]):
        raise _RefusedError("value.not_a_number", f"{block.form} has no real, finite value at {wavelength_um} µm")

    specs = {str(name): _scalar(value) for name, value in (document.get("SPECS") or {}).items()}
    comments = prose.plain_text(str(document.get("COMMENTS") or ""))
    kelvin, note = prose.temperature(path.stem, str(specs.pop("temperature", "")), comments)
    conditions = {
        "wavelength_um": wavelength_um,
        "form": block.form,
        "range_um": block.span,
        "interpolated_between_um": _neighbors(block, wavelength_um),
        "extinction_coefficient": values["k"] if math.isfinite(values.get("k", math.nan)) else None,
        "ray": prose.ray(path.stem, comments),
        "state": prose.state(comments),
        "temperature_note": note,
        **specs,
        "comments": comments or None,
    }
    return (
        formula,
        repr(values["n"]),
        "" if kelvin is None else repr(kelvin),
        Kind.COMPUTATION if computed or prose.is_computed(path.stem, comments) else Kind.EXPERIMENT,
        prose.plain_text(str(document.get("REFERENCES") or "")),
        _json({name: value for name, value in conditions.items() if value is not None}),
    )


def _block_of_n(blocks: Sequence[_Block], wavelength_um: float) -> _Block:
    candidates = [block for block in blocks if "n" in block.gives]
    for block in candidates:
        if block.covers(wavelength_um):
            return block
    if candidates:
        spans = " and ".join(f"{block.span[0]:g} to {block.span[1]:g} µm" for block in candidates)
        raise _RefusedError("optics.out_of_range", f"the data cover {spans}, which does not reach {wavelength_um} µm")
    unknown = [block.form for block in blocks if not block.gives]
    if unknown:
        raise _RefusedError(
            "optics.unknown_form", f"{unknown[0]!r} is neither a table nor one of the nine dispersion formulas"
        )
    raise _RefusedError("optics.only_extinction", "the file holds the extinction coefficient k alone, without n")


def _neighbors(block: _Block, wavelength_um: float) -> list[float] | None:
    """The two wavelengths of the table between which n was interpolated, which shows how coarse the table is."""
    if block.numbers.ndim == 1:
        return None
    wavelengths = block.numbers[:, 0]
    return [
        float(wavelengths[wavelengths <= wavelength_um].max()),
        float(wavelengths[wavelengths >= wavelength_um].min()),
    ]


def _raw(document: Mapping[str, Any], blocks: Sequence[_Block]) -> str:
    """The record as found, without the long tables."""
    data = [
        {"type": block.form, "wavelength_range": [w if math.isfinite(w) else None for w in block.span]}
        | ({"rows": len(block.numbers)} if block.numbers.ndim == 2 else {"coefficients": block.numbers.tolist()})
        for block in blocks
    ]
    texts = {name: str(document[name]) for name in ("REFERENCES", "COMMENTS") if document.get(name) is not None}
    specs = {str(name): _scalar(value) for name, value in (document.get("SPECS") or {}).items()}
    return _json({**texts, "SPECS": specs, "DATA": data})


def _raw_text(content: bytes) -> str:
    return _json({"text": content[: 4 * _RAW_TEXT].decode("utf-8", "backslashreplace")[:_RAW_TEXT]})


def _scalar(value: object) -> str | float | bool | None:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False)


READER = Reader("refractiveindex_info", read)
