"""Which pages of a TIFF file are the slide: the right page, its copies, and nothing else."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from metaphase.arrays import Pixels
from metaphase.errors import SlideError
from metaphase.slides.open import open_slide
from metaphase.slides.tifflayout import MAX_PAGES
from tests.slides.pictures import MPP, halved, noise

SLIDE = noise(256, 256)
LABEL = np.full((64, 64, 3), 250, np.uint8)
DENSITY = {"resolution": (1e4 / MPP, 1e4 / MPP), "resolutionunit": "CENTIMETER"}
TILED: dict[str, Any] = {"tile": (64, 64), "photometric": "rgb", "metadata": None}


def write(path: Path, *pages: tuple[Pixels, dict[str, Any]]) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for pixels, options in pages:
            tiff.write(pixels, **(TILED | options))
    return path


def whole(path: Path, **hints: Any) -> tuple[Pixels, tuple[float, ...], tuple[str, ...]]:
    with open_slide(path, **hints) as slide:
        pixels = slide.read(0, 0, slide.width_px, slide.height_px)
        return pixels, slide.level_downsamples, slide.notes


# --- the largest image --------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [0, 1])
def test_the_largest_image_is_the_slide_wherever_it_stands(tmp_path: Path, flag: int) -> None:
    macro = {"subfiletype": flag, "resolution": (1e4 / 8, 1e4 / 8), "resolutionunit": "CENTIMETER"}
    path = write(tmp_path / "a.tif", (LABEL[:40], macro), (SLIDE, DENSITY))
    with open_slide(path) as slide:
        assert (slide.width_px, slide.height_px) == (256, 256)
        assert slide.mpp == pytest.approx(MPP)  # its own tags, not those of the first page
        assert "largest" in slide.notes[0]


def test_an_image_in_the_subifds_of_a_thumbnail_is_the_slide(tmp_path: Path) -> None:
    """As cameras write it: the thumbnail is the first page."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(halved(halved(SLIDE)), subifds=2, subfiletype=1, **TILED)
        tiff.write(SLIDE, **(TILED | DENSITY))
        tiff.write(halved(SLIDE), subfiletype=1, **TILED)
    pixels, downsamples, notes = whole(path)
    assert np.array_equal(pixels, SLIDE)
    assert downsamples == pytest.approx((1, 2, 4))
    assert "largest" in notes[0]


def test_masks_are_no_slides(tmp_path: Path) -> None:
    mask = noise(320, 320)[..., 0] > 128
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY), (mask, {"photometric": "mask"}))
    assert np.array_equal(whole(path)[0], SLIDE)


# --- its copies ---------------------------------------------------------------------------------


def test_a_square_label_of_a_square_slide_is_no_copy(tmp_path: Path) -> None:
    for flag in (0, 1, 9):
        path = write(
            tmp_path / "a.tif",
            (SLIDE, DENSITY),
            (halved(SLIDE), {"subfiletype": 1}),
            (LABEL, {"subfiletype": flag}),
        )
        assert whole(path)[1] == (1.0, 2.0)


def test_copies_without_any_mark_are_found_by_their_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY), (halved(SLIDE), {}), (LABEL, {}))
    assert whole(path)[1] == (1.0, 2.0)


def test_decimated_and_compressed_copies_are_copies(tmp_path: Path) -> None:
    jpeg = {"compression": "jpeg", "subfiletype": 1}
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY), (SLIDE[::4, ::4], jpeg))
    assert whole(path)[1] == (1.0, 4.0)


def test_a_copy_that_cannot_be_read_is_not_needed(tmp_path: Path) -> None:
    deep = halved(SLIDE).astype(np.uint16) * 257
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY), (deep, {"subfiletype": 1}))
    assert whole(path)[1] == (1.0,)


# --- channels in pages --------------------------------------------------------------------------


def ome(**more: Any) -> dict[str, Any]:
    size = {"PhysicalSizeX": MPP, "PhysicalSizeY": MPP}
    return {"photometric": "minisblack", "metadata": {"axes": "CYX", **size, **more}}


PLANES = np.ascontiguousarray(np.moveaxis(SLIDE, 2, 0))


