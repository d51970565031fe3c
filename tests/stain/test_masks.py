from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.stain.masks import BLACK, MIN_DENSITY, ink_mask, stained_mask
from metaphase.stain.opticaldensity import NORMALISATION
from tests.stain.images import tissue


def test_tissue_is_stained_and_no_ink() -> None:
    mask, reason = stained_mask(tissue(4))
    assert mask.mean() > 0.9
    assert reason == ""
    assert ink_mask(tissue(4)).mean() == 0


@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_a_pixel_is_stained_where_every_channel_is_dense(colour: tuple[int, int, int]) -> None:
    image = np.full((2, 2, 3), colour, np.uint8)
    dense = NORMALISATION.density(image)[0, 0].min() >= MIN_DENSITY
    expected = dense and max(colour) > BLACK and not ink_mask(image)[0, 0]
    assert stained_mask(image)[0][0, 0] == expected


@pytest.mark.parametrize(
    ("colour", "ink"),
    [
        ((20, 160, 60), True),
        ((30, 60, 220), True),
        ((230, 220, 40), True),
        ((90, 40, 120), False),
        ((225, 170, 200), False),
    ],
    ids=["green", "blue", "yellow", "haematoxylin", "eosin"],
)
def test_pen_and_paint_are_ink(colour: tuple[int, int, int], ink: bool) -> None:
    assert ink_mask(np.full((1, 1, 3), colour, np.uint8))[0, 0] == ink
