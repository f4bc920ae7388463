"""Raw records to observations: formulas parsed, numbers read, units converted, and every refusal explained.

Pure: tables in, tables out. Not here: reading files (`readers`), rules on values (`validation`), writing (`refresh`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matstrata.pipelines.ingest.identity import Identified, identify
from matstrata.pipelines.ingest.records import RawRecords, ReadError, Rejection
from matstrata.pipelines.ingest.times import read_period, undecided
from matstrata.schemas.contracts import Contract, ValueColumn
from matstrata.schemas.properties import get_property
from matstrata.schemas.tables import TABLES
from matstrata.schemas.terms import Kind
from matstrata.schemas.units import convert

_KINDS = tuple(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True)
class Observed:
    """Observations and structures (schemas of the tables), and the records refused.

    Each input record is either among the observations or among the rejections.
    """

    observations: pa.Table
    rejections: tuple[Rejection, ...]
    rows_in: int
    structures: pa.Table


class _Faults:
    """The first fault of each record: the record is refused for it, whatever else is wrong with it."""

    def __init__(self, n: int) -> None:
        self.sound = np.ones(n, dtype=bool)
        self.by_row: dict[int, tuple[str, str]] = {}

    def add(self, row: int, rule_id: str, reason: str) -> None:
        if self.sound[row]:
            self.sound[row] = False
            self.by_row[row] = (rule_id, reason)


def observe(contract: Contract, raw: RawRecords, spellings_read: pa.Table | None = None) -> Observed:
    """Turn the raw records of a source into observations.

    Args:
        contract: the source.
        raw: its records.
        spellings_read: spellings of formulas that the same code has read before, `formula_reported` and `material_id`.

    Raises:
        ReadError: a column that the contract names is not in the file.
    """
    table = raw.table.combine_chunks()
    _require_columns(contract, table)
    faults = _Faults(table.num_rows)
    identified = identify(contract, table, faults.add, spellings_read)
    kinds = _read_kinds(contract, table, faults)
    temperatures = _read_temperatures(contract, table, faults)
    conditions = _merge_conditions(contract, table, identified, faults)
    numbers = {value.column: _read_numbers(contract, value, table, faults) for value in contract.values}
    ranks = _read_ranks(contract, table, identified, faults)
    _refuse_empty(contract, numbers, faults)
    keys = _keys_of(contract, table, faults)

    sound = np.flatnonzero(faults.sound)
    reference = contract.columns.reference
    shared = {
        "key": keys,
        "source_record": table["source_record"],
        "file_sha256": table["file_sha256"],
        "formula_reported": identified.formulas,
        "material_id": identified.material_ids,
        "structure_id": identified.entity_ids,
        "suffixed": pc.is_valid(identified.space_groups),
        "assumed": identified.assumed,
        "kind": kinds,
        "temperature_k": pa.array(temperatures, from_pandas=True),
        "conditions": conditions,
        "rank": ranks,
        "reference": table[reference] if reference else pa.nulls(table.num_rows, pa.string()),
    }
    base = _take(pa.table(shared), sound)
    values = _take(table.select(list(numbers)), sound)
    pieces = [
        _observations_of(value, base, numbers[value.column][sound], values[value.column]) for value in contract.values
    ]
    structures = identified.structures(contract.source, sound, table["source_record"])
    if contract.columns.structure is not None:
        volume = ValueColumn(column="volume_per_atom", property="volume_per_atom", unit="angstrom^3/atom")
        volumes = structures["volume_per_atom"]
        pieces.append(_observations_of(volume, base, volumes.to_numpy(), volumes.cast(pa.string())))
    rejections = (*raw.rejections, *_rejections(table, faults))
    observations = _finish(contract, pa.concat_tables(pieces))
    return Observed(observations, rejections, raw.table.num_rows + len(raw.rejections), structures)


def quarantine(observed: Observed, raw: RawRecords, broken: Mapping[str, tuple[str, str]]) -> Observed:
    """Move the records named in `broken` (source_record -> rule_id, reason) from the observations to the rejections."""
    if not broken:
        return observed
    names = pa.array(list(broken), pa.string())
    table = raw.table
    refused = table.filter(pc.is_in(table["source_record"], value_set=names))
    rejections = tuple(
        Rejection(record, *broken[record], raw=text, file_sha256=sha256)
        for record, text, sha256 in zip(
            refused["source_record"].to_pylist(),
            refused["raw"].to_pylist(),
            refused["file_sha256"].to_pylist(),
            strict=True,
        )
    )
    remaining = observed.observations.filter(
        pc.invert(pc.is_in(observed.observations["source_record"], value_set=names))
    )
    structures = observed.structures.filter(pc.invert(pc.is_in(observed.structures["source_record"], value_set=names)))
    return Observed(remaining, observed.rejections + rejections, observed.rows_in, structures)


def _require_columns(contract: Contract, table: pa.Table) -> None:
    by = contract.reconcile.by
    needed = {
        *contract.columns.named().values(),
        *(value.column for value in contract.values),
        *([by] if by is not None else []),
    }
    absent = sorted(needed - set(table.column_names))
    if absent:
        present = [name for name in table.column_names if name not in {"raw", "file_sha256"}]
        raise ReadError(
            f"source {contract.source}: the data have no column {', '.join(map(repr, absent))}; they have: "
            f"{', '.join(map(repr, present))}. Correct 'columns' and 'values' of the contract, or the file"
        )


def _read_kinds(contract: Contract, table: pa.Table, faults: _Faults) -> pa.Array:
    if contract.columns.kind is None:
        return pa.repeat(pa.scalar(contract.kind), table.num_rows)
    column = table[contract.columns.kind].combine_chunks()
    for row in np.flatnonzero(~pc.is_in(column, value_set=pa.array(_KINDS)).to_numpy(zero_copy_only=False)):
        faults.add(int(row), "kind.unknown", f"kind is {column[int(row)].as_py()!r}; use 'experiment' or 'computation'")
    return column


def _read_temperatures(contract: Contract, table: pa.Table, faults: _Faults) -> NDArray[np.float64]:
    constant = contract.constants.temperature_k
    temperatures = np.full(table.num_rows, np.nan if constant is None else constant)
    if contract.columns.temperature_k is not None:
        texts = table[contract.columns.temperature_k]
        stated = ~_is_missing(contract, texts)
        read = _numbers(texts, contract.decimal)
        temperatures[stated] = read[stated]
        for row in np.flatnonzero(stated & ~(np.isfinite(read) & (read > 0))):
            faults.add(
                int(row),
                "temperature.not_positive",
                f"temperature {texts[int(row)].as_py()!r} is not a positive number of kelvin",
            )
    return temperatures


def _merge_conditions(contract: Contract, table: pa.Table, identified: Identified, faults: _Faults) -> pa.Array:
    constants = dict(contract.constants.conditions)
    column = contract.columns.conditions
    molecules = identified.molecules
    if column is None and identified.space_groups.null_count == table.num_rows and not any(molecules):
        return pa.repeat(pa.scalar(_conditions(constants, None, None, None), pa.string()), table.num_rows)
    texts = table[column].to_pylist() if column else [None] * table.num_rows
    groups = identified.space_groups.to_pylist()
    made: dict[tuple[str | None, int | None, str | None], str | None] = {}
    rows = list(zip(texts, groups, molecules, strict=True))
    for row, parts in enumerate(rows):
        if parts not in made:
            made[parts] = _conditions(constants, *parts)
        if made[parts] is None:
            faults.add(row, "conditions.malformed", f"conditions {parts[0]!r} are not a JSON object")
    return pa.array([made[parts] for parts in rows], pa.string())


def _conditions(
    constants: Mapping[str, Any], text: str | None, space_group: int | None, smiles: str | None
) -> str | None:
    """The conditions as JSON that any reader takes (no NaN, no lone surrogate); None where they are not an object."""
    try:
        stated = json.loads(text) if text and text.strip() else {}
        if not isinstance(stated, dict):
            return None
        derived = {"space_group": space_group, "smiles": smiles}
        merged = {**constants, **stated, **{name: value for name, value in derived.items() if value is not None}}
        written = json.dumps(merged, sort_keys=True, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError):
        return None
    return written


def _read_numbers(contract: Contract, value: ValueColumn, table: pa.Table, faults: _Faults) -> NDArray[np.float64]:
    texts = table[value.column]
    missing = _is_missing(contract, texts)
    read = _numbers(texts, contract.decimal, truths=get_property(value.property).is_truth)
    for row in np.flatnonzero(~missing & ~np.isfinite(read)):
        faults.add(
            int(row),
            "value.not_a_number",
            f"column {value.column!r} holds {texts[int(row)].as_py()!r}, which is not a finite number; "
            f"give the number alone, in {value.unit}, with {contract.decimal!r} before its decimals, "
            "or add the text to 'missing'",
        )
    read[missing] = np.nan
    return read


def _read_ranks(contract: Contract, table: pa.Table, identified: Identified, faults: _Faults) -> pa.Array:
    """What the policy orders by: a number, or the start of a time in seconds; null where it is missing."""
    by = contract.reconcile.by
    if by is None:
        return pa.nulls(table.num_rows, pa.float64())
    with _connect() as con:
        con.register("texts", pa.table({"i": np.arange(table.num_rows), "t": table[by]}))
        ranks = con.execute(
            "SELECT coalesce(nullif(try_cast(trim(t) AS DOUBLE), 'nan'), epoch(try_cast(trim(t) AS TIMESTAMP))) AS v, "
            "try_cast(trim(t) AS DOUBLE) IS NOT NULL AS is_number FROM texts ORDER BY i"
        ).to_arrow_table()
    stated = ~_is_missing(contract, table[by])
    numbers = ranks["is_number"].to_numpy()
    if contract.reconcile.policy == "newest" and (contract.reconcile.format or not numbers[stated].all()):
        return _read_times(contract, table, identified, stated, faults)
    return ranks["v"].combine_chunks().cast(pa.float64())


def _read_times(
    contract: Contract, table: pa.Table, identified: Identified, stated: NDArray[np.bool_], faults: _Faults
) -> pa.Array:
    """When the time of each record starts, in seconds; what can't be ordered is refused."""
    by, format = contract.reconcile.by, contract.reconcile.format
    texts, materials = table[by].to_pylist(), identified.material_ids.to_pylist()
    starts: list[float | None] = [None] * len(texts)
    periods = []
    for row in np.flatnonzero(stated).tolist():
        if (period := read_period(texts[row], format)) is None:
            form = f"of the form {format!r}" if format else "like 2026, 2026-05-31 or 2026-05-31T12:00+02:00"
            reason = f"column {by!r} holds {texts[row]!r}, which is not a time {form}; correct it, or"
            faults.add(row, "order.unreadable", f"{reason} state the contract's reconcile.format")
            continue
        starts[row] = period.start
        if faults.sound[row]:
            periods.append((row, materials[row], period))
    for row, other in undecided(periods):
        reason = f"column {by!r} holds {texts[row]!r}, and {table['source_record'][other].as_py()} of this material has"
        faults.add(row, "order.undecided", f"{reason} {texts[other]!r}: which is newer can't be told; state the day")
    return pa.array(starts, pa.float64())


