"""The stains of whole slides: told by what is stained, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.arrays import Pixels
from metaphase.slides import slidestain
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slidestain import TILES_PER_SIDE, slide_stain, stain_tiles
from metaphase.stain.macenko import Macenko
from tests.slides.pictures import stained_tissue as tissue


def slide(pixels: Pixels, mpp: float = 1.0) -> ArraySlide:
    return ArraySlide(pixels, Path("a.png"), MppHints(user=mpp))


def near(found: Macenko | None, wanted: Macenko | None, within: float = 0.02) -> None:
    assert found is not None
    assert wanted is not None
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=within)
    np.testing.assert_allclose(found.amounts, wanted.amounts, rtol=5 * within)


def test_they_are_those_of_its_tissue() -> None:
    pixels = tissue(512, 640)
    near(slide_stain(slide(pixels)), Macenko.estimate(pixels))


def test_glass_ink_and_black_have_no_part() -> None:
    pixels = np.full((1600, 1600, 3), 245, np.uint8)
    pixels[200:700, 300:900] = tissue(500, 600)
    alone = slide_stain(slide(pixels))
    near(alone, Macenko.estimate(pixels[200:700, 300:900]))
    pixels[900:1200], pixels[1300:] = (20, 160, 60), 0
    near(slide_stain(slide(pixels)), alone, within=1e-6)


def test_they_are_the_same_at_another_resolution() -> None:
    pixels = tissue(400, 400)
    larger = pixels.repeat(4, axis=0).repeat(4, axis=1)
    near(slide_stain(slide(larger, 0.25)), slide_stain(slide(pixels, 1.0)))


@pytest.mark.parametrize(
    "pixels",
    [np.full((800, 800, 3), 250, np.uint8), np.zeros((800, 800, 3), np.uint8), tissue(128, 128)],
    ids=["glass", "black", "a few cells"],
)
def test_too_little_tells_nothing(pixels: Pixels) -> None:
    assert slide_stain(slide(pixels)) is None


def test_a_large_slide_is_looked_at_in_few_places() -> None:
    asked: list[tuple[float, float]] = []

    class Asked(ArraySlide):
        def read(
            self, x_px: float, y_px: float, width: int, height: int, mpp: float | None = None
        ) -> Pixels:
            asked.append((x_px, y_px))
            return super().read(x_px, y_px, width, height, mpp)

    wide = Asked(tissue(300, 4000), Path("a.png"), MppHints(user=1.0))
    assert len(stain_tiles(wide)) == len(asked) == 4 * TILES_PER_SIDE[0]
    x, y = np.array(asked).T
    assert 0 <= x.min() < 250
    assert 3700 < x.max() <= 4000 - 64
    assert y.min() >= 0
    assert y.max() <= 300 - 64


def test_a_biopsy_on_a_large_glass_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((4000, 4000, 3), 245, np.uint8)
    pixels[1000:1400, 1700:2500] = tissue(400, 800)  # a fiftieth of it
    found = slide_stain(slide(pixels))
    near(found, Macenko.estimate(pixels[1000:1400, 1700:2500]))
    monkeypatch.setattr(slidestain, "TILES_PER_SIDE", TILES_PER_SIDE[:1])
    assert slide_stain(slide(pixels)) is None


def test_files_tell_them_to_the_pixel() -> None:
    pixels = tissue(512, 512)
    own = slide_stain(slide(pixels))
    assert own is not None
    again = Macenko.from_values(**own.to_json())
    assert np.array_equal(again.vectors, own.vectors)
    assert np.array_equal(again.amounts, own.amounts)
