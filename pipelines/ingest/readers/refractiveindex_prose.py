"""What the prose of a refractiveindex.info file says: reference, temperature, ray, state, measured or computed.

The database states most conditions in sentences for people ("Ordinary ray (o), 20 °C. Room temperature."). The rules
here are few and hold for all of them; where prose and file name disagree ("Ordinary ray (e)" in Boyd-o.yml, "700 K
(477 °C)" in Li-750K.yml) the file name decides. Not here: numbers of the dispersion relation (`dispersion`).
"""

from __future__ import annotations

import html
import re

_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']?\s*([^"'\s>]+)["']?[^>]*>(.*?)</a>""", re.IGNORECASE | re.DOTALL)
_DOI = re.compile(r"^(?:https?://)?(?:dx\.)?doi\.org/(?:doi:)?(10\..+)$", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|[\r\n]+", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

_CLAUSE = re.compile(r"[;,]|\.(?=\s|$)")
_TEMPERATURE = re.compile(r"([-−]?\d+(?:\.\d+)?)(?:\s*[-–]\s*(\d+(?:\.\d+)?))?\s*(°\s*C|K)(?![A-Za-z])")
_ROOM = re.compile(r"room\s+temp", re.IGNORECASE)
# In a clause with one of these words a temperature is not the measurement's: preparation, wavelength scale.
_ELSEWHERE = re.compile(
    r"deposit|evaporat|sputter|anneal|substrate|grown|prepar|boat|flux|wavelength|λ|interval", re.IGNORECASE
)
_NAMED_TEMPERATURE = re.compile(r"-(\d+(?:\.\d+)?)(K|C)(?=-|$)")

_RAYS = {
    "o": "ordinary",
    "e": "extraordinary",
    "alpha": "alpha",
    "beta": "beta",
    "gamma": "gamma",
    "a": "a axis",
    "b": "b axis",
    "c": "c axis",
}
_RAY = re.compile(r"\b(ordinary|extra?ordinary)\s+ray", re.IGNORECASE)
_STATE = re.compile(
    r"\b(liquid|solid|amorphous|fused silica|single[ -]crystal|polycrystalline|nanocrystalline|nanoparticles|bulk|"
    r"monolayer|film|cubic|hexagonal|wurtzite|zincblende)s?\b",
    re.IGNORECASE,
)
_COMPUTED = re.compile(r"\bDFT\b|density[ -]function|\bab[ -]initio\b|first[ -]principles", re.IGNORECASE)


def plain_text(markup: str) -> str:
    """Remove HTML from a text; a link to a DOI leaves its address (https://doi.org/…) behind, other links do not."""

    def keep_doi(link: re.Match[str]) -> str:
        doi = _DOI.match(link[1])
        return f"{link[2]} https://doi.org/{doi[1]} " if doi else link[2]

    text = _TAG.sub("", _BREAK.sub("\n", _LINK.sub(keep_doi, markup)))
    return "; ".join(" ".join(line.split()) for line in html.unescape(text).split("\n") if line.strip())


def temperature(name: str, stated: str, comments: str) -> tuple[float | None, str | None]:
    """The temperature of the measurement.

    Args:
        name: the file's name without its ending ("Li-750K").
        stated: the file's own temperature field ("24 °C"), or "".
        comments: plain text.

    Returns:
        Kelvin, or None where no number is given; and what is said instead of a number ("room temperature"), or None.
        The middle stands for a range.
    """
    clauses = [clause for clause in _CLAUSE.split(comments) if not _ELSEWHERE.search(clause)]
    temperatures = [_kelvin(match) for clause in (stated, *clauses) for match in _TEMPERATURE.finditer(clause)]
    if not temperatures:
        return None, "room temperature" if any(_ROOM.search(clause) for clause in clauses) else None
    named = [float(t) + (273.15 if unit == "C" else 0) for t, unit in _NAMED_TEMPERATURE.findall(name)]
    if named and abs(temperatures[0] - named[0]) > 1 and any(abs(t - named[0]) <= 1 for t in temperatures):
        return round(named[0], 4), None
    return temperatures[0], None


def _kelvin(match: re.Match[str]) -> float:
    low = float(match[1].replace("−", "-"))
    value = (low + float(match[2])) / 2 if match[2] else low
    return round(value + (0 if match[3] == "K" else 273.15), 4)


def ray(name: str, comments: str) -> str | None:
    """Which ray or axis the index belongs to, by the file's name ("Malitson-o"), else by its comments; else None."""
    for part in name.split("-")[1:]:
        if part in _RAYS:
            return _RAYS[part]
    match = _RAY.search(comments)
    if match is None:
        return None
    return "extraordinary" if match[1].lower().startswith("ex") else "ordinary"


def state(comments: str) -> str | None:
    """Words about the sample's state ("liquid", "thin film", …) as they occur, or None."""
    words = dict.fromkeys(word.lower() for word in _STATE.findall(comments))
    return ", ".join(words) or None


def is_computed(name: str, comments: str) -> bool:
    """Whether name or comments say that the data come from an electronic-structure calculation.

    A fit, a model or a Kramers-Kronig analysis of measured data stays a measurement, and titles of references are
    not asked: papers about measurements mention theory.
    """
    return bool(_COMPUTED.search(f"{name} {comments}"))
