"""`source` or `source:method`: how ensembles, training sets and tables name where labels come from.

Not here: which sources exist (their contracts).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A source, and of a source with several methods perhaps one of them.

    Attributes:
        source: Name of the source, that of its contract.
        method: One of its methods; empty for all of them, as SQL compares it.
    """

    source: str
    method: str = ""

    @classmethod
    def parse(cls, text: str) -> SourceRef:
        """Read `source` or `source:method`."""
        source, _, method = text.partition(":")
        return cls(source, method)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.source}:{self.method}" if self.method else self.source
