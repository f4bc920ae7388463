"""The parity plot as a small PNG, for places that show images but run no scripts (asset metadata).

Not here: the interactive parity plot of the report (`evaluation`).
"""

from __future__ import annotations

from io import BytesIO

import duckdb

from matstrata.pipelines.reports import queries
from matstrata.pipelines.reports.figures.palette import BLUE, GRAY, SETTING_COLORS, VERMILLION
from matstrata.pipelines.reports.findings import headline_place, index_metrics, select
from matstrata.pipelines.reports.wording import number
from matstrata.schemas.properties import get_property
from matstrata.schemas.terms import Metric, Subset
from matstrata.schemas.units import unit_suffix


def parity_png(con: duckdb.DuckDBPyConnection, property_name: str) -> bytes:
    """Draw predicted against measured values with 90 % intervals, as a PNG of 600 x 500 pixels.

    Without an evaluated ensemble the image says so.

    Raises:
        InputError: The property is unknown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # deferred: 1.3 s
    from matplotlib.figure import Figure

    prop = get_property(property_name)
    figure = Figure(figsize=(6, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(f"Measured: {_literal(prop.label)}")
    axes.set_ylabel(f"Predicted: {_literal(prop.label)}")
    model = queries.ensemble(con, property_name).to_pylist()
    metrics = index_metrics(queries.metrics(con, model[0]["model_id"])) if model else {}
    place = headline_place(metrics)
    if place is None:
        axes.text(0.5, 0.5, "not evaluated yet", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    else:
        part = select(queries.out_of_fold(con, model[0]["model_id"]), *place)
        measured, value = part["measured"].to_numpy(), part["value"].to_numpy()
        inside = part["in_domain"].to_numpy(zero_copy_only=False).astype(bool)
        axes.vlines(measured, part["lower_90"].to_numpy(), part["upper_90"].to_numpy(), color="#C7D2DA", lw=0.8)
        axes.axline((0, 0), slope=1, color=GRAY, ls="--", lw=1)
        color = SETTING_COLORS.get(place[1], BLUE)
        axes.plot(measured[inside], value[inside], "o", ms=4, color=color, label="in domain")
        if not inside.all():
            axes.plot(measured[~inside], value[~inside], "o", ms=4, mfc="none", color=VERMILLION, label="out of domain")
        mae = f"{number(metrics[(*place, Subset.ALL, Metric.MAE)])}{_literal(unit_suffix(prop.unit))}"
        axes.set_title(f"{place[1]}, {place[0]}: MAE {mae}", fontsize=10)
        axes.legend(frameon=False, loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _literal(text: str) -> str:
    """Keep matplotlib from reading a text as TeX."""
    return text.replace("$", r"\$")
