"""Where a CIF is not well formed, once pymatgen has given up on it without saying where.

Not here: what a well-formed CIF lacks or gets wrong (`cif`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from matstrata.pipelines.entities.structures.errors import shown

_TOKEN = re.compile(
    r"""(?P<text>^;.*?^;)|(?P<comment>\#[^\n]*)|(?P<quoted>'[^\n]*?'(?!\S)|"[^\n]*?"(?!\S))|(?P<word>\S+)""",
    re.MULTILINE | re.DOTALL,
)


def fault_in(text: str) -> str | None:
    """Say what is wrong with a CIF that can't be read.

    Args:
        text: The file's text.

    Returns:
        A sentence about the first text block that is never closed, or the first loop whose values do not fill its rows;
        None where there is nothing of the kind.
    """
    columns: list[str] = []
    values = 0
    in_loop = False
    for kind, word, place in _tokens(text):
        if kind == "word" and word.startswith(";") and text[place - 1 : place] in {"", "\n"}:
            return f"The CIF's text block that begins with {shown(word)} is never closed; end it with a line of one ;."
        starts = kind == "end" or (kind == "word" and word.lower().startswith(("loop_", "_", "data_")))
        if starts and word.startswith("_") and in_loop and not values:
            columns.append(word)
            continue
        if starts and in_loop:
            if not columns or not values or values % len(columns):
                return _uneven(columns, values)
            in_loop = False
        if starts and word.lower().startswith("loop_"):
            in_loop, columns, values = True, [], 0
        elif in_loop:
            values += 1
    return None


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    for token in _TOKEN.finditer(text):
        if token.lastgroup and token.lastgroup != "comment":
            yield token.lastgroup, token[0], token.start()
    yield "end", "", len(text)


def _uneven(columns: list[str], values: int) -> str:
    if not columns:
        return "A loop_ of the CIF names no columns; write keys that begin with _ after it."
    return (
        f"The CIF's loop_ that begins with {shown(columns[0])[1:-1]} has {len(columns)} columns but {values} values, "
        "which do not fill its rows; add what is missing, and quote values that contain spaces."
    )