@pytest.mark.parametrize("names", [None, ["Red", "Green", "Blue"], ["R", "G", "B"]])
def test_red_green_and_blue_in_pages_are_put_together(
    tmp_path: Path, names: list[str] | None
) -> None:
    more = {"Channel": {"Name": names}} if names else {}
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANES, **ome(**more))
    pixels, _, notes = whole(tmp_path / "a.ome.tif")
    assert np.array_equal(pixels, SLIDE)
    assert "three pages" in notes[0]


def test_their_copies_are_put_together_too(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    half = np.ascontiguousarray(np.moveaxis(halved(SLIDE), 2, 0))
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(PLANES, subifds=1, tile=(64, 64), **ome())
        tiff.write(half, subfiletype=1, tile=(64, 64), photometric="minisblack")
    with open_slide(path) as slide:
        assert slide.level_downsamples == (1.0, 2.0)
        assert np.array_equal(slide.read(0, 0, 128, 128, 2 * MPP), halved(SLIDE))


def test_channels_of_imagej_are_put_together(tmp_path: Path) -> None:
    options = {"imagej": True, "resolution": (4.0, 4.0)}
    metadata = {"axes": "CYX", "unit": "um", "mode": "composite"}
    tifffile.imwrite(tmp_path / "a.tif", PLANES, metadata=metadata, **options)
    assert np.array_equal(whole(tmp_path / "a.tif")[0], SLIDE)


def test_other_channels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    for planes, names in ((PLANES, ["DAPI", "GFP", "Cy3"]), (PLANES[:2], ["a", "b"])):
        tifffile.imwrite(path, planes, **ome(Channel={"Name": names}))
        with pytest.raises(SlideError, match=r"separate pages.*8-bit RGB"):
            open_slide(path)
    tifffile.imwrite(tmp_path / "b.tif", PLANES, photometric="minisblack", metadata=None)
    with pytest.raises(SlideError, match=r"3 grey images.*8-bit RGB"):
        open_slide(tmp_path / "b.tif", mpp=MPP)


def test_one_grey_page_is_a_grey_slide(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0], photometric="minisblack", metadata=None)
    assert np.array_equal(whole(tmp_path / "a.tif", mpp=MPP)[0][..., 1], PLANES[0])


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_ycbcr_without_jpeg_is_refused(tmp_path: Path, compression: str | None) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", SLIDE, photometric="ycbcr", compression=compression, metadata=None
    )
    with pytest.raises(SlideError, match=r"YCbCr.*8-bit RGB"):
        open_slide(tmp_path / "a.tif", mpp=MPP)


# --- OME series ---------------------------------------------------------------------------------


def test_the_largest_image_of_ome_counts_with_its_own_resolution(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for pixels, mpp in ((LABEL, 8.0), (SLIDE, MPP), (LABEL, 9.0)):
            size = {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp, "axes": "YXS"}
            tiff.write(pixels, photometric="rgb", metadata=size)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(MPP)
        assert slide.level_downsamples == (1.0,)  # labels are images of their own
        assert np.array_equal(slide.read(0, 0, 256, 256), SLIDE)


def test_ome_that_does_not_fit_its_pages_is_not_believed(tmp_path: Path) -> None:
    xml = (
        '<OME><Image><Pixels SizeX="9" SizeY="9" SizeC="3" SizeZ="1" SizeT="1" '
        'PhysicalSizeX="0.5"/></Image></OME>'
    )
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY | {"description": xml}))
    assert open_slide(path).mpp == pytest.approx(MPP)


# --- notes and limits ---------------------------------------------------------------------------


def test_an_orientation_is_reported(tmp_path: Path) -> None:
    tag = [(274, "H", 1, 6, True)]
    path = write(tmp_path / "a.tif", (SLIDE, DENSITY | {"extratags": tag}))
    assert "orientation" in whole(path)[2][0]
    assert whole(write(tmp_path / "b.tif", (SLIDE, DENSITY)))[2] == ()


def test_too_many_pages_are_refused_quickly(tmp_path: Path) -> None:
    count = 300_000
    pages = b"".join(struct.pack("<HI", 0, 8 + 6 * (i + 1)) for i in range(count - 1))
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + pages + struct.pack("<HI", 0, 0))
    with pytest.raises(SlideError, match=f"more than {MAX_PAGES} pages"):
        open_slide(tmp_path / "a.tif", mpp=MPP)
