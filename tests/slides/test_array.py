from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import SlideError
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from tests.slides.pictures import noise


def test_an_array_is_read_like_a_slide() -> None:
    pixels = noise(90, 70)
    with ArraySlide(pixels, Path("a.png"), MppHints(user=0.5)) as slide:
        assert (slide.width_px, slide.height_px, slide.mpp) == (90, 70, 0.5)
        assert np.array_equal(slide.read(10, 20, 30, 40), pixels[20:60, 10:40])
        assert (slide.read(-5, 0, 5, 5) == 255).all()
        slide.read(0, 0, 9, 9)[:] = 0  # a copy: the slide does not change
        assert np.array_equal(slide.read(0, 0, 90, 70), pixels)
    with pytest.raises(SlideError, match="closed"):
        slide.read(0, 0, 5, 5)
