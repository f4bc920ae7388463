"""The parity plot as a picture."""

from __future__ import annotations

import struct

import pytest

from matstrata.pipelines.reports.figures.thumbnail import parity_png
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake


def _size(picture: bytes) -> tuple[int, int]:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_parity_png_is_a_small_png(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        picture = parity_png(con, "refractive_index")
    assert _size(picture) == (600, 500)
    assert len(picture) < 100_000


def test_parity_png_without_a_model_still_is_one(lake: Lake) -> None:
    with lake.reader() as con:
        assert _size(parity_png(con, "band_gap")) == (600, 500)
        with pytest.raises(InputError):
            parity_png(con, "colour")
