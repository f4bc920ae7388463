"""Reader `cards`: text files that begin with `%CARDS` and hold one record per paragraph, a `key: value` on each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matstrata.pipelines.ingest.readers import SAMPLE_ROWS, Look, Reader, Sample
from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.tables import BadRow, FileTable, check_options, from_rows, gather
from matstrata.pipelines.ingest.records import RawRecords, SourceFile

_MARK = b"%CARDS"


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read all cards; one with a line that is not `key: value` is rejected, and costs no other.

    Args:
        files: The files.
        options: None.

    Raises:
        InputError: An option is given.
        ReadError: A file is damaged or has no cards.
    """
    check_options("cards", options, ())
    return gather(files, _read_file, may_differ=True)


def recognize(look: Look) -> bool:
    """Return whether the file begins as card files do."""
    return look.beginning.startswith(_MARK)


def sample(look: Look) -> tuple[Sample, ...]:
    """Return the first cards."""
    names, rows, _ = _parse(look.content())
    return (Sample(look.file, "cards", look.options, names, rows[:SAMPLE_ROWS], whole=len(rows) <= SAMPLE_ROWS),)


def _read_file(file: SourceFile) -> FileTable:
    names, rows, bad = _parse(read_bytes(file))
    return FileTable(from_rows(names, rows), bad, word="card")


def _parse(content: bytes) -> tuple[tuple[str, ...], list[list[str]], list[BadRow]]:
    """The keys of all cards, the values of the good ones in that order, and the bad ones."""
    text = content.removeprefix(_MARK).decode("utf-8", "backslashreplace")
    cards: list[dict[str, str]] = []
    bad: list[BadRow] = []
    for number, card in enumerate(filter(None, map(str.strip, text.split("\n\n"))), start=1):
        lines = card.splitlines()
        wrong = [line for line in lines if ":" not in line]
        if wrong:
            reason = f"has the line {wrong[0]!r} without a colon; write 'key: value'"
            bad.append(BadRow(number, "record.malformed", reason, lines))
        else:
            cards.append({key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)})
    names = tuple(dict.fromkeys(key for card in cards for key in card))
    return names, [[card.get(name, "") for name in names] for card in cards], bad


READER = Reader("cards", read, recognize, sample, suffixes=(".cards",))
