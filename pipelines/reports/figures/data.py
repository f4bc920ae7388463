"""Figures of the data: chemistry covered, materials that sources share, rejected records.

Functions of counts that return a plotly Figure, their texts escaped. Not here: figures of predictions (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports.figures.canvas import canvas
from matstrata.pipelines.reports.figures.palette import BLUE, GRAY, GREEN, ORANGE, SKY, VERMILLION
from matstrata.pipelines.reports.figures.periodic_table import COLUMNS, PLACES, ROWS
from matstrata.pipelines.reports.wording import count, plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)


def periodic_coverage(counts: Mapping[str, int]) -> Figure:
    """Draw how many labeled materials contain each element, on the periodic table with a logarithmic color scale."""
    blank = ROWS - 2  # a thin empty row sets the f-block apart
    shape = (ROWS + 1, COLUMNS)
    color, text = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    hover = np.full(shape, "", dtype=object)
    for z, (symbol, (row, column)) in enumerate(PLACES.items(), start=1):
        at = (row if row < blank else row + 1, column)
        materials = counts.get(symbol, 0)
        color[at] = np.log10(materials) if materials else -0.35
        text[at] = f"<b>{symbol}</b><br>{count(materials) if materials else '·'}"
        hover[at] = f"{symbol} ({z}): {plural(materials, 'labeled material')}"
    top = max(1.0, float(np.nanmax(color)))
    ticks = [tick for tick in _COUNTS if np.log10(tick) <= top]
    edges = [*range(ROWS - 1), ROWS - 1.7, *(ROWS - 0.7 + row for row in range(2))]
    figure = canvas(height=585, margin={"l": 10, "r": 10, "t": 34, "b": 10})
    zero = 0.35 / (top + 0.35)
    stops = ["#DCEBF7", "#A9D1EC", SKY, "#2B8CC4", BLUE, "#003B5C"]
    scale = [[0, "#F1F1EF"], [zero * 0.9, "#F1F1EF"]]
    places = np.linspace(zero * 0.9, 1, len(stops)).tolist()  # a sum of steps could be rounded beyond 1
    scale += [[place, stop] for place, stop in zip(places, stops, strict=True)]
    figure.add_heatmap(
        z=color, x=list(range(COLUMNS + 1)), y=edges, zmin=-0.35, zmax=top, xgap=2, ygap=2, colorscale=scale,
        text=text, texttemplate="%{text}", textfont={"size": 12}, customdata=hover, hoverongaps=False,
        hovertemplate="%{customdata}<extra></extra>",
        colorbar={
            "title": {"text": "materials", "side": "top"}, "orientation": "h", "len": 0.36, "thickness": 12,
            "x": 0.4, "y": 0.83, "yanchor": "bottom", "tickvals": [-0.35, *np.log10(ticks)],
            "ticktext": ["0", *(count(tick) for tick in ticks)],
        },
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    return figure


def source_overlap(overlap: pa.Table, *, limit: int = 20) -> Figure:
    """Draw how many materials each exact combination of sources observes, as an UpSet plot."""
    rows = overlap.slice(0, limit).to_pylist()
    names = sorted({source for row in rows for source in row["sources"]})
    totals = {name: sum(row["materials"] for row in overlap.to_pylist() if name in row["sources"]) for name in names}
    labels = {name: f"{escape(name)} ({count(totals[name])}) " for name in names}
    figure = canvas(height=280 + 34 * len(names), showlegend=False, margin={"l": 70, "r": 20, "t": 40, "b": 10})
    places = list(range(len(rows)))
    figure.add_bar(
        x=places, y=[row["materials"] for row in rows], marker_color=BLUE, width=0.4, cliponaxis=False,
        text=[count(row["materials"]) for row in rows], textposition="outside",
        hovertext=[" and ".join(escape(name) for name in row["sources"]) for row in rows],
        hovertemplate="%{hovertext}<br>%{text} materials<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[place for place in places for _ in names], y=[labels[name] for _ in places for name in names],
        mode="markers", marker={"color": "#E5E7EB", "size": 14}, yaxis="y2", hoverinfo="skip",
    )  # fmt: skip
    for place, row in enumerate(rows):
        members = [labels[name] for name in names if name in row["sources"]]
        figure.add_scatter(
            x=[place] * len(members), y=members, mode="lines+markers", marker={"color": BLUE, "size": 14},
            line={"color": BLUE, "width": 3}, yaxis="y2", hoverinfo="skip",
        )  # fmt: skip
    split = 0.16 + 0.04 * len(names)
    figure.update_layout(
        yaxis={"domain": [min(split, 0.6), 1], "title": {"text": "Materials", "font": {"size": 13}},
               "rangemode": "tozero"},
        yaxis2={"domain": [0, min(split, 0.6) - 0.05], "automargin": True, "showgrid": False, "showline": False,
                "zeroline": False, "ticks": "", "range": [-0.6, len(names) - 0.4]},
        xaxis={"visible": False, "range": [-0.7, max(len(rows), 3) - 0.3], "anchor": "y2"},
    )  # fmt: skip
    return figure


def rejections_by_rule(rejections: pa.Table) -> Figure:
    """Draw rejected records per rule, stacked by source, the most common rule on top."""
    rows = rejections.to_pylist()
    rules = sorted({row["rule_id"] for row in rows}, key=lambda rule: (-_total(rows, rule), rule))
    figure = canvas(height=130 + 34 * len(rules), barmode="stack", xaxis_title="Rejected records")
    palette = (BLUE, ORANGE, GREEN, VERMILLION, SKY, GRAY)
    for place, source in enumerate(sorted({row["source"] for row in rows})):
        amounts = {row["rule_id"]: row["records"] for row in rows if row["source"] == source}
        figure.add_bar(
            y=[f"{escape(rule)} " for rule in rules], x=[amounts.get(rule, 0) for rule in rules], orientation="h",
            name=escape(source), marker_color=palette[place % len(palette)],
            hovertemplate="%{y}<br>%{x:,} records<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    for rule in rules:
        figure.add_annotation(
            x=_total(rows, rule), y=f"{escape(rule)} ", text=count(_total(rows, rule)), showarrow=False,
            xanchor="left", xshift=5,
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showline=False, ticks="")
    figure.update_layout(showlegend=True, margin={"r": 60})
    return figure


def _total(rows: Sequence[Mapping[str, Any]], rule: str) -> int:
    return sum(row["records"] for row in rows if row["rule_id"] == rule)
