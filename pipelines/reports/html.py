"""HTML in one piece: figures as inert JSON, two scripts allowed by their hash, escaped formulas and links.

The page carries a content security policy that forbids every load from elsewhere and every script but its own two, so
that a hostile string in the data could neither run nor call home even if it slipped through the escaping. Not here:
what the pages contain (`report_page`, `store_page`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from matstrata.schemas.display import formula_for_people

if TYPE_CHECKING:
    from markupsafe import Markup
    from plotly.graph_objects import Figure

DRAW = """
const options = {
  displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};
const plots = [...document.querySelectorAll("script[type='application/json']")].map(data => {
  const place = data.parentElement.querySelector(".plot"), {data: traces, layout} = JSON.parse(data.textContent);
  place.replaceChildren();
  Plotly.newPlot(place, traces, layout, options);
  return place;
});
const heights = plots.map(place => place.layout.height);
const onPaper = (place, i) => Plotly.relayout(place, place.closest(".pair")
  ? {width: 330, height: Math.min(340, heights[i]), autosize: false}
  : {width: 680, height: 0.8 * heights[i], autosize: false});
const onScreen = (place, i) => Plotly.relayout(place, {width: null, height: heights[i], autosize: true});
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach(part => part.open = true);
  plots.forEach(onPaper);
});
addEventListener("afterprint", () => plots.forEach(onScreen));
"""
"""Draws every figure, and redraws it to fit the paper when the page is printed."""

_DOI = re.compile(r"10\.\d{4,9}/[^\s<>\"']+")


def render(context: Mapping[str, Any]) -> str:
    """Fill `report.html` with `context`, every value escaped."""
    from plotly.offline import get_plotlyjs  # deferred: 0.4 s

    return _fill("report.html", context, (get_plotlyjs(), DRAW))


def render_plain(template: str, context: Mapping[str, Any]) -> str:
    """Fill a template of this package with `context`, every value escaped; the page has no scripts."""
    return _fill(template, context, ())


def _fill(template: str, context: Mapping[str, Any], scripts: Sequence[str]) -> str:
    from jinja2 import Environment, StrictUndefined  # deferred: 0.1 s
    from markupsafe import Markup

    assets = files("matstrata.pipelines.reports")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(formula=formula, plain_formula=formula_for_people, doi=doi_link, plot=plot_json)
    return environment.from_string(assets.joinpath(template).read_text(encoding="utf-8")).render(
        **context,
        style=Markup(assets.joinpath("report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - plotly's and our own
        hashes=Markup(" ".join(f"'sha256-{_digest(script)}'" for script in scripts)),  # noqa: S704 - base64
    )


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def formula(material_id: str) -> Markup:
    """The conventional formula of a material with its numbers as subscripts: PbI<sub>2</sub> for I2Pb."""
    from markupsafe import Markup, escape

    pieces = re.split(r"(\d+)", formula_for_people(material_id))  # every second piece is a number
    return Markup("").join(Markup("<sub>{}</sub>").format(p) if i % 2 else escape(p) for i, p in enumerate(pieces))


def doi_link(doi: str | None) -> Markup:
    """A link to a DOI's page; whatever is not a DOI stays plain text."""
    from markupsafe import Markup, escape

    if not doi:
        return Markup("")
    if not _DOI.fullmatch(doi):
        return escape(doi)
    link = Markup('<a href="https://doi.org/{}" rel="noreferrer">doi:{}</a>')
    return link.format(quote(doi, safe="/:;()._-"), doi)


def plot_json(figure: Figure) -> Markup:
    """A figure as JSON that can't end the script element it stands in."""
    from markupsafe import Markup

    text: str = figure.to_json()
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character of markup is left
