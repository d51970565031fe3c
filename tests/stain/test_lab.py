from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.stain.lab import from_lab, to_lab


@given(st.integers(0, 2**24 - 1))
def test_every_colour_comes_back(code: int) -> None:
    colour = np.array([code >> 16, (code >> 8) & 255, code & 255], np.uint8)
    assert np.abs(from_lab(to_lab(colour)).astype(int) - colour).max() <= 1


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
    ids=["white", "black", "red", "blue"],
)
def test_known_colours(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    np.testing.assert_allclose(to_lab(np.array(rgb, np.uint8)), lab, atol=0.05)
