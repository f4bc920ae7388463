"""The blank figure that all figures of a report start from, and its units. Not here: what is drawn on it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from matstrata.schemas.properties import Property
from matstrata.schemas.units import NO_UNIT, unit_suffix

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GRID: Mapping[str, Any] = MappingProxyType(
    {
        "gridcolor": "#E5E7EB",
        "zerolinecolor": "#D1D5DB",
        "linecolor": "#9CA3AF",
        "showline": True,
        "ticks": "outside",
    }
)
BARE: Mapping[str, Any] = MappingProxyType(
    {"showgrid": False, "zeroline": False, "showline": False, "ticks": "", "showticklabels": False}
)
"""An invisible axis."""
CLOSED, OPEN = 0, 100  # plotly's numbers for the markers "circle" and "circle-open"


def canvas(*, height: int, **layout: Any) -> Figure:
    """Make a blank white figure, as wide as the page.

    Args:
        height: In pixels.
        layout: Anything that plotly's `Figure.update_layout` takes.
    """
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
    figure.update_xaxes(**GRID, automargin=True, title_font_size=13)
    figure.update_yaxes(**GRID, automargin=True, title_font_size=13)
    return figure


def in_unit(text: str, prop: Property) -> str:
    """An axis title followed by the property's unit, if it has one."""
    return text if prop.unit == NO_UNIT else f"{text} ({escape(prop.unit)})"


def unit_of(prop: Property) -> str:
    """The unit as it follows a number in a hover text."""
    return escape(unit_suffix(prop.unit))
