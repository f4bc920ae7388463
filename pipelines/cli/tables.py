"""How results look in a terminal, and as CSV, JSON and Parquet. Not here: computing them."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from matstrata.pipelines.cli.plain import plain_table
from matstrata.pipelines.reports.vocabulary import spoken
from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.properties import get_property

if TYPE_CHECKING:
    from matstrata.pipelines.serving.predictor import Prediction

ROWS_SHOWN = 40
EFFECTS_SHOWN = 6  # groups of descriptors, beside all sources; JSON has all
_BATCH = 50_000
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[\d.]+([eE][+-]?\d+)?")


def write_result(result: duckdb.DuckDBPyConnection, format: str, output: Path | None, console: Console) -> None:
    """Write an SQL result in the given format to `output` or to standard output, in batches.

    Raises:
        InputError: Parquet would go to a terminal; or a value on the way could not be computed.
        WorkError: the file can't be written.
    """
    reader = _named_once(result.to_arrow_reader(_BATCH))
    if format == "table" and output is None:
        _print_table(reader, console)
        return
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise InputError("Parquet is not for terminals; add --output FILE.parquet, or send it on: … > FILE.parquet")
    with _opened(output) as stream:
        if format == "parquet":
            with pq.ParquetWriter(stream, reader.schema, compression="zstd") as writer:
                for batch in batches(reader):
                    writer.write_batch(batch)
        elif format == "json":
            _write_json(reader, stream)
        else:
            _write_csv(reader, stream)


def batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; they are computed while they are read, so that errors of the SQL may come late."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"SQL: {error}") from error
        yield batch


def _named_once(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same with a number on names that occur again: `a.source, b.source` gives source and source_1."""
    names: list[str] = []
    for name in reader.schema.names:
        free = (candidate for n in count() if (candidate := name if n == 0 else f"{name}_{n}") not in names)
        names.append(next(free))
    if names == reader.schema.names:
        return reader
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(schema, (batch.rename_columns(names) for batch in batches(reader)))


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    partial = output.with_name(output.name + ".partial")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(output)
    except OSError as error:
        raise WorkError(f"{output} can't be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_json(reader: pa.RecordBatchReader, stream: IO[bytes]) -> None:
    separator = b"[\n"
    for batch in batches(reader):
        for row in batch.to_pylist():
            stream.write(separator + json.dumps(_finite(row), default=str, ensure_ascii=False).encode())
            separator = b",\n"
    stream.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for both."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_csv(reader: pa.RecordBatchReader, stream: IO[bytes]) -> None:
    class Encoded:
        def write(self, text: str) -> None:
            stream.write(text.encode())

    writer = csv.writer(Encoded(), lineterminator="\n")
    writer.writerow(map(_inert, reader.schema.names))
    for batch in batches(reader):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow(
                _inert(_cell(value) if isinstance(value, list | dict | datetime) else value) for value in row
            )


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it; a number's sign does no harm."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _print_table(reader: pa.RecordBatchReader, console: Console) -> None:
    shown: list[dict[str, Any]] = []
    more = 0
    for batch in batches(reader):
        rows = batch.to_pylist()
        room = ROWS_SHOWN - len(shown)
        shown += rows[:room]
        more += max(0, len(rows) - room)
    console.print(grid(reader.schema.names, [list(row.values()) for row in shown]))
    if more:
        console.print(f"… and {more:,} more rows; --format csv prints all")


def grid(names: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Table:
    """A plain table: numbers to the right, nothing of the data taken for markup."""
    numeric = [
        i
        for i in range(len(names))
        if any(isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in rows)
    ]
    table = plain_table([escape(name) for name in names], numeric=numeric, title=title)
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def print_predictions(console: Console, results: Sequence[Prediction], *, as_json: bool) -> None:
    """Predictions as JSON, or one panel per formula."""
    if as_json:
        sys.stdout.write(json.dumps([result.as_dict() for result in results], indent=2, ensure_ascii=False) + "\n")
        return
    for result in results:
        console.print(_prediction_panel(result))
    cited = {citation for result in results for citation in result.citations}
    if cited:
        console.print("[bold]Please cite[/]")
        for citation in sorted(cited):
            console.print(escape(citation), soft_wrap=True)


def _prediction_panel(result: Prediction) -> Panel:
    title = escape(result.formula)
    if result.reason is not None:
        return Panel(escape(result.reason), title=title, title_align="left", border_style="red")
    unit = "" if result.unit == "1" else f" {result.unit}"
    domain = "in domain" if result.in_domain else "[yellow]out of domain: nothing alike was measured[/]"
    if result.in_training:
        domain += "; the model has seen this composition measured"
    body = Table.grid(padding=(0, 2))
    body.add_row(
        get_property(result.property).title,
        f"[bold]{result.value:.3g}{unit}[/]   90 %: {result.lower_90:.3g} to {result.upper_90:.3g}{unit}   {domain}",
    )
    spread = f"± {result.uncertainty_model:.2g}{unit} by the models" if result.uncertainty_model is not None else ""
    if result.uncertainty_noise is not None:
        spread += f", ± {result.uncertainty_noise:.2g}{unit} by which measurements scatter"
    if result.chance_nonzero is not None:
        spread += f"; {result.chance_nonzero:.0%} that it is not zero"
    body.add_row("[dim]of this[/]", spread)
    for source in result.sources:
        body.add_row(f"[dim]{escape(source.title)}[/]", escape(source.text))
    for neighbour in result.neighbours:
        reference = escape(_short(neighbour.reference))
        body.add_row(
            "[dim]measured[/]", f"{escape(neighbour.material_id)} {neighbour.value:.4g}{unit}  [dim]{reference}[/]"
        )
    descriptors = [effect for effect in result.effects if effect.kind == "descriptors"]
    for effect in [*(effect for effect in result.effects if effect.kind == "source"), *descriptors[:EFFECTS_SHOWN]]:
        what = effect.block if effect.kind == "source" else spoken(effect.block)
        body.add_row("[dim]moved by[/]", f"{effect.effect:+.2g}{unit}  [dim]{effect.kind}[/] {escape(what)}")
    return Panel(body, title=title, title_align="left", border_style="cyan" if result.in_domain else "yellow")


def _short(reference: str) -> str:
    """The first DOI of a reference, or its first words; JSON has it whole."""
    dois = [word for word in reference.split() if word.startswith("https://doi.org/")]
    return dois[0].rstrip(";,.") if dois else textwrap.shorten(reference, 72, placeholder=" …")


def print_status(
    console: Console, settings: Sequence[Mapping[str, str]], store: Mapping[str, Any], *, as_json: bool
) -> None:
    """Settings with their origin, then what the store holds."""
    if as_json:
        text = json.dumps({"settings": list(settings), **store}, indent=2, default=str, ensure_ascii=False)
        sys.stdout.write(text + "\n")
        return
    console.print(grid(["setting", "value", "origin", "meaning"], [list(row.values()) for row in settings]))
    if not store["exists"]:
        console.print(f"No store in {store['store']} yet; 'matstrata run' makes one.")
        return
    console.print(
        f"[bold]Store[/] {escape(store['store'])}: snapshot {store['snapshot']}, {store['materials']:,} materials, "
        f"{store['observations']:,} observations"
    )
    for name in ("sources", "feature_sets", "models", "commits"):
        if store[name]:
            console.print(
                grid(list(store[name][0]), [list(row.values()) for row in store[name]], name.replace("_", " "))
            )
