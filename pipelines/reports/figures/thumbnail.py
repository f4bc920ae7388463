"""The parity plot as a small PNG, for places that show pictures and run no scripts (asset metadata)."""

from __future__ import annotations

from io import BytesIO

import duckdb

from matstrata.pipelines.reports import queries
from matstrata.pipelines.reports.findings import headline_place, index_metrics, select
from matstrata.pipelines.reports.wording import BLUE, GREY, SETTING_COLOURS, VERMILLION, number
from matstrata.schemas.properties import get_property


def parity_png(con: duckdb.DuckDBPyConnection, property_name: str) -> bytes:
    """Measured against predicted with 90 % intervals, as a PNG of 600 x 500 pixels.

    Without an evaluated ensemble the picture says so.

    Raises:
        InputError: unknown property.
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
        axes.text(0.5, 0.5, "not evaluated yet", ha="center", va="center", color=GREY, transform=axes.transAxes)
    else:
        part = select(queries.out_of_fold(con, model[0]["model_id"]), *place)
        measured, value = part["measured"].to_numpy(), part["value"].to_numpy()
        inside = part["in_domain"].to_numpy(zero_copy_only=False).astype(bool)
        axes.vlines(measured, part["lower_90"].to_numpy(), part["upper_90"].to_numpy(), color="#C7D2DA", lw=0.8)
        axes.axline((0, 0), slope=1, color=GREY, ls="--", lw=1)
        colour = SETTING_COLOURS.get(place[1], BLUE)
        axes.plot(measured[inside], value[inside], "o", ms=4, color=colour, label="in domain")
        if not inside.all():
            axes.plot(measured[~inside], value[~inside], "o", ms=4, mfc="none", color=VERMILLION, label="out of domain")
        unit = "" if prop.unit == "1" else f" {_literal(prop.unit)}"
        axes.set_title(f"{place[1]}, {place[0]}: MAE {number(metrics[(*place, 'all', 'mae')])}{unit}", fontsize=10)
        axes.legend(frameon=False, loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _literal(text: str) -> str:
    return text.replace("$", r"\$")
