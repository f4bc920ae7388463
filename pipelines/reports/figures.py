"""The report's figures: functions of Arrow tables (and findings) that return a plotly Figure.

Every text that comes from data is escaped, because plotly reads its texts as a kind of HTML. No WebGL, so that the page
also draws where scripts may not compile code. Not here: the page around the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipelines.reports.findings import Coverage, Figures, protocols, select, settings
from pipelines.reports.periodic_table import COLUMNS, PLACES, ROWS
from pipelines.reports.vocabulary import BLUE, GREEN, GREY, ORANGE, SETTING_COLOURS, SKY, VERMILLION, count, number
from schemas.properties import Property

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_GRID = {
    "gridcolor": "#E5E7EB",
    "zerolinecolor": "#D1D5DB",
    "linecolor": "#9CA3AF",
    "showline": True,
    "ticks": "outside",
}
CLOSED, OPEN = 0, 100  # plotly's numbers of the marks "circle" and "circle-open"
_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)
_SUBSETS = (("all", BLUE, "circle"), ("in domain", GREEN, "diamond"), ("out of domain", ORANGE, "square"))


def _figure(*, height: int, **layout: Any) -> Figure:
    from plotly.graph_objects import Figure  # deferred: 0.4 s

    figure = Figure()
    figure.update_layout(
        template="none",
        height=height,
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": "#1F2937"},
        margin={"l": 70, "r": 20, "t": 30, "b": 60},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hoverlabel={"bgcolor": "white", "font": {"color": "#1F2937"}},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    figure.update_layout(**layout)
    figure.update_xaxes(**_GRID, automargin=True)
    figure.update_yaxes(**_GRID, automargin=True)
    return figure


def parity(out_of_fold: pa.Table, *, prop: Property, protocol: str, choice: str) -> Figure:
    """Predicted against measured, with 90 % intervals: `choice`, and `strict` waiting in the legend.

    Filled marks are in the domain, open ones outside it. Numbers keep 32 bits: they are drawn, not computed with.
    """
    figure = _figure(
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
    unit = "" if prop.unit == "1" else f" {escape(prop.unit)}"
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
    figure = _figure(
        height=360,
        barmode="group",
        yaxis_title="Mean absolute error" + ("" if prop.unit == "1" else f" ({escape(prop.unit)})"),
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
    figure = _figure(
        height=110 + 26 * len({(c.protocol, c.setting, c.subset) for c in coverages}),
        xaxis_title="Held-out materials inside their 90 % interval (%)",
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


def periodic_coverage(counts: Mapping[str, int]) -> Figure:
    """How many labelled materials contain each element, on the periodic table; the colour scale is logarithmic."""
    blank = ROWS - 2  # a thin empty row sets the f-block apart
    shape = (ROWS + 1, COLUMNS)
    colour, text = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    hover = np.full(shape, "", dtype=object)
    for z, (symbol, (row, column)) in enumerate(PLACES.items(), start=1):
        at = (row if row < blank else row + 1, column)
        known = counts.get(symbol, 0)
        colour[at] = np.log10(known) if known else -0.35
        text[at] = f"<b>{symbol}</b><br>{count(known) if known else '·'}"
        hover[at] = f"{symbol} ({z}): {count(known)} labelled material{'' if known == 1 else 's'}"
    top = max(1.0, float(np.nanmax(colour)))
    ticks = [tick for tick in _COUNTS if np.log10(tick) <= top]
    edges = [*range(ROWS - 1), ROWS - 1.7, *(ROWS - 0.7 + row for row in range(2))]
    figure = _figure(height=585, margin={"l": 10, "r": 10, "t": 34, "b": 10})
    zero = 0.35 / (top + 0.35)
    stops = ["#DCEBF7", "#A9D1EC", SKY, "#2B8CC4", BLUE, "#003B5C"]
    scale = [[0, "#F1F1EF"], [zero * 0.9, "#F1F1EF"]]
    scale += [[zero * 0.9 + (1 - zero * 0.9) * step / (len(stops) - 1), stop] for step, stop in enumerate(stops)]
    figure.add_heatmap(
        z=colour, x=list(range(COLUMNS + 1)), y=edges, zmin=-0.35, zmax=top, xgap=2, ygap=2, colorscale=scale,
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
    """How many materials each exact combination of sources knows: bars over a matrix of dots (an UpSet plot)."""
    rows = overlap.slice(0, limit).to_pylist()
    names = sorted({source for row in rows for source in row["sources"]})
    totals = {name: sum(row["materials"] for row in overlap.to_pylist() if name in row["sources"]) for name in names}
    labels = {name: f"{escape(name)} ({count(totals[name])}) " for name in names}
    figure = _figure(height=280 + 34 * len(names), showlegend=False, margin={"l": 70, "r": 20, "t": 40, "b": 10})
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
        yaxis={"domain": [min(split, 0.6), 1], "title": "Materials", "rangemode": "tozero"},
        yaxis2={"domain": [0, min(split, 0.6) - 0.05], "automargin": True, "showgrid": False, "showline": False,
                "zeroline": False, "ticks": "", "range": [-0.6, len(names) - 0.4]},
        xaxis={"visible": False, "range": [-0.7, max(len(rows), 3) - 0.3], "anchor": "y2"},
    )  # fmt: skip
    return figure


def rejections_by_rule(rejections: pa.Table) -> Figure:
    """Refused records per rule, stacked by source; the commonest rule on top."""
    rows = rejections.to_pylist()
    rules = sorted({row["rule_id"] for row in rows}, key=lambda rule: (-_total(rows, rule), rule))
    figure = _figure(height=130 + 34 * len(rules), barmode="stack", xaxis_title="Refused records")
    palette = (BLUE, ORANGE, GREEN, VERMILLION, SKY, GREY)
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
