"""Figures of predictions held against measurements: functions of Arrow tables (and findings) that return a Figure.

Every text that comes from data is escaped, because plotly reads its texts as a kind of HTML. No WebGL, so that the page
also draws where scripts may not compile code. Not here: figures of the data (`data_figures`), of what carries the
predictions (`importance_figures`), the maps (`space_figures`), and the page around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports.figures.canvas import CLOSED, OPEN, canvas, in_unit, unit_of
from matstrata.pipelines.reports.findings import Calibration, Comparison, Coverage, Figures, protocols, select, settings
from matstrata.pipelines.reports.wording import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SETTING_COLOURS,
    SKY,
    VERMILLION,
    count,
    number,
    spoken,
)
from matstrata.schemas.properties import Property

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_FEW = 600  # materials of which each is drawn
_LINES = (BLUE, GREEN, ORANGE, VERMILLION, SKY)
_MARKS = ("circle", "diamond", "square", "triangle-up", "cross")
_VERDICTS = (("better", GREEN, "circle"), ("no clear difference", GREY, "diamond"), ("worse", VERMILLION, "square"))
_SUBSETS = (("all", BLUE, "circle"), ("in domain", GREEN, "diamond"), ("out of domain", ORANGE, "square"))


def parity(out_of_fold: pa.Table, *, prop: Property, protocol: str, choice: str) -> Figure:
    """Predicted against measured, with 90 % intervals: `choice`, and `strict` waiting in the legend.

    Filled marks are in the domain, open ones outside it. Numbers keep 32 bits: they are drawn, not computed with.
    """
    figure = canvas(
        height=620,
        xaxis_title=f"Measured: {escape(prop.label)}",
        yaxis_title=f"Predicted: {escape(prop.label)}",
        hovermode="closest",
    )
    parts = {setting: select(out_of_fold, protocol, setting) for setting in dict.fromkeys((choice, "strict"))}
    drawn = np.concatenate([_column(part, name) for part in parts.values() for name in ("measured", "value")])
    low, high = _span(drawn)
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": GREY, "dash": "dash", "width": 1},
        name="predicted = measured", hoverinfo="skip",
    )  # fmt: skip
    for setting, part in parts.items():
        if part.num_rows:
            _add_setting(figure, part, setting=setting, prop=prop, shown=setting == choice)
    figure.update_xaxes(range=[low, high], constrain="domain")
    figure.update_yaxes(range=[low, high], scaleanchor="x", scaleratio=1, constrain="domain")
    return figure


def _add_setting(figure: Figure, part: pa.Table, *, setting: str, prop: Property, shown: bool) -> None:
    """Marks and intervals of one setting, switched together in the legend."""
    visible = True if shown else "legendonly"
    colour = SETTING_COLOURS.get(setting, BLUE)
    unit = unit_of(prop)
    figure.add_scatter(
        **_interval_lines(part), mode="lines", line={"color": colour, "width": 1}, opacity=0.35, hoverinfo="skip",
        legendgroup=setting, showlegend=False, visible=visible,
    )  # fmt: skip
    figure.add_scatter(
        x=_column(part, "measured"), y=_column(part, "value"), mode="markers", name=setting, legendgroup=setting,
        visible=visible, customdata=_hover_facts(part),
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>measured %{{x:.4~g}}{unit}<br>predicted %{{y:.4~g}}{unit}"
        f"<br>90 % interval %{{customdata[1]}}{unit}<br>%{{customdata[2]}} domain<extra>{escape(setting)}</extra>",
        marker={
            "color": colour, "size": 7, "line": {"width": 1},
            "symbol": [CLOSED if inside else OPEN for inside in part["in_domain"].to_pylist()],
        },
    )  # fmt: skip


def _column(part: pa.Table, name: str) -> np.ndarray:
    return np.asarray(part[name].to_numpy(), dtype=np.float32)


def _interval_lines(part: pa.Table) -> dict[str, np.ndarray]:
    """One line for all intervals, broken by NaN: thousands of error bars as a single path."""
    measured, gap = _column(part, "measured"), np.full(part.num_rows, np.nan, dtype=np.float32)
    return {
        "x": np.column_stack([measured, measured, gap]).ravel(),
        "y": np.column_stack([_column(part, "lower_90"), _column(part, "upper_90"), gap]).ravel(),
    }


def _hover_facts(part: pa.Table) -> list[tuple[str, str, str]]:
    """Per material: formula, interval, and 'in' or 'out of' the domain."""
    return [
        (
            escape(row["material_id"]),
            f"{number(row['lower_90'])} to {number(row['upper_90'])}",
            "in" if row["in_domain"] else "out of",
        )
        for row in part.to_pylist()
    ]


def _span(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    room = 0.04 * ((finite.max() - finite.min()) or 1.0)
    return float(finite.min() - room), float(finite.max() + room)


def errors_by_setting(figures: Figures, *, prop: Property) -> Figure:
    """MAE of every setting, one group of bars per protocol."""
    figure = canvas(
        height=360,
        barmode="group",
        yaxis_title=in_unit("Mean absolute error", prop),
        bargap=0.25,
        bargroupgap=0.08,
    )
    tested = protocols(figures)
    for setting in settings(figures):
        values = [figures.get((protocol, setting, "all", "mae")) for protocol in tested]
        figure.add_bar(
            x=[escape(protocol) for protocol in tested], y=values, name=escape(setting),
            marker_color=SETTING_COLOURS.get(setting, VERMILLION), text=[number(value) for value in values],
            textposition="outside", cliponaxis=False,
            hovertemplate="%{x}<br>MAE %{text}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return figure


def interval_coverage(coverages: Sequence[Coverage]) -> Figure:
    """Share of held-out materials inside their 90 % interval, with the share's own 95 % uncertainty."""
    figure = canvas(
        height=110 + 26 * len({(c.protocol, c.setting, c.subset) for c in coverages}),
        xaxis_title="Inside their 90 % interval (%)",
    )
    lowest = min([70.0, *(100 * coverage.lower - 2 for coverage in coverages)])
    figure.add_vrect(x0=87, x1=93, fillcolor="#D1FAE5", opacity=0.6, line_width=0, layer="below")
    figure.add_vline(x=90, line={"color": GREY, "dash": "dash", "width": 1})
    for subset, colour, symbol in _SUBSETS:
        rows = [coverage for coverage in coverages if coverage.subset == subset]
        if not rows:
            continue
        share = np.array([100 * row.share for row in rows])
        figure.add_scatter(
            x=share, y=[_coverage_name(row) for row in rows], mode="markers",
            name=subset, marker={"color": colour, "size": 10, "symbol": symbol},
            error_x={
                "type": "data", "symmetric": False, "color": colour, "thickness": 1.5,
                "array": [100 * row.upper for row in rows] - share,
                "arrayminus": share - [100 * row.lower for row in rows],
            },
            text=[f"{100 * row.share:.1f} % of {count(row.materials)}" for row in rows],
            hovertemplate="%{y}<br>%{text} materials<extra></extra>",
        )  # fmt: skip
    order = [_coverage_name(coverage) for coverage in coverages]
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    figure.update_xaxes(range=[lowest, 101])
    return figure


