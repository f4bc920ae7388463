"""Figures that compare predictions with measurements: functions of Arrow tables and findings that return a Figure.

Every text that comes from data is escaped, because plotly reads its texts as a kind of HTML. No WebGL, so that the page
also draws where scripts may not compile code. Not here: figures of the data (`data`), feature importance
(`importance`), the maps (`chemical_space`), and the page around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from matstrata.pipelines.reports.figures.canvas import CLOSED, OPEN, canvas, in_unit, unit_of
from matstrata.pipelines.reports.figures.palette import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    SETTING_COLORS,
    SKY,
    VERMILLION,
)
from matstrata.pipelines.reports.findings import Calibration, Comparison, Coverage, Metrics, protocols, select, settings
from matstrata.pipelines.reports.wording import SETTINGS, count, in_order, number, readable
from matstrata.schemas.display import formula_for_people
from matstrata.schemas.properties import Property
from matstrata.schemas.terms import Metric, Setting, Subset

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ALL_POINTS = 600  # up to so many materials each has its marker in the residuals; beyond, outliers only
_LINES = (BLUE, GREEN, ORANGE, VERMILLION, SKY)
_MARKS = ("circle", "diamond", "square", "triangle-up", "cross")
_VERDICTS = (("better", GREEN, "circle"), ("no clear difference", GRAY, "diamond"), ("worse", VERMILLION, "square"))
_SUBSETS = (
    (Subset.ALL, BLUE, "circle"),
    (Subset.IN_DOMAIN, GREEN, "diamond"),
    (Subset.OUT_OF_DOMAIN, ORANGE, "square"),
)
_DASHES = ("solid", "dash", "dot")


def parity(out_of_fold: pa.Table, *, prop: Property, protocol: str, choice: str) -> Figure:
    """Draw predicted against measured values with 90 % intervals.

    Filled markers are in the domain, open ones outside it. Numbers keep 32 bits: they are drawn, not computed with.

    Args:
        out_of_fold: Out-of-fold predictions of all protocols and settings.
        prop: The property that is predicted.
        protocol: The protocol to show.
        choice: The setting to show; `strict` can be switched on in the legend.
    """
    figure = canvas(
        height=620,
        xaxis_title=f"Measured: {escape(prop.label)}",
        yaxis_title=f"Predicted: {escape(prop.label)}",
        hovermode="closest",
    )
    drawn_settings = dict.fromkeys((choice, str(Setting.STRICT)))
    parts = {setting: select(out_of_fold, protocol, setting) for setting in drawn_settings}
    drawn = np.concatenate([_column(part, name) for part in parts.values() for name in ("measured", "value")])
    low, high = _span(drawn)
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": GRAY, "dash": "dash", "width": 1},
        name="predicted = measured", hoverinfo="skip",
    )  # fmt: skip
    for setting, part in parts.items():
        if part.num_rows:
            _add_setting(figure, part, setting=setting, prop=prop, visible=True if setting == choice else "legendonly")
    figure.update_xaxes(range=[low, high], constrain="domain")
    figure.update_yaxes(range=[low, high], scaleanchor="x", scaleratio=1, constrain="domain")
    return figure


def _add_setting(
    figure: Figure, part: pa.Table, *, setting: str, prop: Property, visible: Literal[True, "legendonly"]
) -> None:
    """Add markers and intervals of one setting, switched together in the legend."""
    color = SETTING_COLORS.get(setting, BLUE)
    unit = unit_of(prop)
    figure.add_scatter(
        **_interval_lines(part), mode="lines", line={"color": color, "width": 1}, opacity=0.35, hoverinfo="skip",
        legendgroup=setting, showlegend=False, visible=visible,
    )  # fmt: skip
    figure.add_scatter(
        x=_column(part, "measured"), y=_column(part, "value"), mode="markers", name=setting, legendgroup=setting,
        visible=visible, customdata=_hover_facts(part),
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>measured %{{x:.4~g}}{unit}<br>predicted %{{y:.4~g}}{unit}"
        f"<br>90 % interval %{{customdata[1]}}{unit}<br>%{{customdata[2]}} domain<extra>{escape(setting)}</extra>",
        marker={
            "color": color, "size": 7, "line": {"width": 1},
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
            escape(formula_for_people(row["material_id"])),
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


def errors_by_setting(metrics: Metrics, *, prop: Property) -> Figure:
    """Draw the MAE of every setting, one group of bars per protocol."""
    figure = canvas(
        height=360,
        barmode="group",
        yaxis_title=in_unit("Mean absolute error", prop),
        bargap=0.25,
        bargroupgap=0.08,
    )
    columns = protocols(metrics)
    for setting in settings(metrics):
        values = [metrics.get((protocol, setting, Subset.ALL, Metric.MAE)) for protocol in columns]
        figure.add_bar(
            x=[escape(protocol) for protocol in columns], y=values, name=escape(setting),
            marker_color=SETTING_COLORS.get(setting, VERMILLION), text=[number(value) for value in values],
            textposition="outside", cliponaxis=False,
            hovertemplate="%{x}<br>MAE %{text}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return figure


def interval_coverage(coverages: Sequence[Coverage]) -> Figure:
    """Draw the share of held-out materials inside their 90 % interval, with the 95 % interval of that share."""
    figure = canvas(
        height=110 + 26 * len({(c.protocol, c.setting, c.subset) for c in coverages}),
        xaxis_title="Materials inside their 90 % interval (%)",
    )
    lowest = min([70.0, *(100 * coverage.lower - 2 for coverage in coverages)])
    figure.add_vrect(x0=87, x1=93, fillcolor="#D1FAE5", opacity=0.6, line_width=0, layer="below")
    figure.add_vline(x=90, line={"color": GRAY, "dash": "dash", "width": 1})
    for subset, color, symbol in _SUBSETS:
        rows = [coverage for coverage in coverages if coverage.subset == subset]
        if not rows:
            continue
        share = np.array([100 * row.share for row in rows])
        figure.add_scatter(
            x=share, y=[_coverage_name(row) for row in rows], mode="markers",
            name=readable(subset), marker={"color": color, "size": 10, "symbol": symbol},
            error_x={
                "type": "data", "symmetric": False, "color": color, "thickness": 1.5,
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
    return f"{escape(row.protocol)} · {escape(row.setting)} · {readable(row.subset)} ({count(row.materials)}) "


def calibration_curve(curves: Sequence[Calibration]) -> Figure:
    """Draw empirical against nominal coverage, one line per subset, with error bars for all materials."""
    figure = canvas(
        height=460,
        xaxis_title="Nominal coverage (%)",
        yaxis_title="Empirical coverage (%)",
    )
    span = [min(45.0, *(100 * low for curve in curves for low in curve.shares)) - 3, 101]
    figure.add_scatter(
        x=span, y=span, mode="lines", line={"color": GRAY, "dash": "dash", "width": 1}, name="ideal",
        hoverinfo="skip",
    )  # fmt: skip
    for place, curve in enumerate(curves):
        shares = 100 * np.array(curve.shares)
        error_bars = {
            "type": "data", "symmetric": False, "thickness": 1.5,
            "array": 100 * np.array(curve.upper) - shares, "arrayminus": shares - 100 * np.array(curve.lower),
        }  # fmt: skip
        figure.add_scatter(
            x=100 * np.array(curve.levels), y=shares, mode="lines+markers",
            name=f"{escape(readable(curve.subset))} ({count(curve.materials)})",
            line={"color": _LINES[place % len(_LINES)], "dash": "solid" if curve.subset == Subset.ALL else "dot"},
            marker={"size": 8, "symbol": _MARKS[place % len(_MARKS)]},
            error_y=error_bars if curve.subset == Subset.ALL else None,
            hovertemplate="nominal %{x:.0f} %, empirical %{y:.1f} %<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[45, 100])
    figure.update_yaxes(range=span)
    return figure


def residuals(part: pa.Table, *, prop: Property) -> Figure:
    """Draw residuals (predicted minus measured) by class and domain: boxes over the quartiles, and single materials."""
    inside = np.array(part["in_domain"].to_pylist(), dtype=bool)
    zero = part["measured"].to_numpy() == 0
    errors = _column(part, "value") - _column(part, "measured")
    names = np.array([escape(formula_for_people(each)) for each in part["material_id"].to_pylist()], dtype=object)
    classes = {str(Subset.ALL): np.ones(len(errors), dtype=bool)}
    if prop.zero_class is not None:
        classes = {prop.zero_class: zero, f"non-{prop.zero_class}": ~zero}
    figure = canvas(height=420, yaxis_title=in_unit("Predicted minus measured", prop), boxmode="group", boxgap=0.4)
    for subset, rows, color in ((Subset.IN_DOMAIN, inside, GREEN), (Subset.OUT_OF_DOMAIN, ~inside, ORANGE)):
        present = [(name, mask & rows) for name, mask in classes.items() if (mask & rows).any()]
        if not present:
            continue
        labels = [f"{escape(name)}" for name, mask in present for _ in range(int(mask.sum()))]
        order = np.concatenate([np.flatnonzero(mask) for _, mask in present])
        figure.add_box(
            x=labels, y=errors[order], name=f"{readable(subset)} ({count(int(rows.sum()))})",
            text=names[order].tolist(), boxpoints="all" if len(errors) <= _ALL_POINTS else "outliers",
            jitter=0.6, pointpos=0, fillcolor="rgba(0,0,0,0)",
            line={"color": color, "width": 1.5}, marker={"color": color, "size": 4, "opacity": 0.55},
            hovertemplate="%{text}: %{y:.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>", hoveron="points",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash", "width": 1})
    figure.update_xaxes(showgrid=False, title_text="All materials" if prop.zero_class is None else "Measured class",
                        showticklabels=prop.zero_class is not None)  # fmt: skip
    figure.update_layout(showlegend=True)
    return figure


def computed_data_benefit(rows: Sequence[Comparison], *, prop: Property) -> Figure:
    """Draw the change in MAE due to computed data, with its 95 % interval: left of 0 is better."""
    names = [f"{escape(row.protocol)} · {escape(row.setting)} · {escape(readable(row.subset))} " for row in rows]
    figure = canvas(height=130 + 30 * len(rows), xaxis_title=in_unit("Change in mean absolute error", prop))
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash", "width": 1})
    for verdict, color, symbol in _VERDICTS:
        places = [place for place, row in enumerate(rows) if row.verdict == verdict]
        if places:
            figure.add_scatter(
                x=[rows[place].difference for place in places], y=[names[place] for place in places], mode="markers",
                name=verdict, marker={"color": color, "size": 10, "symbol": symbol},
                error_x={"type": "data", "array": [rows[place].margin or 0.0 for place in places], "thickness": 1.5},
                hovertemplate="%{y}<br>%{x:+.3~g}" + unit_of(prop) + "<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_layout(showlegend=True)
    return figure


def learning_curve(curve: pa.Table, *, prop: Property) -> Figure:
    """Draw the MAE against the number of training materials; classes can be switched on in the legend."""
    figure = canvas(
        height=420,
        xaxis_title="Training materials (logarithmic)",
        yaxis_title=in_unit("Mean absolute error", prop),
    )
    rows = curve.to_pylist()
    subsets = [str(Subset.ALL), *sorted({row["subset"] for row in rows} - {Subset.ALL})]
    for setting in in_order({row["setting"] for row in rows}, SETTINGS):
        for place, subset in enumerate(subsets):
            points = [row for row in rows if (row["setting"], row["subset"]) == (setting, subset)]
            if not points:
                continue
            figure.add_scatter(
                x=[row["n_trained"] for row in points], y=[row["mae"] for row in points], mode="lines+markers",
                name=escape(setting if subset == Subset.ALL else f"{setting}, {subset}"),
                visible=True if subset == Subset.ALL else "legendonly",
                line={"color": SETTING_COLORS.get(setting, VERMILLION), "dash": _DASHES[place % len(_DASHES)]},
                marker={"size": 9, "symbol": "circle" if subset == Subset.ALL else "diamond"},
                customdata=[count(row["n_tested"]) for row in points],
                hovertemplate="%{x:,} training materials: MAE %{y:.3~g}" + unit_of(prop)
                + " on %{customdata} held-out materials<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    sizes = sorted({row["n_trained"] for row in rows})
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[count(size) for size in sizes])
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure
