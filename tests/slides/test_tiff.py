"""TIFF in every dress."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from metaphase.errors import SlideError
from metaphase.slides import segments, tiffpage
from metaphase.slides.open import open_slide
from metaphase.slides.tiff import TiffSlide
from metaphase.slides.tiffpage import Page
from tests.slides.pictures import (
    MPP,
    TIFF_DRESSES,
    halved,
    noise,
    write_pyramid,
    write_tiff,
)

PICTURE = noise(181, 133)


@pytest.mark.parametrize("dress", TIFF_DRESSES)
def test_every_dress_gives_the_same_pixels(tmp_path: Path, dress: str) -> None:
    path = write_tiff(tmp_path / "a.tif", PICTURE, **TIFF_DRESSES[dress])
    with open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)
        assert (slide.width_px, slide.height_px) == (181, 133)
        assert np.array_equal(slide.read(0, 0, 181, 133), PICTURE)
        assert np.array_equal(slide.read(70, 40, 90, 80), PICTURE[40:120, 70:160])


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("subsampling", [None, (1, 1), (2, 2)])
def test_jpeg_compression(
    tmp_path: Path, tile: tuple[int, int] | None, subsampling: tuple[int, int] | None
) -> None:
    dress: dict[str, Any] = {"compression": "jpeg", "compressionargs": {"level": 95}}
    dress |= {"tile": tile} if tile else {"rowsperstrip": 16}
    dress |= {"subsampling": subsampling} if subsampling else {}
    path = write_tiff(tmp_path / "a.tif", PICTURE, **dress)
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        assert np.array_equal(slide.read(0, 0, 181, 133), tiff.asarray())
        assert abs(slide.read(0, 0, 181, 133).mean((0, 1)) - PICTURE.mean((0, 1))).max() < 1


@pytest.mark.parametrize("subifds", [True, False])
def test_pyramids(tmp_path: Path, subifds: bool) -> None:
    levels = [PICTURE, halved(PICTURE), halved(halved(PICTURE))]
    path = write_pyramid(tmp_path / "a.tif", levels, subifds=subifds, compression="lzw")
    with open_slide(path) as slide:
        assert slide.level_downsamples == (1.0, 2.0, 4.0)
        assert np.array_equal(slide.read(20, 12, 30, 20, 2 * MPP), levels[1][6:26, 10:40])


def test_pages_of_another_shape_are_no_levels(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", [PICTURE, PICTURE[:40, :60]], subifds=False)
    assert open_slide(path).level_downsamples == (1.0,)


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_grey_palette_and_transparent_pictures(tmp_path: Path, compression: str | None) -> None:
    def read(pixels: np.ndarray, **tags: Any) -> np.ndarray:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, compression=compression, metadata=None, **tags)
        return open_slide(path, mpp=MPP).read(0, 0, pixels.shape[1], pixels.shape[0])

    grey = PICTURE[..., 0]
    assert np.array_equal(read(grey, photometric="minisblack"), np.stack([grey] * 3, axis=2))
    assert np.array_equal(read(grey, photometric="miniswhite"), 255 - np.stack([grey] * 3, axis=2))
    colours = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16)
    table = colours * 257
    assert np.array_equal(read(grey, photometric="palette", colormap=table), colours.T[grey])
    alpha = np.zeros_like(grey)
    alpha[:, :90] = 255
    seen = np.dstack([PICTURE, alpha])
    want = np.where(alpha[..., None] > 0, PICTURE, 255)
    assert np.array_equal(read(seen, photometric="rgb", extrasamples=["unassalpha"]), want)
    bits = grey > 128
    assert np.array_equal(read(bits, photometric="minisblack")[..., 0], bits * np.uint8(255))


def test_sparse_tiles_are_white(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tiles = iter([PICTURE[:64, :64], None, None, PICTURE[:64, :64]])
    tifffile.imwrite(
        path, tiles, shape=(128, 128, 3), dtype=np.uint8, tile=(64, 64), photometric="rgb",
        compression="lzw", metadata=None,
    )  # fmt: skip
    pixels = open_slide(path, mpp=MPP).read(0, 0, 128, 128)
    assert (pixels[:64, 64:] == 255).all()
    assert np.array_equal(pixels[64:, 64:], PICTURE[:64, :64])


@pytest.mark.parametrize(
    ("pixels", "tags", "says"),
    [
        (PICTURE.astype(np.uint16), {"photometric": "rgb"}, "16 bits"),
        (PICTURE.astype(np.float32), {"photometric": "rgb"}, "32 bits"),
        (PICTURE.astype(np.int8), {"photometric": "rgb"}, "int8"),
        (np.dstack([PICTURE, PICTURE[..., :1]]), {"photometric": "separated"}, "colour space"),
        (np.dstack([PICTURE, PICTURE]), {"photometric": "minisblack", "planarconfig": "contig"},
         "6 channels"),
    ],
)  # fmt: skip
def test_pictures_of_other_kinds_are_refused(
    tmp_path: Path, pixels: np.ndarray, tags: dict[str, Any], says: str
) -> None:
    tifffile.imwrite(tmp_path / "odd.tif", pixels, metadata=None, **tags)
    with pytest.raises(SlideError, match=rf"odd\.tif.*{says}.*8-bit RGB"):
        open_slide(tmp_path / "odd.tif", mpp=MPP)


def test_separate_channels_are_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", np.stack([PICTURE] * 3), photometric="rgb")
    assert "3 planes" in open_slide(tmp_path / "z.tif", mpp=MPP).notes[0]


def test_only_touched_segments_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []
    real = Page.decode

    def spy(page: Page, row: int, column: int) -> np.ndarray:
        decoded.append((row, column))
        return real(page, row, column)

    monkeypatch.setattr(Page, "decode", spy)
    with open_slide(
        write_tiff(tmp_path / "a.tif", PICTURE, compression="lzw", rowsperstrip=10)
    ) as slide:
        slide.read(5, 25, 20, 20)
        assert decoded == [(2, 0), (3, 0), (4, 0)]
        slide.read(50, 30, 20, 5)
        assert len(decoded) == 3
    decoded.clear()
    with open_slide(write_tiff(tmp_path / "b.tif", PICTURE, compression="lzw", tile=(64, 64))) as s:
        s.read(70, 70, 20, 20)
        assert decoded == [(1, 1)]


def test_plain_files_are_not_cached(tmp_path: Path) -> None:
    cache = segments.shared_cache()
    before = cache.bytes
    with open_slide(write_tiff(tmp_path / "a.tif", PICTURE, rowsperstrip=10)) as slide:
        slide.read(0, 0, 181, 133)
        assert cache.bytes == before


def test_closing_gives_the_cache_back(tmp_path: Path) -> None:
    cache = segments.shared_cache()
    before = cache.bytes
    with open_slide(write_tiff(tmp_path / "a.tif", PICTURE, compression="lzw")) as slide:
        slide.read(0, 0, 181, 133)
        assert cache.bytes > before
    assert cache.bytes == before


@pytest.mark.parametrize("dress", [{"rowsperstrip": 16}, {"tile": (64, 64)}])
def test_a_file_cut_short_while_it_is_open_is_an_error(
    tmp_path: Path, dress: dict[str, Any]
) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(300, 300), **dress)
    with open_slide(path) as slide:
        slide.read(0, 0, 50, 50)
        os.truncate(path, 1000)
        with pytest.raises(SlideError, match="ends before"):
            slide.read(200, 200, 50, 50)


@pytest.mark.parametrize("compression", ["adobe_deflate", "lzw"])
def test_one_large_strip_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setattr(segments.shared_cache(), "max_bytes", 1000)
    decoded: list[int] = []
    real = Page.decode
    monkeypatch.setattr(Page, "decode", lambda page, r, c: decoded.append(1) or real(page, r, c))
    path = write_tiff(tmp_path / "a.tif", PICTURE, compression=compression, rowsperstrip=10_000)
    with open_slide(path) as slide:
        for x in range(0, 160, 40):
            assert np.array_equal(slide.read(x, 20, 20, 40), PICTURE[20:60, x : x + 20])
    assert len(decoded) == 1


def test_the_largest_strip_is_measured_in_rgb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = PICTURE[..., 0]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, compression="lzw", rowsperstrip=10_000, metadata=None)
    monkeypatch.setattr(tiffpage, "MAX_SEGMENT_BYTES", 2 * grey.size)
    with pytest.raises(SlideError, match=r"decoded whole.*tiled TIFF"):
        open_slide(path, mpp=MPP)
    monkeypatch.setattr(tiffpage, "MAX_SEGMENT_BYTES", 3 * grey.size)
    assert open_slide(path, mpp=MPP).read(0, 0, 9, 9).shape == (9, 9, 3)


def test_plain_strips_of_any_size_are_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiffpage, "MAX_SEGMENT_BYTES", 10)
    path = write_tiff(tmp_path / "a.tif", PICTURE, rowsperstrip=10_000)
    with open_slide(path) as slide:
        assert np.array_equal(slide.read(30, 20, 140, 40), PICTURE[20:60, 30:170])
        assert np.array_equal(slide.read(30, 20, 7, 40), PICTURE[20:60, 30:37])
