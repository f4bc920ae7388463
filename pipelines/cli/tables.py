"""How results look in a terminal. Not here: computing them, and other formats (`pipelines.serving.export`)."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from matstrata.pipelines.cli.plain import plain_table
from matstrata.pipelines.reports.wording import spoken
from matstrata.pipelines.serving.export import BATCH, batches, cell_text, export, uniquely_named
from matstrata.schemas.properties import get_property

if TYPE_CHECKING:
    from matstrata.pipelines.serving.predictor import Prediction

ROWS_SHOWN = 40
EFFECTS_SHOWN = 6  # groups of descriptors, beside all sources; JSON has all


def write_result(result: duckdb.DuckDBPyConnection, format: str, output: Path | None, console: Console) -> None:
    """Print an SQL result as a table, or write it in the given format to `output` or to standard output.

    Raises:
        InputError: Parquet would go to a terminal; or a value on the way could not be computed.
        WorkError: the file can't be written.
    """
    if format == "table" and output is None:
        _print_table(uniquely_named(result.to_arrow_reader(BATCH)), console)
    else:
        export(result, format, output)


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
    return cell_text(value)


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
