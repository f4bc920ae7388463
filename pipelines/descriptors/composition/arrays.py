"""Compositions as NumPy arrays: flat (row, element, fraction) triples, and blocks of equally many elements.

Here: flattening Arrow lists, and which rows can't be described and why. Not here: any descriptor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_BLOCK_ROWS = 1024  # so that a block's intermediate results stay in the processor's cache: 4 times faster


@dataclass(frozen=True, slots=True)
class Block:
    """m compositions of k elements each."""

    rows: NDArray[np.int64]
    """(m,) which rows of the whole these are."""
    codes: NDArray[np.int64]
    """(k, m) the elements, as indices into `FlatCompositions.symbols`."""
    fractions: NDArray[np.float64]
    """(k, m) their atomic fractions, which sum to 1 over k."""


@dataclass(frozen=True, slots=True)
class FlatCompositions:
    """n compositions, one entry per element of each."""

    symbols: tuple[str, ...]
    """The distinct symbols, to which `codes` refer."""
    codes: NDArray[np.int64]
    """(t,) element of each entry."""
    amounts: NDArray[np.float64]
    """(t,) amount of each entry, on any scale."""
    counts: NDArray[np.int64]
    """(n,) number of entries of each composition."""
    reasons: list[str | None]
    """(n,) why a composition can't be described, else None."""

    def blocks(self) -> Iterator[Block]:
        """Every composition without a reason, once."""
        starts = np.cumsum(self.counts) - self.counts
        usable = np.array([reason is None for reason in self.reasons], dtype=bool)
        for k in np.unique(self.counts[usable]):
            same = np.flatnonzero(usable & (self.counts == k))
            for first in range(0, len(same), _BLOCK_ROWS):
                rows = same[first : first + _BLOCK_ROWS]
                entries = starts[rows] + np.arange(k)[:, np.newaxis]
                amounts = self.amounts[entries]
                yield Block(rows, self.codes[entries], amounts / amounts.sum(axis=0))


def flatten(
    elements: pa.ListArray, fractions: pa.ListArray, *, tabulated: Collection[str] | None = None, data: str = ""
) -> FlatCompositions:
    """Flatten compositions, and note those that can't be described.

    Args:
        elements: (n,) list<string>, the symbols of each composition.
        fractions: (n,) list<double>, their amounts on any scale, in the same order.
        tabulated: Symbols that the element data cover; None for all.
        data: Name of the element data, for the reasons.

    Raises:
        ValueError: The two arrays don't match row by row.
    """
    counts = _counts(elements)
    if not np.array_equal(counts, _counts(fractions)):
        raise ValueError("elements and fractions differ in length; give one fraction per element of each composition")
    encoded = elements.flatten().dictionary_encode()
    if encoded.null_count:
        raise ValueError("an element's symbol is null; give every element of a composition by its symbol")
    symbols = tuple(encoded.dictionary.to_pylist())
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    amounts = fractions.flatten().fill_null(np.nan).to_numpy(zero_copy_only=False)
    row_of = np.repeat(np.arange(len(counts)), counts)

    reasons: list[str | None] = [None] * len(counts)
    for row in np.flatnonzero(counts == 0):
        reasons[row] = "the composition has no elements"
    for entry in np.flatnonzero(~((amounts > 0) & np.isfinite(amounts))):
        reasons[row_of[entry]] = f"the fraction of {symbols[codes[entry]]} is not a positive number"
    if tabulated is not None:
        without_data = np.array([symbol not in tabulated for symbol in symbols], dtype=bool)
        for entry in np.flatnonzero(without_data[codes])[::-1]:  # backwards: the first one of a row has the last word
            reasons[row_of[entry]] = f"no {data} data for element {symbols[codes[entry]]}"
    return FlatCompositions(symbols, codes, amounts, counts, reasons)


def _counts(lists: pa.ListArray) -> NDArray[np.int64]:
    return pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
