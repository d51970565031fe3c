from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slide import Slide
from tests.slides.pictures import noise


def slide(width: int, height: int) -> Slide:
    return ArraySlide(noise(width, height), Path("a.png"), MppHints(user=0.5))


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (7, 5), (2000, 3)])
def test_thumbnails_have_the_shape_of_the_slide(width: int, height: int) -> None:
    thumbnail = slide(width, height).thumbnail(100)
    assert max(thumbnail.shape[:2]) == min(100, max(width, height))
    assert thumbnail.shape[1] / thumbnail.shape[0] == pytest.approx(width / height, rel=0.05) or (
        min(thumbnail.shape[:2]) == 1
    )


def test_thumbnails_are_never_larger_than_the_slide() -> None:
    assert np.array_equal(slide(30, 20).thumbnail(), noise(30, 20))


def test_its_text_names_size_and_resolution() -> None:
    assert repr(slide(30, 20)) == "ArraySlide('a.png', 30 x 20 px, 0.5 um/px)"
