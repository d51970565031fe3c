from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from metaphase.errors import SlideError, UnknownMppError
from metaphase.slides.mpp import MppHints, from_aperio, from_density, resolution, um_per_unit
from metaphase.slides.open import open_slide
from tests.slides.pictures import noise, write_raster, write_tiff

PATH = Path("case.tiff")
FILE = resolution(0.25, 0.25, "tag")


def test_the_order_of_trust_is_file_labels_scanner_user() -> None:
    hints = MppHints(user=0.251, labels=0.252, scanner="Aperio XT")
    assert hints.resolve(PATH, FILE) == (0.25, "file", ())
    assert hints.resolve(PATH, None) == (0.252, "labels", ())
    assert MppHints(user=0.25, scanner="Aperio XT").resolve(PATH, None) == (0.2456, "scanner", ())
    assert MppHints(user=0.3, scanner="unheard of").resolve(PATH, None) == (0.3, "user", ())


def test_nobody_knowing_is_an_error_that_names_the_option() -> None:
    with pytest.raises(UnknownMppError, match=r"case.tiff.*--mpp"):
        MppHints(scanner="unheard of").resolve(PATH, None)


def test_a_user_who_disagrees_is_told_and_can_insist() -> None:
    mpp, source, notes = MppHints(user=0.5).resolve(PATH, FILE)
    assert (mpp, source) == (0.25, "file")
    assert "0.5" in notes[0]
    assert "0.25" in notes[0]
    assert MppHints(user=0.26).resolve(PATH, FILE)[2] == ()
    mpp, source, notes = MppHints(user=0.5, force=True).resolve(PATH, FILE)
    assert (mpp, source) == (0.5, "user")
    assert len(notes) == 1


def test_pixels_that_are_not_square_are_told_and_keep_their_area() -> None:
    mpp, _, notes = MppHints().resolve(PATH, resolution(0.2, 0.3, "tag"))
    assert mpp == pytest.approx(0.06**0.5)
    assert "not square" in notes[0]


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_senseless_values_of_users_are_refused(value: float) -> None:
    with pytest.raises(SlideError, match="no resolution"):
        MppHints(user=value)


def test_screen_densities_are_no_resolutions() -> None:
    for dpi in (72, 96, 150, 300, 1200):
        assert from_density(dpi, dpi, 2, "tag") is None
    assert from_density(0, 0, 2, "tag") is None
    assert from_density(40_000, 40_000, 1, "tag") is None
    found = from_density(40_000, 20_000, 3, "tag")
    assert found is not None
    assert (found.x, found.y) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("text", "um"),
    [
        *(("µm", 1), ("\u03bcm", 1), ("um", 1), ("micron", 1), ("\\u00B5m", 1), ("\\u00b5m", 1)),
        *(("nm", 1e-3), (" mm ", 1e3), ("cm", 1e4), ("m", 1e6), ("inch", 25_400), ("Å", 1e-4)),
        *(("pixel", None), ("reference frame", None), ("", None), (None, None)),
    ],
)
def test_units_of_length(text: str | None, um: float | None) -> None:
    assert um_per_unit(text) == um


@pytest.mark.parametrize(
    ("text", "mpp"),
    [
        ("Aperio Image Library v11\r\n46000x32914 (256x256)|MPP = 0.4990|Left = 2", 0.499),
        ("MPP = 353", None),
        ("MPP = .", None),
        ("", None),
    ],
)
def test_descriptions_of_aperio(text: str, mpp: float | None) -> None:
    found = from_aperio(text)
    assert (found.mpp if found else None) == mpp


def test_tiff_tags(tmp_path: Path) -> None:
    slide = open_slide(write_tiff(tmp_path / "a.tif", noise(40, 30), mpp=0.23))
    assert slide.mpp == pytest.approx(0.23, rel=1e-4)
    assert slide.mpp_source == "file"
    with pytest.raises(UnknownMppError):
        open_slide(write_tiff(tmp_path / "b.tif", noise(40, 30), mpp=None))
    with pytest.raises(UnknownMppError):
        open_slide(write_tiff(tmp_path / "c.tif", noise(40, 30), mpp=25_400 / 72))


def test_imagej_and_ome_tags(tmp_path: Path) -> None:
    for unit, per_unit in (("um", 4), ("micron", 4), ("\\u00B5m", 4), ("mm", 4000), ("cm", 4e4)):
        options = {"imagej": True, "resolution": (per_unit, per_unit), "metadata": {"unit": unit}}
        tifffile.imwrite(tmp_path / "j.tif", noise(40, 30)[None], **options)
        assert open_slide(tmp_path / "j.tif").mpp == pytest.approx(0.25)
    metadata = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "axes": "YXS"}
    tifffile.imwrite(tmp_path / "o.ome.tif", noise(40, 30), metadata=metadata, photometric="rgb")
    assert open_slide(tmp_path / "o.ome.tif").mpp == pytest.approx(0.2)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_tell_their_density(tmp_path: Path, ending: str) -> None:
    path = write_raster(tmp_path / f"a.{ending}", noise(40, 30), mpp=0.5)
    assert open_slide(path).mpp == pytest.approx(0.5, rel=1e-2)
    assert open_slide(path).mpp_source == "file"
    path = write_raster(tmp_path / f"b.{ending}", noise(40, 30), mpp=25_400 / 96)
    slide = open_slide(path, mpp=0.25)
    assert (slide.mpp, slide.mpp_source) == (0.25, "user")


def test_area_is_kept_for_numpy_numbers() -> None:
    assert MppHints(user=np.float64(0.5)).resolve(PATH, None)[0] == 0.5
