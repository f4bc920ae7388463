"""A look at the beginning of an unknown file: which reader takes it, with which options, and its first rows as text.

Not here: what the columns mean (`pipelines.ingest.drafting.names`), and the contract made of it
(`pipelines.ingest.drafting.draft`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from matstrata.pipelines.ingest.drafting.names import is_unit
from matstrata.pipelines.ingest.readers import excel, json_records, parquet
from matstrata.pipelines.ingest.readers.archives import is_archive, read_bytes, read_members
from matstrata.pipelines.ingest.readers.tables import OWN_COLUMNS
from matstrata.pipelines.ingest.records import ReadError, SourceFile
from matstrata.schemas.errors import InputError

MOST_ROWS = 4000
_LOOK_BYTES = 4 << 20  # of a plain text file; enough for thousands of rows, and read at once
_LAYOUT_CHARACTERS = 200_000
_LAYOUT_ROWS = 200
_DELIMITERS = (",", "\t", ";", "|")
_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_COLUMNAR = (b"PAR1", b"ARROW1", b"FEA1")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_WORKBOOK = "[Content_Types].xml"
_TABLES = re.compile(r"\.(csv|tsv|txt|dat|jsonl?|ndjson|parquet|feather|arrow)$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file, as its reader would give it.

    Attributes:
        file: the file.
        reader: the name of the reader that takes it.
        options: the reader's options.
        names: its columns.
        rows: the first rows; as many cells as columns.
        whole: whether these are all rows.
        decimal: the decimal sign of its numbers; the rows here have points.
        checks: what a person should look at.
    """

    file: SourceFile
    reader: str
    options: Mapping[str, object]
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    whole: bool
    checks: tuple[str, ...] = field(default=())
    decimal: str = "."

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]


