"""Figures of permutation feature importance: of sources and descriptors, over all materials and for single ones.

Functions of Arrow tables that return a plotly Figure, their texts escaped. Not here: how importance is measured
(`pipelines.learning.explanation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matstrata.pipelines.reports.figures.canvas import canvas, in_unit, unit_of
from matstrata.pipelines.reports.figures.palette import BLUE, GRAY, ORANGE
from matstrata.pipelines.reports.wording import number, readable
from matstrata.schemas.display import formula_for_people
from matstrata.schemas.properties import Property

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BARS = 20  # blocks with a bar: the most important, and all sources
STRIPS = 12  # blocks with a strip of effects
_KINDS = (("source", "prediction of a computed source", ORANGE), ("descriptors", "descriptors", BLUE))
_COLORS = {kind: color for kind, _, color in _KINDS}


def importance(importances: pa.Table, *, prop: Property) -> Figure:
    """Draw the increase in error on permutation of one block: a bar, and a marker for each fold.

    Args:
        importances: The columns of `queries.importances`.
        prop: The property that is predicted.
    """
    rows = _most_important(importances)
    names = [_name(row) for row in rows]
    figure = canvas(
        height=130 + 24 * len(rows), xaxis_title=in_unit("Increase in mean absolute error", prop), bargap=0.35
    )
    for kind, title, color in _KINDS:
        places = [place for place, row in enumerate(rows) if row["kind"] == kind]
        if places:
            figure.add_bar(
                x=[rows[place]["increase"] for place in places], y=[names[place] for place in places], orientation="h",
                name=title, marker_color=color,
                hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.add_scatter(
        x=[increase for row in rows for increase in row["by_fold"]],
        y=[name for name, row in zip(names, rows, strict=True) for _ in row["by_fold"]],
        mode="markers", name="single fold", marker={"color": "#1F2937", "size": 6, "symbol": "line-ns-open"},
        hovertemplate="%{x:+.3~g}" + unit_of(prop) + "<extra>single fold</extra>",
    )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], ticks="")
    figure.update_layout(showlegend=True)
    return figure


def effects(effects_of_blocks: pa.Table, importances: pa.Table, *, prop: Property) -> Figure:
    """Draw the effect of each block on each held-out prediction, one strip of markers per block.

    Args:
        effects_of_blocks: The columns of `queries.effects`.
        importances: The columns of `queries.importances`; the most important blocks are drawn.
        prop: The property that is predicted.
    """
    rows = _most_important(importances)[:STRIPS]
    names = [_name(row) for row in rows]
    figure = canvas(height=120 + 34 * len(rows), xaxis_title=in_unit("Effect on the prediction", prop))
    figure.add_vline(x=0, line={"color": GRAY, "width": 1})
    for kind, title, color in _KINDS:
        x, y, text = [np.empty(0, dtype=np.float32)], [np.empty(0, dtype=np.float32)], []
        for place, row in enumerate(rows):
            if row["kind"] != kind:
                continue
            part = effects_of_blocks.filter((pc.field("kind") == kind) & (pc.field("block") == row["block"]))
            x.append(part["effect"].to_numpy().astype(np.float32))
            y.append((len(rows) - 1 - place + 0.32 * _spread(part.num_rows)).astype(np.float32))
            text += [escape(formula_for_people(each)) for each in part["material_id"].to_pylist()]
        if text:
            figure.add_scatter(
                x=np.concatenate(x), y=np.concatenate(y), text=text, mode="markers", name=title,
                marker={"color": color, "size": 5, "opacity": 0.5},
                hovertemplate="%{text}: %{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=names[::-1], ticks="", range=[-0.7, len(rows) - 0.3], zeroline=False
    )
    figure.update_layout(showlegend=True)
    return figure


def single_prediction(effects_of: Sequence[Mapping[str, Any]], *, prop: Property, limit: int = 8) -> Figure:
    """Draw the effects of blocks on one prediction, largest first: bars to the right raise it.

    Args:
        effects_of: The effects on the prediction: rows with `kind`, `block` and `effect`.
        prop: The property that is predicted.
        limit: The largest number of bars.
    """
    rows = sorted(effects_of, key=lambda row: -abs(row["effect"]))[:limit]
    rows = [row for row in rows if row["effect"]] or rows[:1]
    names = [f"{_name(row)} {number(row['effect'], 2)} " for row in rows]
    figure = canvas(
        height=116 + 26 * len(rows), xaxis_title=in_unit("Effect on the prediction", prop), showlegend=False,
        margin={"l": 70, "r": 10, "t": 36, "b": 50},
    )  # fmt: skip
    figure.add_bar(
        x=[row["effect"] for row in rows], y=names, orientation="h", width=0.62,
        marker_color=[_COLORS[row["kind"]] for row in rows],
        hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(nticks=4, tickangle=0)
    figure.update_yaxes(autorange="reversed", ticks="", showline=False)
    return figure


def _most_important(importances: pa.Table) -> list[dict[str, Any]]:
    """The most important blocks, and every source."""
    rows = importances.to_pylist()
    return [row for place, row in enumerate(rows) if place < BARS or row["kind"] == "source"]


def _name(row: Mapping[str, Any]) -> str:
    return f"{escape(row['block'] if row['kind'] == 'source' else readable(row['block']))} "


def _spread(n: int) -> np.ndarray:
    """Spread n points between -1 and 1: they look random and are the same each time (multiples of the golden ratio)."""
    return 2 * ((np.arange(n) * 0.6180339887) % 1) - 1
