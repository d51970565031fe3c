"""The pyramid's file: found by OpenSlide, tile by tile in its place, whole or not at all."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
import tifffile

from metaphase.phantom.pyramidfile import TILE_PX, PyramidPlan, encode, pyramid_of, write_pyramid

PLAN = PyramidPlan(1300, 700, 2)


def grey(level, row, column):
    return 40 + 100 * level + 20 * row + 10 * column


def tile(level, row, column):
    return encode(np.full((TILE_PX, TILE_PX, 3), grey(level, row, column), np.uint8), 90)


@pytest.fixture
def path(tmp_path):
    write_pyramid(tmp_path / "p.tiff", PLAN, tile, mpp=0.25, description="Synthetic")
    return tmp_path / "p.tiff"


def test_sizes():
    assert [PLAN.size(level) for level in range(2)] == [(1300, 700), (325, 175)]
    assert [PLAN.grid(level) for level in range(2)] == [(2, 3), (1, 1)]
    assert PLAN.tiles == 7


def test_openslide_reads_levels_and_resolution(path):
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == ((1300, 700), (325, 175))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.25)
        reads = slide.read_region((1290, 690), 0, (1, 1)).getpixel((0, 0))[:3]
        assert reads == pytest.approx((grey(0, 1, 2),) * 3, abs=2)


def test_each_tile_lies_in_its_place(path):
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert tiff.pages[1].is_reduced
        whole = tiff.pages[0].asarray()
        assert tiff.pages[1].asarray()[0, 0] == pytest.approx(grey(1, 0, 0), abs=2)
    for row in range(2):
        for column in range(3):
            seen = whole[row * TILE_PX + 5, column * TILE_PX + 5]
            assert seen == pytest.approx(grey(0, row, column), abs=2)


def test_progress_ends_at_the_number_of_tiles(tmp_path):
    told = []
    write_pyramid(
        *(tmp_path / "p.tiff", PLAN, tile),
        mpp=0.25,
        description="",
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(n, 7) for n in range(1, 8)]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def failing(level, row, column):
        if row == 1:
            raise KeyboardInterrupt
        return tile(level, row, column)

    with pytest.raises(KeyboardInterrupt):
        write_pyramid(tmp_path / "p.tiff", PLAN, failing, mpp=0.25, description="")
    assert list(tmp_path.iterdir()) == []


def test_smaller_levels_are_means():
    block = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    levels = pyramid_of(block, 3)
    assert [level.shape for level in levels] == [(64, 64, 3), (16, 16, 3), (4, 4, 3)]
    assert levels[1][2, 3] == pytest.approx(block[8:12, 12:16].mean(axis=(0, 1)), abs=0.51)
    assert levels[2].mean() == pytest.approx(block.mean(), abs=1)