def _refuse_empty(contract: Contract, numbers: Mapping[str, NDArray[np.float64]], faults: _Faults) -> None:
    if contract.columns.structure is not None:  # the structure itself is observed
        return
    columns = ", ".join(repr(column) for column in numbers)
    empty = np.logical_and.reduce([np.isnan(read) for read in numbers.values()])
    for row in np.flatnonzero(empty):
        faults.add(int(row), "value.missing", f"no value in {columns}")


def _keys_of(contract: Contract, table: pa.Table, faults: _Faults) -> pa.Array:
    """A key for each record: its id, or its content with a running number where repeats are independent."""
    identifier = contract.columns.record_id
    keys = table["raw"].combine_chunks()
    if identifier is not None:  # a record without an id is known by its content
        nameless = pa.array(_is_missing(contract, table[identifier]))
        keys = pc.if_else(nameless, keys, table[identifier].combine_chunks())
    with _connect() as con:
        con.register("records", pa.table({"i": np.arange(len(keys)), "k": keys, "sound": faults.sound}))
        ordered = con.execute(
            "SELECT i, row_number() OVER (PARTITION BY k, sound ORDER BY i) AS nth, "
            "first_value(i) OVER (PARTITION BY k, sound ORDER BY i) AS first FROM records ORDER BY i"
        ).to_arrow_table()
    nth, first = (ordered[name].to_numpy() for name in ("nth", "first"))
    positions = table["source_record"]
    if contract.replicates == "reject":
        for row in np.flatnonzero(nth > 1):
            earlier = positions[int(first[row])].as_py()
            what = f"{identifier} {keys[int(row)].as_py()!r}" if identifier else "the whole record"
            faults.add(int(row), "record.duplicate", f"{what} stands already in {earlier}; drop one of the two")
    return pc.binary_join_element_wise(keys, ordered["nth"].combine_chunks().cast(pa.string()), "#")


