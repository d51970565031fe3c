"""The geometry of reading, the same for every kind of file."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import SlideError
from metaphase.slides import pyramid
from metaphase.slides.open import open_slide
from metaphase.slides.pyramid import Level
from metaphase.slides.slide import Slide
from tests.slides.pictures import (
    MPP,
    calm,
    halved,
    noise,
    shift_of_wave,
    waves,
    write_pyramid,
    write_raster,
    write_tiff,
)

KINDS = ("png", "strips", "tiles", "subifds", "pages")
WIDTH, HEIGHT = 211, 163


def make(kind: str, path: Path, levels: list[np.ndarray]) -> Slide:
    if kind == "png":
        return open_slide(write_raster(path / "a.png", levels[0]), mpp=MPP)
    if kind == "strips":
        return open_slide(write_tiff(path / "s.tif", levels[0], compression="lzw", rowsperstrip=13))
    if kind == "tiles":
        return open_slide(write_tiff(path / "t.tif", levels[0], tile=(64, 48)))
    return open_slide(write_pyramid(path / f"{kind}.tif", levels, subifds=kind == "subifds"))


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Slide]]:
    picture = noise(WIDTH, HEIGHT)
    levels = [picture, halved(picture), halved(halved(picture))]
    folder = tmp_path_factory.mktemp("slides")
    made = {kind: make(kind, folder, levels) for kind in KINDS}
    yield made
    for slide in made.values():
        slide.close()


def assert_same(got: np.ndarray, want: np.ndarray) -> None:
    """Equal within a grey level; 2 in rare pixels, where a tie was rounded twice."""
    difference = abs(got.astype(int) - want)
    assert difference.max() <= 2
    assert (difference > 1).mean() < 0.01


corner = st.one_of(st.integers(-40, 230).map(float), st.floats(-40, 230).map(lambda v: round(v, 3)))
ratios = st.sampled_from([0.4, 0.5, 0.92, 1.0, 1.08, 1.5, 2.0, 2.7, 4.0, 5.3])
sizes = st.integers(1, 70)
kinds = st.sampled_from(KINDS)


@calm
@given(kinds, st.integers(-40, 230), st.integers(-40, 230), sizes, sizes)
def test_full_resolution_returns_the_pixels_of_the_file(
    slides: dict[str, Slide], kind: str, x: int, y: int, w: int, h: int
) -> None:
    rim = 400
    paper = np.full((HEIGHT + 2 * rim, WIDTH + 2 * rim, 3), 255, np.uint8)
    paper[rim:-rim, rim:-rim] = noise(WIDTH, HEIGHT)
    want = paper[rim + y : rim + y + h, rim + x : rim + x + w]
    assert np.array_equal(slides[kind].read(x, y, w, h), want)
    assert np.array_equal(slides[kind].read(x, y, w, h, MPP), want)


@calm
@given(kinds, corner, corner, ratios, st.integers(2, 70), st.integers(2, 70), st.data())
def test_two_halves_are_the_whole(
    slides: dict[str, Slide], kind: str, x: float, y: float, ratio: float, w: int, h: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    slide = slides[kind]
    mpp = slide.mpp * ratio
    whole = slide.read(x, y, w, h, mpp).astype(int)
    cut = data.draw(st.integers(1, w - 1))
    left = slide.read(x, y, cut, h, mpp)
    right = slide.read(x + cut * ratio, y, w - cut, h, mpp)
    assert_same(np.concatenate([left, right], axis=1), whole)
    cut = data.draw(st.integers(1, h - 1))
    top = slide.read(x, y, w, cut, mpp)
    bottom = slide.read(x, y + cut * ratio, w, h - cut, mpp)
    assert_same(np.concatenate([top, bottom], axis=0), whole)


@calm
@given(corner, corner, ratios, sizes, sizes)
def test_readers_agree(
    slides: dict[str, Slide], x: float, y: float, ratio: float, w: int, h: int
) -> None:
    def read(kind: str) -> np.ndarray:
        return slides[kind].read(x, y, w, h, slides[kind].mpp * ratio).astype(int)

    assert abs(read("png") - read("strips")).max() <= 1
    assert abs(read("png") - read("tiles")).max() <= 1
    assert abs(read("subifds") - read("pages")).max() <= 1


@calm
@given(kinds, corner, corner, ratios, sizes, sizes)
def test_what_lies_outside_is_white_and_what_lies_inside_is_not_paled(
    slides: dict[str, Slide], kind: str, x: float, y: float, ratio: float, w: int, h: int
) -> None:
    slide = slides[kind]
    pixels = slide.read(x, y, w, h, slide.mpp * ratio)
    assert pixels.shape == (h, w, 3)
    assert pixels.dtype == np.uint8
    centre_x, centre_y = x + (np.arange(w) + 0.5) * ratio, y + (np.arange(h) + 0.5) * ratio
    margin = 1e-6
    out_x = (centre_x < -margin) | (centre_x > WIDTH + margin)
    out_y = (centre_y < -margin) | (centre_y > HEIGHT + margin)
    assert (pixels[:, out_x] == 255).all()
    assert (pixels[out_y] == 255).all()


def test_the_border_does_not_bleed(tmp_path: Path) -> None:
    dark = np.full((60, 80, 3), 40, np.uint8)
    slide = open_slide(write_raster(tmp_path / "dark.png", dark), mpp=MPP)
    for ratio, w, h in ((1.0, 80, 60), (2.0, 40, 30), (4.0, 20, 15), (0.5, 160, 120)):
        assert (slide.read(0, 0, w, h, MPP * ratio) == 40).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.92, 1.0, 1.08, 1.37, 1.6, 2.0, 2.5, 3.9, 4.0, 6.0])
def test_positions_are_right_to_a_twentieth_of_a_pixel(
    tmp_path: Path, kind: str, ratio: float
) -> None:
    slide = make(kind, tmp_path, [waves(512, 512), waves(256, 256, 2), waves(128, 128, 4)])
    x, y, n = 100.37, 90.61, int(min(390 / ratio, 400))
    pixels = slide.read(x, y, n, n, slide.mpp * ratio).astype(float)
    steps = (np.arange(n) + 0.5) * ratio
    halves = slice(0, n // 2), slice(n // 2, n)
    for part in halves:
        assert abs(shift_of_wave(pixels[5, part, 0], x + steps[part])) < 0.05
        assert abs(shift_of_wave(pixels[part, 5, 1], y + steps[part])) < 0.05


def test_the_smallest_level_that_is_fine_enough_is_read(slides: dict[str, Slide]) -> None:
    slide = slides["subifds"]
    assert slide.level_downsamples == (1.0, 2.0, 4.0)
    picture = noise(WIDTH, HEIGHT)
    assert np.array_equal(slide.read(8, 4, 30, 20, MPP * 2), halved(picture)[2:22, 4:34])
    assert np.array_equal(slide.read(8, 4, 30, 20, MPP * 4), halved(halved(picture))[1:21, 2:32])


def test_levels_of_rounded_size_keep_their_downsample() -> None:
    level = Level.of(11500, 8228, 46000, 32914)
    assert (level.x, level.y) == (4.0, 4.0)
    odd = Level.of(574, 768, 2220, 2967)
    assert odd.x == pytest.approx(2220 / 574)


def test_large_regions_are_read_in_parts(
    slides: dict[str, Slide], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("strips", "subifds"):
        slide = slides[kind]
        whole = slide.read(-3.2, -5, 100, 90, slide.mpp * 1.9).astype(int)
        monkeypatch.setattr(pyramid, "MAX_PIXELS_AT_ONCE", 2000)
        parts = slide.read(-3.2, -5, 100, 90, slide.mpp * 1.9)
        monkeypatch.undo()
        assert abs(parts - whole).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_pickles_read_the_same(slides: dict[str, Slide], kind: str) -> None:
    slide = slides[kind]
    corners = [(x * 7.3, x * 5.1) for x in range(40)]
    want = [slide.read(x, y, 30, 30, MPP * 1.1) for x, y in corners]
    with pickle.loads(pickle.dumps(slide)) as other, ThreadPoolExecutor(4) as pool:
        assert (other.mpp, other.mpp_source) == (slide.mpp, slide.mpp_source)
        got = list(pool.map(lambda at: other.read(*at, 30, 30, MPP * 1.1), corners))
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_closed_slides_say_so(tmp_path: Path, kind: str) -> None:
    picture = noise(64, 64)
    slide = make(kind, tmp_path, [picture, halved(picture)])
    slide.read(0, 0, 5, 5)
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read(0, 0, 5, 5)


def test_empty_regions_are_refused(slides: dict[str, Slide]) -> None:
    with pytest.raises(ValueError, match="0 x 5"):
        slides["png"].read(0, 0, 0, 5)
    with pytest.raises(ValueError, match="mpp"):
        slides["png"].read(0, 0, 5, 5, 0.0)


def test_thumbnails_show_the_whole(slides: dict[str, Slide]) -> None:
    assert slides["png"].thumbnail(100).shape == (77, 100, 3)
    assert np.array_equal(slides["png"].thumbnail(5000), noise(WIDTH, HEIGHT))
