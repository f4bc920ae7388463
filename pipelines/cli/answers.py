"""How the answers of single commands look in a terminal: predictions, contradictions between sources, the status.

Not here: computing them (`pipelines.serving`, `store`), tables in general (`pipelines.cli.tables`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from matstrata.pipelines.cli.console import marked, plain
from matstrata.pipelines.cli.plain import significant
from matstrata.pipelines.cli.tables import print_grid, print_rows
from matstrata.schemas.units import unit_suffix

if TYPE_CHECKING:
    from matstrata.pipelines.serving.predictor import Prediction

EFFECTS_PRINTED = 6  # groups of descriptors, after those of the sources; JSON has all


def print_predictions(console: Console, results: Sequence[Prediction]) -> None:
    """Print one panel per formula, then whom to cite."""
    for result in results:
        console.print(_prediction_panel(result))
    citations = {citation for result in results for citation in result.citations}
    if citations:
        console.print("[bold]Please cite[/]")
        for citation in sorted(citations):
            console.print(plain(citation), soft_wrap=True)


def _prediction_panel(result: Prediction) -> Panel:
    from matstrata.pipelines.reports.wording import readable
    from matstrata.schemas.properties import get_property

    title = plain(result.formula)
    if result.material_id not in (None, result.formula):
        title += f" [dim]({plain(str(result.material_id))})[/]"
    if result.reason is not None:
        return Panel(plain(result.reason), title=marked(title), title_align="left", border_style="red")
    unit = unit_suffix(result.unit)
    domain = "in domain" if result.in_domain else "[yellow]out of domain: no similar material was measured[/]"
    if result.in_training:
        domain += "; this composition is in the training data"
    body = Table.grid(padding=(0, 2))
    body.add_row(
        get_property(result.property).title,
        f"[bold]{significant(result.value, 3)}{unit}[/]   90 %: {significant(result.lower_90, 3)} to "
        f"{significant(result.upper_90, 3)}{unit}   {domain}",
    )
    spread = f"± {result.uncertainty_model:.2g}{unit} by the models" if result.uncertainty_model is not None else ""
    if result.uncertainty_noise is not None:
        spread += f", ± {result.uncertainty_noise:.2g}{unit} by the scatter of measurements"
    if result.chance_nonzero is not None:
        spread += f"; {result.chance_nonzero:.0%} that it is not zero"
    body.add_row("[dim]of which[/]", spread)
    for contribution in result.contributions:
        body.add_row(f"[dim]{plain(contribution.title)}[/]", plain(contribution.text))
    for neighbor in result.neighbors:
        reference = plain(_short(neighbor.reference))
        body.add_row(
            "[dim]measured[/]", f"{plain(neighbor.formula)} {significant(neighbor.value)}{unit}  [dim]{reference}[/]"
        )
    descriptors = [effect for effect in result.effects if effect.kind == "descriptors"]
    for effect in [*(effect for effect in result.effects if effect.kind == "source"), *descriptors[:EFFECTS_PRINTED]]:
        block = effect.block if effect.kind == "source" else readable(effect.block)
        body.add_row("[dim]effect[/]", f"{effect.effect:+.2g}{unit}  [dim]{effect.kind}[/] {plain(block)}")
    return Panel(body, title=marked(title), title_align="left", border_style="cyan" if result.in_domain else "yellow")


def _short(reference: str) -> str:
    """The first DOI of a reference, or its first words; JSON has it whole."""
    dois = [word for word in reference.split() if word.startswith("https://doi.org/")]
    return dois[0].rstrip(";,.") if dois else textwrap.shorten(reference, 72, placeholder=" …")


def print_conflicts(
    console: Console, property: str, threshold: float, rows: Sequence[Mapping[str, Any]], limit: int, *, wide: bool
) -> None:
    """Print the pairs of labels that contradict each other the most, and how many there are in all."""
    from matstrata.store.lake.views import CONFLICT_FACTOR

    print_rows(
        console,
        ["material_id", "source_a", "value_a", "n_a", "source_b", "value_b", "n_b", "difference", "remark"],
        rows[:limit],
        wide=wide,
        least=("n_a", "n_b", "remark"),
    )
    console.print(
        f"{len(rows):,} pairs of labels of {property} contradict each other: "
        f"{sum(row['difference'] > threshold for row in rows):,} differ by more than {threshold:.3g}, "
        f"{CONFLICT_FACTOR:g} times the scatter of repeated measurements; the remark explains the rest."
    )


def print_status(
    console: Console, settings: Sequence[Mapping[str, str]], store: Mapping[str, Any], *, wide: bool
) -> None:
    """Print the settings with their origin, then what the store holds."""
    print_grid(
        console,
        ["setting", "value", "origin", "meaning"],
        [list(row.values()) for row in settings],
        wide=wide,
    )
    if not store["exists"]:
        console.print(f"No store in {plain(store['store'])} yet; 'matstrata run' makes one.", soft_wrap=True)
        return
    console.print(f"[bold]Store[/] {plain(store['store'])}", soft_wrap=True)
    console.print(
        f"snapshot {store['snapshot']}, {store['materials']:,} materials, {store['observations']:,} observations\n"
    )
    for name in ("sources", "feature_sets", "models", "commits"):
        if store[name]:
            print_rows(console, list(store[name][0]), store[name], wide=wide, title=name.replace("_", " "))