def take_samples(path: Path) -> tuple[Sample, ...]:
    """Look at a file; the second sample of nested JSON has its inner objects as columns.

    Raises:
        InputError: there is no such file, it is empty, damaged, or holds no table.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file; give the path of a data file")
    with path.open("rb") as stream:
        file = SourceFile(path.name, path, hashlib.file_digest(stream, "sha256").hexdigest())
        stream.seek(0)
        start = stream.read(8)
    if start == _OFFICE:
        excel.first_rows(file, 0)  # for its words about old and encrypted workbooks
    options: dict[str, object] = {}
    if is_archive(file):
        members = [name for name, _ in read_members(file, lambda _: False, listing=True)]
        if _WORKBOOK in members:
            return (_from_excel(file),)
        options = _choose_member(file, members)
    member = options.get("member")
    packed = is_archive(file) or start.startswith(_PACKED)
    content = read_bytes(file, str(member) if member else None) if packed else _beginning(file)
    if content.startswith(_COLUMNAR):
        table = parquet.first_rows(file, str(member) if member else None, MOST_ROWS + 1)
        rows = [list(row.values()) for row in table.slice(0, MOST_ROWS).to_pylist()]
        return (Sample(file, "parquet", options, tuple(table.column_names), rows, table.num_rows <= MOST_ROWS),)
    if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n\0\xff\xfe").startswith((b"[", b"{")):
        try:
            return _from_json(file, content if packed else path.read_bytes(), options)
        except ReadError:  # a text that begins with a bracket may still be a table
            if b"\n" not in content or path.suffix.lower() in {".json", ".jsonl"}:
                raise
    return (_from_text(file, content[:_LOOK_BYTES], options, cut=len(content) >= _LOOK_BYTES),)


def _beginning(file: SourceFile) -> bytes:
    with file.path.open("rb") as stream:
        content = stream.read(_LOOK_BYTES)
    if not content.strip():
        raise ReadError(f"{file.name} is empty; there is nothing to draft from")
    return content


def _choose_member(file: SourceFile, members: Sequence[str]) -> dict[str, object]:
    if len(members) == 1:
        return {}
    tables = [name for name in members if _TABLES.search(name) and not name.rpartition("/")[2].startswith(".")]
    if not tables:
        raise ReadError(f"{file.name} holds no table, but {', '.join(members[:10])}; give the data file itself")
    # the largest of several is the data more often than not; its rivals are named in a comment by the caller's draft
    sizes = {name: len(content) for name, content in read_members(file, lambda name: name in tables)}
    return {"member": max(tables, key=lambda name: sizes[name])}


def _from_excel(file: SourceFile) -> Sample:
    found = excel.first_rows(file, MOST_ROWS + 50)
    sheets = list(found)
    if not any(any(row) for rows in found.values() for row in rows):
        raise ReadError(f"{file.name} has no filled sheet; there is nothing to draft from")
    sheet = max(sheets, key=lambda name: (sum(len(row) > 1 for row in found[name]), -sheets.index(name)))
    rows = [row for row in found[sheet] if any(row)]
    checks = []
    if len(sheets) > 1:
        checks.append(f"sheets {', '.join(map(repr, sheets))}: {sheet!r} was taken, as it has most rows")
    common = Counter(len(row) for row in rows[:_LAYOUT_ROWS]).most_common(1)[0][0]
    start = next(index for index, row in enumerate(rows) if len(row) >= common)
    width = len(rows[start])  # rows end with their last filled cell, so that the header may be longer than most
    skipped = found[sheet].index(rows[start]) if start else 0
    options: dict[str, object] = {"sheet": sheet} if len(sheets) > 1 else {}
    if skipped:
        options["skip_rows"] = skipped
        checks.append(f"{skipped} rows above the table are skipped")
    table = [row + [""] * (width - len(row)) for row in rows[start:] if len(row) <= width]
    return _with_header(file, "excel", options, table, checks, whole=len(rows) <= MOST_ROWS)


def _from_json(file: SourceFile, content: bytes, options: Mapping[str, object]) -> tuple[Sample, ...]:
    text = json_records.decode(content, file.name)
    chosen = dict(options)
    checks = []
    try:
        found = json_records.find_records(text, file.name)
    except ReadError:
        paths = json_records.list_paths(text)
        if not paths:
            raise
        chosen["path"] = paths[0]
        if len(paths) > 1:
            checks.append(f"lists of records lie at {', '.join(paths[:10])}: the longest was taken")
        found = json_records.find_records(text, file.name, paths[0])
    taken = [record for _, record in islice(found.items, MOST_ROWS + 1)]
    records = [record for record in taken[:MOST_ROWS] if isinstance(record, dict) and record]
    if not records:
        raise ReadError(f"{file.name} holds no objects with keys; there is nothing to draft from")
    if any("x-optimade" in record or {"type", "attributes"} <= record.keys() for record in records[:20]):
        checks.append("this looks like an OPTIMADE export: if there is a reader for it, that one knows its rules")
    if len(records) < len(taken[:MOST_ROWS]):
        checks.append(f"{len(taken[:MOST_ROWS]) - len(records)} records are no objects and will be refused")
    if found.orient == "record":
        checks.append("the document is one object: it is taken for one record")
    whole = len(taken) <= MOST_ROWS
    plain = _from_records(file, chosen, records, checks, whole=whole)
    flat = [json_records.flat(record) for record in records]
    if all(one.keys() == other.keys() for one, other in zip(flat, records, strict=True)):
        return (plain,)
    return (plain, _from_records(file, {**chosen, "flatten": True}, flat, checks, whole=whole))


def _from_records(
    file: SourceFile,
    options: Mapping[str, object],
    records: Sequence[Mapping[str, object]],
    checks: Sequence[str],
    *,
    whole: bool,
) -> Sample:
    names = tuple(dict.fromkeys(key for record in records for key in record))
    rows = [[json_records.cell_text(record.get(name)) for name in names] for record in records]
    return Sample(file, "json", options, names, rows, whole, tuple(checks))


def _from_text(file: SourceFile, content: bytes, options: Mapping[str, object], *, cut: bool) -> Sample:
    text, encoding = _decode(content, file, cut=cut)
    chosen: dict[str, object] = dict(options)
    if encoding != "utf-8":
        chosen["encoding"] = encoding
    if cut:
        text = text[: text.rfind("\n") + 1]
    delimiter = _delimiter(text)
    checks = (
        [] if encoding == "utf-8" else [f"the file is no UTF-8: {encoding} is a guess, look at its special letters"]
    )
    if delimiter == " " and re.search(r"\S {2,}\S", text[:_LAYOUT_CHARACTERS]):
        checks.append("columns are aligned by runs of spaces, which no reader splits: save it as CSV")
    chosen["delimiter"] = delimiter
    records = list(islice(_records(text, delimiter), MOST_ROWS + 50))
    width = Counter(len(cells) for cells, _ in records[:_LAYOUT_ROWS]).most_common(1)[0][0]
    start = next(index for index, (cells, _) in enumerate(records) if len(cells) == width)
    if start:
        chosen["skip_rows"] = records[start - 1][1]
        checks.append(f"{records[start - 1][1]} lines above the table are skipped")
    rows = [cells for cells, _ in records[start:]]
    ragged = sum(len(row) != width for row in rows)
    if ragged:
        checks.append(f"{ragged} of the first {len(rows)} rows have more or fewer than {width} cells: they are refused")
    table = [row for row in rows if len(row) == width]
    decimal = "," if delimiter != "," and _decimal_commas(table) else "."
    if decimal == ",":
        table = [[_pointed(cell) for cell in row] for row in table]
        checks.append("numbers have decimal commas")
    whole = not cut and len(records) < MOST_ROWS + 50
    return replace(_with_header(file, "delimited", chosen, table, checks, whole=whole), decimal=decimal)


def _decode(content: bytes, file: SourceFile, *, cut: bool) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in content[:1000] and content[:1000].count(b"\0") * 3 > len(content[:1000]):
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    else:
        encoding = _eight_bit(content, cut=cut)
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    if len(_CONTROL.findall(text[:_LAYOUT_CHARACTERS])) * 1000 > len(text[:_LAYOUT_CHARACTERS]):
        raise ReadError(f"{file.name} is a binary file of unknown format; save it as CSV, Excel, JSON or Parquet")
    if not text.strip():
        raise ReadError(f"{file.name} is empty; there is nothing to draft from")
    return text, encoding


def _eight_bit(content: bytes, *, cut: bool) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            (content[: content.rfind(b"\n") + 1] if cut else content).decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _delimiter(text: str) -> str:
    """The delimiter that cuts most rows into the same number of cells, the greater number if two do."""
    best, delimiter = (0.0, 0), ","
    for candidate in _DELIMITERS:
        score = _regularity(text, candidate)
        if score > best:
            best, delimiter = score, candidate
    if best[0] < 0.9 and _regularity(text, " ") > max(best, (0.9, 0)):
        return " "
    return delimiter


def _regularity(text: str, delimiter: str) -> tuple[float, int]:
    rows = [cells for cells, _ in islice(_records(text[:_LAYOUT_CHARACTERS], delimiter), _LAYOUT_ROWS)]
    width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return (round(count / len(rows), 2), width) if width > 1 else (0.0, 0)


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """The rows, and how many lines of the file have been used up by then."""
    lines = io.StringIO(text, newline="")
    if delimiter == " ":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield line.split(), number
        return
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if cells:
                yield cells, reader.line_num
    except csv.Error:  # an unbalanced quote: what came before it must do
        return


def _decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Whether commas stand before decimals: 1,000 alone may be a thousand, 3,4 is none, and beside 3.4 neither is."""
    cells = [cell.strip() for row in rows[1:_LAYOUT_ROWS] for cell in row if _NUMBER.fullmatch(cell)]
    return any(re.search(r",(?!\d{3}$)", cell) for cell in cells) and not any("." in cell for cell in cells)