def _observations_of(
    value: ValueColumn, base: pa.Table, numbers: NDArray[np.float64], texts: pa.ChunkedArray
) -> pa.Table:
    present = np.flatnonzero(~np.isnan(numbers))
    unit = get_property(value.property).unit
    piece = _take(base.append_column("value_reported", texts), present)
    # two columns' methods are told apart by the method; a column's name stays part of what an observation is
    column = value.column if value.method is None else f"{value.column} {value.method}"
    constants = {
        "column": column,
        "property": value.property,
        "unit": unit,
        "unit_reported": value.unit,
        "method": value.method,
    }
    for name, constant in constants.items():
        piece = piece.append_column(name, pa.repeat(pa.scalar(constant, pa.string()), piece.num_rows))
    if value.kind is not None:
        kinds = pa.repeat(pa.scalar(value.kind), piece.num_rows)
        piece = piece.set_column(piece.column_names.index("kind"), "kind", kinds)
    with np.errstate(over="ignore"):  # what overflows is infinite then, and refused by validation
        converted = convert(numbers[present], value.unit, unit)
    zero_class = get_property(value.property).zero_class is not None
    piece = piece.append_column("zero_class", pa.repeat(pa.scalar(zero_class), piece.num_rows))
    return piece.append_column("value", pa.array(converted))


