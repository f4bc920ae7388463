"""Figures of what carries the predictions: training size, sources and descriptors, single materials.

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
from matstrata.pipelines.reports.wording import (
    BLUE,
    GREY,
    ORANGE,
    SETTING_COLOURS,
    SETTINGS,
    VERMILLION,
    count,
    in_order,
    number,
    spoken,
)
from matstrata.schemas.properties import Property

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 20  # blocks, of many that carry nothing
STRIPS = 12
_DASHES = ("solid", "dash", "dot")
_KINDS = (("source", ORANGE), ("descriptors", BLUE))


def learning_curve(curve: pa.Table, *, prop: Property) -> Figure:
    """Mean absolute error against the number of measured materials trained on; classes wait in the legend."""
    figure = canvas(
        height=420,
        xaxis_title="Measured materials trained on (logarithmic)",
        yaxis_title=in_unit("Mean absolute error", prop),
    )
    rows = curve.to_pylist()
    subsets = ["all", *sorted({row["subset"] for row in rows} - {"all"})]
    for setting in in_order({row["setting"] for row in rows}, SETTINGS):
        for place, subset in enumerate(subsets):
            points = [row for row in rows if (row["setting"], row["subset"]) == (setting, subset)]
            if not points:
                continue
            figure.add_scatter(
                x=[row["n_trained"] for row in points], y=[row["mae"] for row in points], mode="lines+markers",
                name=escape(setting if subset == "all" else f"{setting}, {subset}"),
                visible=True if subset == "all" else "legendonly",
                line={"color": SETTING_COLOURS.get(setting, VERMILLION), "dash": _DASHES[place % len(_DASHES)]},
                marker={"size": 9, "symbol": "circle" if subset == "all" else "diamond"},
                customdata=[count(row["n_tested"]) for row in points],
                hovertemplate="%{x:,} trained on: MAE %{y:.3~g}" + unit_of(prop)
                + " on %{customdata}<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    sizes = sorted({row["n_trained"] for row in rows})
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[count(size) for size in sizes])
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure


def importance(found: pa.Table, *, prop: Property) -> Figure:
    """Rise of the error with one source or one group of descriptors exchanged: bars, and a mark for each fold."""
    rows = _shown(found)
    names = [_name(row) for row in rows]
    figure = canvas(
        height=130 + 24 * len(rows), xaxis_title=in_unit("Rise of the mean absolute error", prop), bargap=0.35
    )
    for kind, colour in _KINDS:
        of = [place for place, row in enumerate(rows) if row["kind"] == kind]
        if of:
            figure.add_bar(
                x=[rows[place]["increase"] for place in of], y=[names[place] for place in of], orientation="h",
                name=_kind(kind), marker_color=colour,
                hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.add_scatter(
        x=[rise for row in rows for rise in row["by_fold"]],
        y=[name for name, row in zip(names, rows, strict=True) for _ in row["by_fold"]],
        mode="markers", name="one fold", marker={"color": "#1F2937", "size": 6, "symbol": "line-ns-open"},
        hovertemplate="%{x:+.3~g}" + unit_of(prop) + "<extra>one fold</extra>",
    )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], ticks="")
    figure.update_layout(showlegend=True)
    return figure


def effects(found: pa.Table, order: pa.Table, *, prop: Property) -> Figure:
    """How far each block moved each held-out prediction: a strip of marks for each of the blocks that carry most."""
    rows = _shown(order)[:STRIPS]
    names = [_name(row) for row in rows]
    figure = canvas(height=120 + 34 * len(rows), xaxis_title=in_unit("Moves the prediction by", prop))
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    for kind, colour in _KINDS:
        x, y, text = [np.empty(0, dtype=np.float32)], [np.empty(0, dtype=np.float32)], []
        for place, row in enumerate(rows):
            if row["kind"] != kind:
                continue
            part = found.filter((pc.field("kind") == kind) & (pc.field("block") == row["block"]))
            x.append(part["effect"].to_numpy().astype(np.float32))
            y.append((len(rows) - 1 - place + 0.32 * _spread(part.num_rows)).astype(np.float32))
            text += [escape(material) for material in part["material_id"].to_pylist()]
        if text:
            figure.add_scatter(
                x=np.concatenate(x), y=np.concatenate(y), text=text, mode="markers", name=_kind(kind),
                marker={"color": colour, "size": 5, "opacity": 0.5},
                hovertemplate="%{text}: %{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=names[::-1], ticks="", range=[-0.7, len(rows) - 0.3], zeroline=False
    )
    figure.update_layout(showlegend=True)
    return figure


def single_prediction(effects_of: Sequence[Mapping[str, Any]], *, prop: Property, limit: int = 8) -> Figure:
    """What moved one prediction, the most first: bars to the right raise it."""
    rows = sorted(effects_of, key=lambda row: -abs(row["effect"]))[:limit]
    rows = [row for row in rows if row["effect"]] or rows[:1]
    names = [f"{_name(row)} {number(row['effect'], 2)} " for row in rows]
    figure = canvas(
        height=90 + 26 * len(rows), xaxis_title=in_unit("Effect", prop), showlegend=False,
        margin={"l": 70, "r": 10, "t": 10, "b": 50},
    )  # fmt: skip
    figure.add_bar(
        x=[row["effect"] for row in rows], y=names, orientation="h", width=0.62,
        marker_color=[dict(_KINDS)[row["kind"]] for row in rows],
        hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(nticks=4, tickangle=0)
    figure.update_yaxes(autorange="reversed", ticks="", showline=False)
    return figure


def _shown(found: pa.Table) -> list[dict[str, Any]]:
    """The blocks that carry most, and every source."""
    rows = found.to_pylist()
    return [row for place, row in enumerate(rows) if place < SHOWN or row["kind"] == "source"]


def _name(row: Mapping[str, Any]) -> str:
    return f"{escape(row['block'] if row['kind'] == 'source' else spoken(row['block']))} "


def _kind(kind: str) -> str:
    return {"source": "what a computed source says", "descriptors": "descriptors"}[kind]


def _spread(n: int) -> np.ndarray:
    """Give n places between -1 and 1 that look random and are the same each time (the golden ratio's multiples)."""
    return 2 * ((np.arange(n) * 0.6180339887) % 1) - 1
