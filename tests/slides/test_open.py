"""The door: kinds recognised, unfit and damaged files refused in words."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from metaphase.errors import SlideError
from metaphase.labels.dataset import Case
from metaphase.slides.open import open_case, open_slide
from metaphase.slides.raster import RasterSlide
from tests.slides.pictures import MPP, noise, write_pyramid, write_raster, write_tiff

PICTURE = noise(90, 70)


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg", "webp"])
def test_pictures_are_recognised_by_content(tmp_path: Path, ending: str) -> None:
    write_raster(tmp_path / f"a.{ending}", PICTURE).rename(tmp_path / "misnamed.tif")
    slide = open_slide(tmp_path / "misnamed.tif", mpp=MPP)
    assert isinstance(slide, RasterSlide)
    assert (slide.width_px, slide.height_px) == (90, 70)
    want = np.asarray(Image.open(tmp_path / "misnamed.tif").convert("RGB"))
    assert np.array_equal(slide.read(0, 0, 90, 70), want)


def test_grey_and_transparent_pictures(tmp_path: Path) -> None:
    grey = PICTURE[..., 0]
    path = write_raster(tmp_path / "grey.png", grey)
    assert np.array_equal(open_slide(path, mpp=MPP).read(0, 0, 90, 70)[..., 2], grey)
    path = write_raster(tmp_path / "grey.jpg", grey)
    assert open_slide(path, mpp=MPP).read(0, 0, 90, 70).shape == (70, 90, 3)
    clear = np.dstack([PICTURE, np.zeros_like(grey)])
    clear[:, :30, 3] = 255
    pixels = open_slide(write_raster(tmp_path / "clear.png", clear), mpp=MPP).read(0, 0, 90, 70)
    assert np.array_equal(pixels[:, :30], PICTURE[:, :30])
    assert (pixels[:, 30:] == 255).all()


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "deep.png", PICTURE[..., 0].astype(np.uint16) * 257)
    with pytest.raises(SlideError, match=r"deep\.png.*8 bits.*8-bit RGB"):
        open_slide(tmp_path / "deep.png", mpp=MPP)


def test_sixteen_bit_colour_is_refused_too(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(PICTURE.astype(np.uint16) * 257))
    with pytest.raises(SlideError, match="8 bits"):
        open_slide(tmp_path / "deep.png", mpp=MPP)


def test_an_orientation_is_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", exif=exif)
    slide = open_slide(tmp_path / "a.jpg", mpp=MPP)
    assert (slide.width_px, slide.height_px) == (90, 70)
    assert "orientation" in slide.notes[0]


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.bmp"])
def test_a_grey_image_is_reported(name: str, tmp_path: Path) -> None:
    Image.fromarray(PICTURE[..., 0].copy()).save(tmp_path / name)
    (note,) = open_slide(tmp_path / name, mpp=MPP).notes
    assert note.startswith(f"{name}: is a grey image")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"hello", "no image"), (b"II*\0" + bytes(50), "damaged"),
     (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged"), (b"\xff\xd8\xff" + bytes(50), "damaged"),
     (b"BM" + bytes(50), "damaged"), (bytes(100), "no image")],
)  # fmt: skip
def test_files_that_are_no_images(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(SlideError, match=rf"odd\.png.*{says}"):
        open_slide(tmp_path / "odd.png", mpp=MPP)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"none\.tif.*No such file"):
        open_slide(tmp_path / "none.tif")
    with pytest.raises(SlideError, match="folder"):
        open_slide(tmp_path)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    jpeg = {"compression": "jpeg", "tile": (32, 32)}
    paths = [
        write_raster(folder / "a.png", PICTURE),
        write_raster(folder / "a.jpg", PICTURE),
        write_raster(folder / "a.bmp", PICTURE),
        write_raster(folder / "a.webp", PICTURE),
        write_tiff(folder / "plain.tif", PICTURE, rowsperstrip=8),
        write_tiff(folder / "lzw.tif", PICTURE, compression="lzw", rowsperstrip=8),
        write_tiff(folder / "deflate.tif", PICTURE, compression="adobe_deflate", tile=(32, 32)),
        write_tiff(folder / "jpeg.tif", PICTURE, **jpeg),
        write_pyramid(folder / "pyramid.tif", [PICTURE, PICTURE[::2, ::2]], subifds=True),
    ]
    return {path.name: path.read_bytes() for path in paths}


NAMES = ["a.png", "a.jpg", "a.bmp", "a.webp", "plain.tif", "lzw.tif", "deflate.tif", "jpeg.tif",
         "pyramid.tif"]  # fmt: skip
fuzz = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def open_and_read(path: Path) -> None:
    with open_slide(path, mpp=MPP) as slide:
        slide.read(0, 0, min(slide.width_px, 500), min(slide.height_px, 500))


@fuzz
@given(st.sampled_from(NAMES), st.floats(0, 0.999))
def test_a_file_cut_short_is_an_error_in_words(
    whole_files: dict[str, bytes], tmp_path: Path, name: str, part: float
) -> None:
    whole = whole_files[name]
    path = tmp_path / name
    # The last bytes of a PNG or JPEG file may be missing without any pixel missing.
    path.write_bytes(whole[: int(len(whole) * part * 0.98)])
    with pytest.raises(SlideError, match=name):
        open_and_read(path)


@fuzz
@given(st.sampled_from(NAMES), st.data())
def test_flipped_bytes_never_give_a_traceback(
    whole_files: dict[str, bytes], tmp_path: Path, name: str, data: st.DataObject
) -> None:
    content = bytearray(whole_files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        # Most flips in the pixels change a colour; those in the first bytes are the interesting.
        end = data.draw(st.sampled_from([200, len(content)]))
        place = data.draw(st.integers(4, min(end, len(content)) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(content)
    with suppress(SlideError):  # anything else fails the test
        open_and_read(path)


def test_cases_open_with_what_their_labels_know(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.png", PICTURE)
    slide = open_case(Case("1", path, mpp=0.26))
    assert (slide.mpp, slide.mpp_source) == (0.26, "labels")
    slide = open_case(Case("1", path, scanner="Aperio CS2", width_px=90, height_px=70))
    assert (slide.mpp, slide.mpp_source) == (0.2533, "scanner")
    assert open_case(Case("1", path), mpp=0.3).mpp_source == "user"
    with pytest.raises(SlideError, match=r"case 1.*no image"):
        open_case(Case("1"))
    with pytest.raises(SlideError, match=r"90 x 70 px.*91 x 70 px"):
        open_case(Case("1", path, mpp=0.25, width_px=91, height_px=70))