def _pointed(cell: str) -> str:
    """A cell with points before its decimals, also inside a formula (Cu1,8S)."""
    return cell if "." in cell else re.sub(r"(?<=\d),(?=\d)|^\s*,(?=\d)|(?<=\d),\s*$", ".", cell)


def _with_header(
    file: SourceFile,
    reader: str,
    options: dict[str, object],
    table: Sequence[Sequence[str]],
    checks: list[str],
    *,
    whole: bool,
) -> Sample:
    """Tell whether the first row names the columns, and give names where it can't."""
    first, rest = list(table[0]), table[1:]
    if _is_data(first, rest):
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
        options["header"] = names
        checks.append("the file has no header: name the columns in options.header")
        rest = table
    else:
        units = _units_below(rest) or [""] * len(first)
        joined = [f"{name} ({unit})" if unit else name for name, unit in zip(first, units, strict=True)]
        names = _usable(joined)
        if names != first:
            options["skip_rows"] = int(str(options.get("skip_rows", 0))) + (2 if any(units) else 1)
            options["header"] = names
        if any(units):
            rest = rest[1:]
            checks.append("the row below the header names units: options.header joins them to the names")
        if names != joined:
            checks.append("the file's header has a name twice, or one that Matstrata uses: options.header renames it")
    return Sample(file, reader, options, tuple(names), rest[:MOST_ROWS], whole, tuple(checks))


def _units_below(rest: Sequence[Sequence[str]]) -> list[str]:
    """The unit of each column, if the row below the header holds units and nothing else; else nothing."""
    row = [cell.strip().strip("()[]") for cell in rest[0]] if len(rest) > 1 else []
    known = [at for at, cell in enumerate(row) if is_unit(cell)]
    others = {cell.lower() for at, cell in enumerate(row) if at not in known and not cell.startswith("°")}
    # K is potassium, too: it is a unit above numbers
    above = any(all(not each[at] or _NUMBER.fullmatch(each[at]) for each in rest[1:50]) for at in known)
    if not above or not others <= {"", "-", "unit", "units"}:
        return []
    return ["" if cell.lower() in {"-", "unit", "units"} else cell for cell in row]


def _usable(names: Sequence[str]) -> list[str]:
    """The names, each once and none of Matstrata's own."""
    used: Counter[str] = Counter()
    usable: list[str] = []
    for name in names:
        used[name] += 1
        free = name if used[name] == 1 else f"{name or 'unnamed'}_{used[name]}"
        usable.append(f"{free}_of_file" if free in OWN_COLUMNS else free)
    return usable


def _is_data(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is one like the others: a number wherever they have numbers."""
    numeric = [
        at
        for at in range(len(first))
        if rest and sum(bool(_NUMBER.fullmatch(row[at])) for row in rest[:50]) * 10 >= 9 * len(rest[:50])
    ]
    return bool(numeric) and all(_NUMBER.fullmatch(first[at]) for at in numeric)
