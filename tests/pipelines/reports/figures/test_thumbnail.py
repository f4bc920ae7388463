"""The parity plot as a picture."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest

from matstrata.pipelines.reports.figures.palette import SETTING_COLORS
from matstrata.pipelines.reports.figures.thumbnail import parity_png
from matstrata.schemas.errors import InputError
from matstrata.store.lake.lake import Lake


def _size(picture: bytes) -> tuple[int, int]:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def _pixels_of(picture: bytes, color: str) -> int:
    from matplotlib.colors import to_rgb  # deferred: 0.3 s
    from matplotlib.image import imread

    return int(np.isclose(imread(BytesIO(picture))[..., :3], to_rgb(color), atol=0.01).all(axis=-1).sum())


def test_parity_png_is_small_and_shows_the_materials(filled: tuple[Lake, int]) -> None:
    with filled[0].reader() as con:
        picture = parity_png(con, "refractive_index")
    assert _size(picture) == (600, 500)
    assert len(picture) < 100_000
    assert _pixels_of(picture, SETTING_COLORS["known_dft"]) > 300  # a few for each of 87 materials in the domain


def test_parity_png_without_a_model_has_no_marker(lake: Lake) -> None:
    with lake.reader() as con:
        picture = parity_png(con, "band_gap")
        assert _size(picture) == (600, 500)
        assert _pixels_of(picture, SETTING_COLORS["known_dft"]) == 0
        with pytest.raises(InputError):
            parity_png(con, "color")