def _take(table: pa.Table, rows: NDArray[np.intp]) -> pa.Table:
    """The given rows, in order; mostly these are all, and nothing is copied."""
    return table if len(rows) == table.num_rows else table.take(pa.array(rows))


_FLAGS = (
    "CASE WHEN suffixed THEN 'formula.suffix' END, CASE WHEN assumed THEN 'structure.assumed' END, "
    "CASE WHEN zero_class AND value = 0 THEN 'value.zero_class' END"
)


def _finish(contract: Contract, pieces: pa.Table) -> pa.Table:
    """Add what all observations share, and their hashes."""
    columns = TABLES["observations"].column_names
    content = [c for c in columns if c not in {"observation_id", "record_hash", "file_sha256", "source_record"}]
    hashed = ", chr(31), ".join(f"coalesce(CAST({column} AS VARCHAR), chr(30))" for column in content)
    default = f"https://doi.org/{contract.citation.doi}" if contract.citation.doi else contract.citation.bibtex
    with _connect() as con:
        con.register("pieces", pieces)
        finished = con.execute(
            f"SELECT {', '.join(columns[:-1])}, md5(concat({hashed})) AS record_hash FROM ("
            "SELECT * EXCLUDE (reference, method), $source AS source, coalesce(method, $method) AS method, "
            "CAST(NULL AS DOUBLE) AS uncertainty, "
            f"list_filter([{_FLAGS}], lambda flag: flag IS NOT NULL) AS flags, "
            "coalesce(nullif(reference, ''), $reference) AS reference, "
            'md5(concat($source, chr(31), key, chr(31), property, chr(31), "column")) AS observation_id FROM pieces)',
            {"source": contract.source, "method": contract.method, "reference": default},
        ).to_arrow_table()
    return finished.cast(TABLES["observations"].arrow_schema)


def _rejections(table: pa.Table, faults: _Faults) -> list[Rejection]:
    rows = sorted(faults.by_row)
    refused = table.select(["source_record", "raw", "file_sha256"]).take(pa.array(rows, pa.int64())).to_pylist()
    return [
        Rejection(record["source_record"], *faults.by_row[row], raw=record["raw"], file_sha256=record["file_sha256"])
        for row, record in zip(rows, refused, strict=True)
    ]


def _is_missing(contract: Contract, texts: pa.ChunkedArray) -> NDArray[np.bool_]:
    spelled = pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(contract.missing, pa.string()))
    return pc.or_(pc.is_null(texts), spelled).to_numpy()


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    return con


def _numbers(texts: pa.ChunkedArray, decimal: str, *, truths: bool = False) -> NDArray[np.float64]:
    """Texts to numbers; NaN where a text is not a number. With decimal commas a point is not part of a number.

    Where a property is a matter of yes and no, these are 1 and 0; a band gap of "true" is none.
    """
    if decimal == ",":
        texts = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
    with _connect() as con:
        con.register("texts", pa.table({"i": np.arange(len(texts)), "t": texts}))
        read = con.execute(
            "SELECT CASE WHEN lower(trim(t)) IN ('true', 'false') THEN if($1, (lower(trim(t)) = 'true')::DOUBLE, NULL) "
            "WHEN NOT contains(t, '_') THEN try_cast(trim(t) AS DOUBLE) END AS v FROM texts ORDER BY i",  # 1_000: no
            [truths],
        ).to_arrow_table()["v"]
    return read.to_numpy(zero_copy_only=False).astype(np.float64)