def _coverage_name(row: Coverage) -> str:
    return f"{escape(row.protocol)} · {escape(row.setting)} · {row.subset} ({count(row.materials)}) "


def calibration_curve(curves: Sequence[Calibration]) -> Figure:
    """Nominal against empirical coverage, one line per subset; whiskers on the line of all materials."""
    figure = canvas(
        height=460,
        xaxis_title="Nominal level of the interval (%)",
        yaxis_title="Held-out materials inside it (%)",
    )
    span = [min(45.0, *(100 * low for curve in curves for low in curve.shares)) - 3, 101]
    figure.add_scatter(
        x=span, y=span, mode="lines", line={"color": GREY, "dash": "dash", "width": 1}, name="as promised",
        hoverinfo="skip",
    )  # fmt: skip
    for place, curve in enumerate(curves):
        shares = 100 * np.array(curve.shares)
        whiskers = {
            "type": "data", "symmetric": False, "thickness": 1.5,
            "array": 100 * np.array(curve.upper) - shares, "arrayminus": shares - 100 * np.array(curve.lower),
        }  # fmt: skip
        figure.add_scatter(
            x=100 * np.array(curve.levels), y=shares, mode="lines+markers",
            name=f"{escape(spoken(curve.subset))} ({count(curve.materials)})",
            line={"color": _LINES[place % len(_LINES)], "dash": "solid" if curve.subset == "all" else "dot"},
            marker={"size": 8, "symbol": _MARKS[place % len(_MARKS)]},
            error_y=whiskers if curve.subset == "all" else None,
            hovertemplate="%{x:.0f} % promised, %{y:.1f} % inside<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[45, 100])
    figure.update_yaxes(range=span)
    return figure


def residuals(part: pa.Table, *, prop: Property) -> Figure:
    """Predicted minus measured by class and domain: boxes from quarter to quarter, and marks while they are few."""
    inside = np.array(part["in_domain"].to_pylist(), dtype=bool)
    zero = part["measured"].to_numpy() == 0
    errors = _column(part, "value") - _column(part, "measured")
    names = np.array([escape(name) for name in part["material_id"].to_pylist()], dtype=object)
    classes = {"all": np.ones(len(errors), dtype=bool)}
    if prop.zero_class is not None:
        classes = {prop.zero_class: zero, f"non-{prop.zero_class}": ~zero}
    figure = canvas(height=420, yaxis_title=in_unit("Predicted minus measured", prop), boxmode="group", boxgap=0.4)
    for subset, rows, colour in (("in domain", inside, GREEN), ("out of domain", ~inside, ORANGE)):
        chosen = [(name, mask & rows) for name, mask in classes.items() if (mask & rows).any()]
        if not chosen:
            continue
        labels = [f"{escape(name)}" for name, mask in chosen for _ in range(int(mask.sum()))]
        order = np.concatenate([np.flatnonzero(mask) for _, mask in chosen])
        figure.add_box(
            x=labels, y=errors[order], name=f"{subset} ({count(int(rows.sum()))})", text=names[order].tolist(),
            boxpoints="all" if len(errors) <= _FEW else "outliers", jitter=0.6, pointpos=0, fillcolor="rgba(0,0,0,0)",
            line={"color": colour, "width": 1.5}, marker={"color": colour, "size": 4, "opacity": 0.55},
            hovertemplate="%{text}: %{y:.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>", hoveron="points",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "dash": "dash", "width": 1})
    figure.update_xaxes(showgrid=False, title="all materials" if prop.zero_class is None else "Measured class",
                        showticklabels=prop.zero_class is not None)  # fmt: skip
    figure.update_layout(showlegend=True)
    return figure


def what_dft_added(rows: Sequence[Comparison], *, prop: Property) -> Figure:
    """The change of the MAE by computed data, with its 95 % interval: left of 0 is better."""
    names = [f"{escape(row.protocol)} · {escape(row.setting)} · {escape(row.subset)} " for row in rows]
    figure = canvas(height=130 + 30 * len(rows), xaxis_title=in_unit("Change of the mean absolute error", prop))
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1})
    for verdict, colour, symbol in _VERDICTS:
        of = [place for place, row in enumerate(rows) if row.verdict == verdict]
        if of:
            figure.add_scatter(
                x=[rows[place].difference for place in of], y=[names[place] for place in of], mode="markers",
                name=verdict, marker={"color": colour, "size": 10, "symbol": symbol},
                error_x={"type": "data", "array": [rows[place].margin or 0.0 for place in of], "thickness": 1.5},
                hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_layout(showlegend=True)
    return figure
