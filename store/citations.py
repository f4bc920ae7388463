"""Citations, as BibTeX: for sources, training sets, models and predictions.

Not here: the citation of each source, which its contract holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import duckdb

from matstrata.schemas.errors import InputError
from matstrata.schemas.source_refs import SourceRef
from matstrata.store.lake.lake import Lake


def cite(lake: Lake, things: Sequence[str]) -> list[str]:
    """BibTeX entries for sources, training sets, models (ids or their beginnings) or predicted properties.

    Raises:
        InputError: One of them is none of these, or several ids begin with it.
    """
    with lake.reader() as con:
        sources = {source for thing in things for source in _sources_of(con, thing)}
        rows = con.execute("SELECT source, title, citation FROM sources ORDER BY source").fetchall()
    entries: dict[str, str] = {}
    taken: set[str] = set()
    for source, title, citation in rows:
        text = _entry(source, title, citation)
        if source in sources and text not in entries:
            entries[text] = _with_free_keys(text, source, taken)
            taken |= {key for _, key in _KEY.findall(entries[text])}
    return list(entries.values())


_KEY = re.compile(r"(@\w+\s*\{\s*)([^,\s}]+)")


def _with_free_keys(text: str, source: str, taken: set[str]) -> str:
    """Entries with the source's name added to each key that another entry has: BibTeX refuses duplicates."""
    return _KEY.sub(lambda key: f"{key[0]}_{source}" if key[2] in taken else key[0], text)


def _entry(source: str, title: str, citation: str) -> str:
    """The contract's BibTeX; for any other text ("unknown", "Zhuo 2018", half an entry), an entry that quotes it."""
    text = citation.strip()
    if text.startswith("@") and 0 < text.count("{") == text.count("}"):
        return text
    title, note = (re.sub(r"[{}]", "", words) for words in (title, text))
    return f"@misc{{{source},\n  title = {{{title}}},\n  note = {{{note}}}\n}}"


def _sources_of(con: duckdb.DuckDBPyConnection, thing: str) -> Iterable[str]:
    """The sources behind a thing that is given by any of its names."""
    if con.execute("SELECT 1 FROM sources WHERE source = ?", [thing]).fetchone():
        return [thing]
    sets = con.execute(
        "SELECT DISTINCT training_set_id, unnest(coalesce(sources, [source])) FROM training_sets "
        "WHERE starts_with(training_set_id, $thing) OR name = $thing",
        {"thing": thing},
    ).fetchall()
    models = con.execute(
        "SELECT model_id, parameters, t.source FROM models m JOIN training_sets t USING (training_set_id) "
        "WHERE starts_with(model_id, $thing) OR (m.property = $thing AND m.source IS NULL AND serving)",
        {"thing": thing},
    ).fetchall()
    names = {identifier for identifier, *_ in (*sets, *models)}
    if len(names) > 1:
        raise InputError(f"{len(names)} ids begin with {thing!r}: {', '.join(sorted(names))}; give more characters")
    if not names:
        raise InputError(
            f"{thing!r} is not a source, training set, model or predicted property of this store; "
            "'matstrata status' and 'matstrata sources list' show them"
        )
    helpers = {source for _, parameters, _ in models for source in json.loads(parameters).get("helpers", {})}
    return {SourceRef.parse(source).source for source in (*helpers, *(row[-1] for row in (*sets, *models)))}
