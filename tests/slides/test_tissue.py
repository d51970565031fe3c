from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaphase.arrays import Pixels
from metaphase.slides.open import open_slide
from metaphase.slides.tissue import find_tissue, tissue_in
from tests.slides.pictures import calm, write_raster

GLASS = (243, 241, 242)
PINK = (225, 175, 200)
PURPLE = (150, 110, 175)
PALE = (236, 217, 230)
MPP = 8.0


def picture(colour: tuple[int, int, int], size: int = 120, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, 2, (size, size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def put(pixels: Pixels, colour: tuple[int, int, int], rows: slice, columns: slice) -> None:
    pixels[rows, columns] = picture(colour, 120, 7)[rows, columns]


def test_tissue_on_glass_is_found_with_a_small_rim() -> None:
    pixels = picture(GLASS)
    put(pixels, PINK, slice(30, 60), slice(20, 70))
    put(pixels, PURPLE, slice(60, 90), slice(20, 70))
    mask = tissue_in(pixels, MPP)
    assert mask[30:90, 20:70].all()
    assert not mask[:24].any()
    assert not mask[:, 76:].any()


@pytest.mark.parametrize("colour", [PINK, PURPLE, PALE, (120, 70, 60), (200, 90, 110)])
def test_a_picture_full_of_tissue_is_kept_whole(colour: tuple[int, int, int]) -> None:
    assert tissue_in(picture(colour), MPP).all()
    mixed = picture(PINK)
    put(mixed, colour, slice(0, 60), slice(0, 120))
    assert tissue_in(mixed, MPP).all()


@pytest.mark.parametrize(
    "colour", [GLASS, (255, 255, 255), (0, 0, 0), (12, 10, 14), (220, 220, 220), (245, 243, 236),
               (90, 90, 92)],
)  # fmt: skip
def test_empty_pictures_have_none(colour: tuple[int, int, int]) -> None:
    assert not tissue_in(picture(colour), MPP).any()


@pytest.mark.parametrize("ink", [(30, 60, 170), (20, 140, 90), (60, 150, 160), (205, 25, 40),
                                 (25, 25, 30), (45, 35, 160)])  # fmt: skip
def test_ink_is_left_out_and_tissue_beside_it_is_not(ink: tuple[int, int, int]) -> None:
    pixels = picture(GLASS)
    put(pixels, PINK, slice(30, 90), slice(60, 110))
    put(pixels, ink, slice(10, 110), slice(20, 30))
    mask = tissue_in(pixels, MPP)
    assert not mask[:, :34].any()
    assert mask[30:90, 60:110].all()


def test_black_fill_beside_tissue() -> None:
    pixels = picture((0, 0, 0))
    put(pixels, GLASS, slice(0, 120), slice(40, 120))
    put(pixels, PINK, slice(30, 90), slice(60, 110))
    mask = tissue_in(pixels, MPP)
    assert not mask[:, :40].any()
    assert mask[30:90, 60:110].all()
    assert mask.mean() < 0.35


def test_small_holes_are_filled_and_large_ones_and_specks_are_not() -> None:
    pixels = picture(GLASS)
    put(pixels, PINK, slice(10, 110), slice(10, 80))
    pixels[20:30, 20:30] = GLASS  # 0.006 mm2
    pixels[50:90, 30:70] = GLASS  # 0.1 mm2
    pixels[60:63, 100:103] = PURPLE  # 0.0006 mm2
    mask = tissue_in(pixels, MPP)
    assert mask[20:30, 20:30].all()
    assert not mask[60:80, 40:60].any()
    assert not mask[:, 90:].any()


@calm
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_any_size_is_taken(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert tissue_in(pixels, MPP).shape == (height, width)


def test_on_a_slide_places_are_right(tmp_path: Path) -> None:
    pixels = picture(GLASS)
    put(pixels, PINK, slice(30, 90), slice(20, 70))
    large = np.asarray(Image.fromarray(pixels).resize((960, 960), Image.Resampling.NEAREST))
    with open_slide(write_raster(tmp_path / "a.png", large), mpp=1.0) as slide:
        mask = find_tissue(slide)
    assert (mask.mpp, mask.cell_px) == (8.0, 8.0)
    assert mask.covers([200, 500], [300, 700]).all()
    assert not mask.covers([80, 640], [300, 300]).any()
    assert mask.area_mm2 == pytest.approx(60 * 50 * 64e-6, rel=0.3)  # with its rim


def test_a_slide_coarser_than_the_look_is_read_as_it_is(tmp_path: Path) -> None:
    with open_slide(write_raster(tmp_path / "a.png", picture(PINK)), mpp=9.0) as slide:
        assert find_tissue(slide).mpp == 9.0


@pytest.mark.needs_data
def test_a_real_slide(data_dir: Path) -> None:
    with open_slide(data_dir / "slides" / "small_region.svs") as slide:
        mask = find_tissue(slide)
    # Looked at: a strip of skin down the middle, glass to both sides.
    assert mask.covers([1100, 600, 1300], [1400, 2900, 2000]).all()
    assert not mask.covers([200, 200, 2000, 2100], [400, 2000, 400, 2800]).any()
    assert 0.55 < mask.area_mm2 < 0.8


@pytest.mark.needs_data
def test_fields_of_tissue_are_tissue(data_dir: Path) -> None:
    for path in sorted((data_dir / "icpr2012" / "images").glob("*.jpg"))[::9]:
        with open_slide(path, scanner="Aperio XT") as slide:
            assert find_tissue(slide).mask.mean() > 0.97
