from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from metaphase.slides.segments import SharedFile
from metaphase.slides.tiffpage import Page, Planes, UnsupportedPage
from tests.slides.pictures import noise, write_tiff

PICTURE = noise(181, 133)


def page_of(path: Path, **dress: Any) -> Page:
    write_tiff(path, PICTURE, **dress)
    with tifffile.TiffFile(path) as tiff:
        return Page(tiff.pages[0], SharedFile(path))


def test_segments_of_a_region(tmp_path: Path) -> None:
    page = page_of(tmp_path / "a.tif", tile=(64, 48))
    assert (page.segment_width, page.segment_height) == (48, 64)
    assert list(page.segments_in(0, 0, 48, 64)) == [(0, 0)]
    assert list(page.segments_in(47, 63, 2, 2)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("dress", [{"tile": (64, 48)}, {"rowsperstrip": 9, "compression": "lzw"}])
def test_any_region_is_read(tmp_path: Path, dress: dict[str, Any]) -> None:
    page = page_of(tmp_path / "a.tif", **dress)
    for x, y, width, height in ((0, 0, 181, 133), (40, 50, 20, 30), (180, 132, 1, 1)):
        found = page.read(x, y, width, height)
        assert np.array_equal(found, PICTURE[y : y + height, x : x + width])


def test_missing_segments_are_known(tmp_path: Path) -> None:
    assert not page_of(tmp_path / "a.tif", tile=(64, 64)).has_missing_segments
    path = tmp_path / "b.tif"
    tiles = iter([PICTURE[:64, :64], None])
    tifffile.imwrite(
        path, tiles, shape=(64, 128, 3), dtype=np.uint8, tile=(64, 64), photometric="rgb",
        compression="lzw", metadata=None,
    )  # fmt: skip
    with tifffile.TiffFile(path) as tiff:
        assert Page(tiff.pages[0], SharedFile(path)).has_missing_segments


def test_three_grey_pages_are_one_of_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    channels = np.ascontiguousarray(np.moveaxis(PICTURE, 2, 0))
    tifffile.imwrite(path, channels, photometric="minisblack", compression="lzw", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        file = SharedFile(path)
        planes = Planes([Page(page, file) for page in tiff.pages])
    assert np.array_equal(planes.read(20, 30, 50, 40), PICTURE[30:70, 20:70])
    planes.forget()


def test_deep_pages_are_not_supported(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE.astype(np.uint16), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tiff, pytest.raises(UnsupportedPage, match="16 bits"):
        Page(tiff.pages[0], SharedFile(path))
