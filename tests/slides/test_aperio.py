"""Aperio slides: the fast way gives OpenSlide's pixels, on damaged files too."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from metaphase.arrays import Pixels
from metaphase.errors import SlideError
from metaphase.slides.aperio import AperioSlide
from metaphase.slides.open import open_slide
from tests.slides.pictures import noise

SIDE, TILE = 1024, 256
TEXT = "Aperio Image Library v11.2.1\n1024x1024 [0,0 1024x1024] (256x256) JPEG/RGB Q=90|MPP = 0.25"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("svs") / "whole.svs"
    pixels = noise(SIDE, SIDE)
    options = {"photometric": "rgb", "metadata": None}
    tiled = options | {"tile": (TILE, TILE), "compression": "jpeg"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, description=TEXT, **tiled)
        tiff.write(pixels[::8, ::8], description=TEXT, **options)
        reduced = TEXT.replace("1024x1024]", "1024x1024] -> 512x512")
        tiff.write(pixels[::2, ::2], description=reduced, **tiled)
    return path


def with_empty_tile(path: Path, page: int, tile: int, target: Path) -> Path:
    """Write a copy in which a tile was never written."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        counts = tiff.pages[page].tags[325]
        size = {3: "<H", 4: "<I"}[int(counts.dtype)]
        struct.pack_into(size, content, counts.valueoffset + struct.calcsize(size) * tile, 0)
    target.write_bytes(content)
    return target


def by_openslide(path: Path, level: int, side: int) -> Pixels:
    with openslide.OpenSlide(path) as handle:
        region = handle.read_region((0, 0), level, (side, side))
    white = Image.new("RGBA", region.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, region).convert("RGB"))


@pytest.mark.parametrize(("level", "side"), [(0, SIDE), (1, SIDE // 2)])
def test_pixels_are_those_of_openslide(whole: Path, level: int, side: int) -> None:
    with open_slide(whole) as slide:
        assert isinstance(slide, AperioSlide)
        assert slide.level_downsamples == (1.0, 2.0)
        pixels = slide.read(0, 0, side, side, 0.25 * 2**level)
    assert np.array_equal(pixels, by_openslide(whole, level, side))


@pytest.mark.parametrize(("page", "level", "side"), [(0, 0, SIDE), (2, 1, SIDE // 2)])
def test_tiles_that_were_never_written_are_filled_as_by_openslide(
    whole: Path, tmp_path: Path, page: int, level: int, side: int
) -> None:
    path = with_empty_tile(whole, page, 1, tmp_path / "missing.svs")
    with open_slide(path) as slide:
        pixels = slide.read(0, 0, side, side, 0.25 * 2**level)
    assert np.array_equal(pixels, by_openslide(path, level, side))
    if level:  # filled from the finer level
        assert pixels[:TILE, TILE : 2 * TILE].mean() < 200


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_damaged_files_give_what_openslide_gives(
    whole: Path, tmp_path: Path, seed: int, length: int
) -> None:
    content = bytearray(whole.read_bytes())
    rng = np.random.default_rng(seed)
    at = int(rng.integers(len(content) - length))
    content[at : at + length] = rng.bytes(length)
    path = tmp_path / "hurt.svs"
    path.write_bytes(content)
    try:
        expected = by_openslide(path, 0, SIDE)
    except openslide.OpenSlideError:
        expected = None
    try:
        with open_slide(path, mpp=0.25) as slide:
            found = slide.read(0, 0, SIDE, SIDE) if isinstance(slide, AperioSlide) else None
    except SlideError:
        found = None
    if found is not None and expected is not None and found.shape == expected.shape:
        assert np.array_equal(found, expected)
