from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import SlideError
from metaphase.slides import raster
from metaphase.slides.mpp import MppHints
from metaphase.slides.raster import RasterSlide, raster_kind, rgb
from tests.slides.pictures import MPP, noise, write_raster

PICTURE = noise(90, 70)
HINTS = MppHints(user=MPP)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n0000", "PNG"),
        (b"\xff\xd8\xff\xe000000000", "JPEG"),
        (b"BM0000000000", "BMP"),
        (b"RIFF0000WEBP", "WEBP"),
        (b"RIFF0000WAVE", None),
        (b"", None),
    ],
)
def test_formats_are_recognised_by_their_first_bytes(head: bytes, kind: str | None) -> None:
    assert raster_kind(head) == kind


def test_the_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(raster, "rgb", lambda image: decoded.append(1) or rgb(image))
    slide = RasterSlide(write_raster(tmp_path / "a.png", PICTURE), HINTS)
    assert decoded == []
    for _ in range(3):
        assert np.array_equal(slide.read(0, 0, 90, 70), PICTURE)
    assert decoded == [1]


def test_too_many_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MAX_PIXELS", 100)
    with pytest.raises(SlideError, match=r"90 x 70 px.*tiled TIFF"):
        RasterSlide(write_raster(tmp_path / "a.png", PICTURE), HINTS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_of_8_bits_becomes_rgb(mode: str) -> None:
    pixels = rgb(Image.fromarray(PICTURE).convert(mode))
    assert pixels.shape == (70, 90, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_file_cut_short_while_it_is_open_is_an_error(
    tmp_path: Path, ending: str, mode: str
) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(noise(300, 300)).convert(mode).save(path)
    with RasterSlide(path, HINTS) as slide:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(SlideError, match="damaged"):
            slide.read(0, 0, 300, 300)
