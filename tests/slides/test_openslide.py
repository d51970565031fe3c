"""OpenSlide's own pixels, on a real slide."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from metaphase.errors import SlideError
from metaphase.slides.aperio import AperioSlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.open import open_slide
from metaphase.slides.openslide import OpenSlideSlide, vendor_of
from metaphase.slides.tiff import TiffSlide

pytestmark = pytest.mark.needs_data

MPP = 0.499


@pytest.fixture
def path(data_dir: Path) -> Path:
    return data_dir / "slides" / "small_region.svs"


def own_pixels(path: Path, x: int, y: int, width: int, height: int) -> np.ndarray:
    import openslide

    with openslide.OpenSlide(path) as handle:
        return np.asarray(handle.read_region((x, y), 0, (width, height)).convert("RGB"))


def test_what_is_known_of_it(path: Path) -> None:
    with open_slide(path) as slide:
        assert isinstance(slide, AperioSlide)
        assert (slide.width_px, slide.height_px) == (2220, 2967)
        assert (slide.mpp, slide.mpp_source, slide.notes) == (MPP, "file", ())
        assert slide.properties["openslide.vendor"] == "aperio"


@pytest.fixture(params=["aperio", "openslide alone"])
def reader(request: pytest.FixtureRequest) -> type[OpenSlideSlide]:
    return AperioSlide if request.param == "aperio" else OpenSlideSlide


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 1900), st.integers(0, 2600))
def test_pixels_are_openslides(path: Path, reader: type[OpenSlideSlide], x: int, y: int) -> None:
    with reader(path, MppHints()) as slide:
        assert np.array_equal(slide.read(x, y, 300, 300), own_pixels(path, x, y, 300, 300))


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_other_resolutions_agree(path: Path, mpp: float) -> None:
    ratio = mpp / MPP
    x, y, n = 900.5, 1200.25, 256
    with open_slide(path) as slide:
        got = slide.read(x, y, n, n, mpp).astype(float)
    # OpenSlide's pixels with a generous rim, brought to the same places by another filter.
    side, rim = int(np.ceil(n * ratio)) + 40, 20
    own = Image.fromarray(own_pixels(path, 900 - rim, 1200 - rim, side, side))
    box = (rim + 0.5, rim + 0.25, rim + 0.5 + n * ratio, rim + 0.25 + n * ratio)
    want = np.asarray(own.resize((n, n), Image.Resampling.LANCZOS, box=box), float)
    assert np.sqrt(((got - want) ** 2).mean()) < 8  # of a texture of 60
    assert abs((got - want).mean()) < 0.3
    shifted = np.roll(want, 1, axis=1)
    assert np.sqrt(((got - want) ** 2).mean()) < np.sqrt(((got - shifted) ** 2).mean()) / 2


def test_outside_is_white(path: Path, reader: type[OpenSlideSlide]) -> None:
    with reader(path, MppHints()) as slide:
        pixels = slide.read(-20, 2960, 60, 30)
        assert (pixels[:, :20] == 255).all()
        assert (pixels[7:] == 255).all()
        assert np.array_equal(pixels[:7, 20:], own_pixels(path, 0, 2960, 40, 7))


def test_the_tiff_reader_agrees(path: Path) -> None:
    with open_slide(path) as slide, TiffSlide(path, MppHints()) as tiff:
        assert tiff.mpp == slide.mpp
        got, want = tiff.read(700, 900, 400, 400), slide.read(700, 900, 400, 400)
        assert abs(got.astype(int) - want).max() <= 1


def test_threads_and_pickles(path: Path, reader: type[OpenSlideSlide]) -> None:
    corners = [(600 + 37 * i, 1000 + 29 * i) for i in range(24)]
    with reader(path, MppHints()) as slide:
        want = [slide.read(x, y, 100, 100, 0.6) for x, y in corners]
        other = pickle.loads(pickle.dumps(slide))
        with ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda at: other.read(*at, 100, 100, 0.6), corners))
        other.close()
        assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))
    with pytest.raises(SlideError, match="closed"):
        other.read(0, 0, 5, 5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_reads_with_its_own_handle(path: Path, reader: type[OpenSlideSlide]) -> None:
    with reader(path, MppHints()) as slide:
        want = slide.read(800, 1000, 64, 64)
        child = os.fork()
        if child == 0:
            same = False
            try:
                same = np.array_equal(slide.read(800, 1000, 64, 64), want)
            finally:
                os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_slide_cut_short(path: Path, tmp_path: Path, part: float) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut.svs"
    cut.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(SlideError, match=r"cut\.svs"):
        open_slide(cut)


def test_damage_found_while_reading_is_told(
    path: Path, reader: type[OpenSlideSlide], tmp_path: Path
) -> None:
    content = bytearray(path.read_bytes())
    content[20_000:1_000_000] = bytes(980_000)
    hurt = tmp_path / "hurt.svs"
    hurt.write_bytes(content)
    with reader(hurt, MppHints()) as slide, pytest.raises(SlideError, match=r"hurt\.svs"):
        slide.read(0, 0, 2220, 2967)


def test_a_small_dicom_opens_or_says_why_not(data_dir: Path) -> None:
    with pytest.raises(SlideError, match=r"small_dicom\.dcm.*OpenSlide"):
        open_slide(data_dir / "slides" / "small_dicom.dcm")


def test_vendors(path: Path, data_dir: Path) -> None:
    assert vendor_of(path) == "aperio"
    assert vendor_of(data_dir / "README.md") is None
