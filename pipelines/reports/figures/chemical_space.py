"""Figures of chemical space: maps of the materials, parallel axes, clusters with their descriptors.

Functions of `Materials` (`reports.chemical_space`) and coordinates that return a plotly Figure, their texts escaped.
Parallel axes are drawn as lines, since plotly's own need WebGL. Not here: the coordinates (`reports.embeddings`).
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.reports.figures.canvas import BARE, OPEN, canvas, unit_of
from matstrata.pipelines.reports.figures.palette import BLUE, GRAY, GREEN, ORANGE, SKY, VERMILLION
from matstrata.pipelines.reports.wording import count, number, readable
from matstrata.schemas.properties import Property

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from matstrata.pipelines.reports.chemical_space import Materials
    from matstrata.pipelines.reports.embeddings import Tree

_SCALE = [[0, "#440154"], [0.25, "#3B528B"], [0.5, "#21918C"], [0.75, "#5EC962"], [1, "#E7D620"]]  # viridis
_DIVERGING = [[0, "#0072B2"], [0.25, "#86B9DA"], [0.5, "#F7F7F5"], [0.75, "#E9A06E"], [1, "#B34700"]]
_CLASSES = (SKY, BLUE, GREEN, VERMILLION)


def material_map(
    materials: Materials, coordinates: NDArray[np.float64], titles: tuple[str, str], *, prop: Property
) -> Figure:
    """Draw materials in two coordinates, colored by measured value; gray ones are in computed sources only."""
    figure = canvas(
        height=455, xaxis_title=titles[0], yaxis_title=titles[1], margin={"l": 60, "r": 10, "t": 65, "b": 50}
    )
    places = coordinates.astype(np.float32)
    rows, formulas = materials.measured, materials.formulas
    if not rows.all():
        figure.add_scatter(
            x=places[~rows, 0], y=places[~rows, 1], mode="markers", name=f"computed only ({count(int((~rows).sum()))})",
            text=[escape(each) for each in formulas[~rows].tolist()],
            marker={"color": "#B6BCC4", "size": 4}, hovertemplate="%{text}<extra>computed only</extra>",
        )  # fmt: skip
    values = materials.values[rows]
    low, high = np.quantile(values, [0.02, 0.98])
    figure.add_scatter(
        x=places[rows, 0], y=places[rows, 1], mode="markers", name=f"measured ({count(int(rows.sum()))})",
        text=[escape(each) for each in formulas[rows].tolist()],
        customdata=[number(float(value)) for value in values],
        hovertemplate="%{text}: %{customdata}" + unit_of(prop) + "<extra></extra>",
        marker={
            "color": values.astype(np.float32), "cmin": float(low), "cmax": float(high if high > low else low + 1),
            "colorscale": _SCALE, "size": 7, "line": {"width": 0.5, "color": "#FFFFFF"},
            "symbol": [OPEN if prop.zero_class is not None and value == 0 else 0 for value in values],
            "colorbar": {"title": {"text": escape(prop.label), "side": "right", "font": {"size": 13}},
                         "thickness": 12, "outlinewidth": 0},
        },
    )  # fmt: skip
    figure.update_layout(showlegend=True)
    return figure


def parallel_axes(materials: Materials, columns: Sequence[int], *, prop: Property) -> Figure:
    """Draw one line per material over descriptors and the property, each axis from its minimum to its maximum."""
    features = materials.features[:, list(columns)]
    values = np.column_stack([features, materials.values])
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    heights = (values - low) / np.where(high > low, high - low, 1.0)
    figure = canvas(height=440, margin={"l": 40, "r": 40, "t": 40, "b": 90}, hovermode="closest")
    axes = list(range(values.shape[1]))
    formulas = materials.formulas
    for name, rows, color in _classes(materials.values, prop):
        gap = np.full((int(rows.sum()), 1), np.nan)
        figure.add_scatter(
            x=np.tile([*axes, np.nan], int(rows.sum())).astype(np.float32),
            y=np.hstack([heights[rows], gap]).ravel().astype(np.float32), mode="lines",
            name=f"{name} ({count(int(rows.sum()))})", line={"color": color, "width": 1.2}, opacity=0.6,
            text=np.repeat([escape(each) for each in formulas[rows].tolist()], len(axes) + 1).tolist(),
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    for axis in axes:
        figure.add_vline(x=axis, line={"color": GRAY, "width": 1})
        for height, value in ((0, low[axis]), (1, high[axis])):
            figure.add_annotation(
                x=axis, y=height, text=number(float(value)), showarrow=False, font={"size": 11},
                yanchor="top" if height == 0 else "bottom", bgcolor="white", borderpad=1,
            )  # fmt: skip
    titles = [_wrapped(readable(materials.descriptors[place])) for place in columns]
    titles.append(f"<b>{_wrapped(prop.label)}</b>")
    figure.update_xaxes(
        tickvals=axes, ticktext=titles, showgrid=False, showline=False, zeroline=False, ticks="", tickangle=0,
        range=[-0.4, len(axes) - 0.6], ticklabelstandoff=14,
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.1, 1.1])
    figure.update_layout(showlegend=True)
    return figure


def _classes(values: NDArray[np.float64], prop: Property) -> list[tuple[str, NDArray[np.bool_], str]]:
    """Divide materials into up to four classes by value: zeros, where they are a class, and quantiles of the rest."""
    zero = (values == 0) if prop.zero_class is not None else np.zeros(len(values), dtype=bool)
    classes = [(escape(str(prop.zero_class)), zero, ORANGE)] if zero.any() else []
    parts = 4 - len(classes)
    edges = np.unique(np.quantile(values[~zero], np.linspace(0, 1, parts + 1))) if (~zero).any() else np.empty(0)
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == len(edges) - 2
        rows = ~zero & (values >= low) & ((values <= high) if last else (values < high))
        if rows.any():
            classes.append((f"{number(float(low))} to {number(float(high))}", rows, _CLASSES[place + 4 - parts]))
    return classes or [("all", np.ones(len(values), dtype=bool), BLUE)]


def cluster_heat_map(
    materials: Materials, columns: Sequence[int], row_tree: Tree, column_tree: Tree, *, prop: Property
) -> Figure:
    """Draw descriptors of materials as a heat map in the order of two clusterings, with the property's value."""
    points = materials.points[:, list(columns)][np.ix_(row_tree.order, column_tree.order)]
    names = [escape(each) for each in materials.formulas[row_tree.order].tolist()]
    titles = [escape(readable(materials.descriptors[columns[place]])) for place in column_tree.order]
    values = materials.values[row_tree.order]
    n, m = points.shape
    figure = canvas(height=340 + 13 * n, showlegend=False, margin={"l": 10, "r": 10, "t": 40, "b": 10})
    figure.add_heatmap(
        z=points.astype(np.float32), x=list(range(m)), y=list(range(n)), zmin=-2.5, zmax=2.5, colorscale=_DIVERGING,
        text=[[f"{name}<br>{title}" for title in titles] for name in names],
        hovertemplate="%{text}: %{z:.2f}<extra></extra>",
        colorbar={"title": {"text": "standard deviations", "side": "top"}, "orientation": "h",
                  "thickness": 10, "len": 0.3, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top",
                  "outlinewidth": 0},
    )  # fmt: skip
    figure.add_heatmap(
        z=values[:, None].astype(np.float32), x=[0], y=list(range(n)), colorscale=_SCALE, xaxis="x2",
        text=[[f"{name}: {number(float(value))}{unit_of(prop)}"] for name, value in zip(names, values, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        colorbar={"title": {"text": escape(prop.label), "side": "top"}, "orientation": "h", "thickness": 10,
                  "len": 0.36, "x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "outlinewidth": 0},
    )  # fmt: skip
    figure.add_scatter(**_branches(row_tree.along, row_tree.across), xaxis="x3", **_LINE)
    figure.add_scatter(**_branches(column_tree.across, column_tree.along), yaxis="y2", **_LINE)
    top = 1 - 190 / (13 * n + 290)
    figure.update_layout(
        xaxis={"domain": [0.13, 0.84], "tickvals": list(range(m)), "ticktext": titles, "tickangle": -90,
               "tickfont": {"size": 11}, "side": "bottom", "ticks": "", "showgrid": False, "showline": False,
               "range": [-0.5, m - 0.5], "zeroline": False},
        xaxis2={"domain": [0.85, 0.88], "tickvals": [0], "ticktext": [escape(prop.symbol)], "ticks": "",
                "showgrid": False, "showline": False, "zeroline": False, "tickfont": {"size": 11}},
        xaxis3={"domain": [0, 0.12], "autorange": "reversed", **BARE},
        yaxis={"domain": [0, top], "tickvals": list(range(n)), "ticktext": names, "side": "right", "ticks": "",
               "tickfont": {"size": 9}, "showgrid": False, "showline": False, "zeroline": False,
               "range": [n - 0.5, -0.5], "anchor": "x2", "automargin": True},
        yaxis2={"domain": [top + 0.003, top + 70 / (13 * n + 290)], **BARE},
    )  # fmt: skip
    return figure


_LINE: dict[str, Any] = {"mode": "lines", "line": {"color": GRAY, "width": 1}, "hoverinfo": "skip"}


def _branches(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """All mergers of a tree as one line, broken by NaN."""
    gap = np.full((len(x), 1), np.nan)
    return {"x": np.hstack([x, gap]).ravel().astype(np.float32), "y": np.hstack([y, gap]).ravel().astype(np.float32)}


def _wrapped(text: str) -> str:
    """A title on short lines, for narrow places."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 11:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(escape(line) for line in lines if line)
