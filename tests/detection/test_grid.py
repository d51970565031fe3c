"""A grid parts the image: every place has one owner, well inside its owner's tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.grid import LARGEST, LEAST_SAVING, Grid, tile_side
from metaphase.models.card import InputSpec
from metaphase.slides.tiling import grid_starts


@st.composite
def grids(draw):
    tile = draw(st.sampled_from([64, 128, 512]))
    margin = draw(st.integers(0, tile // 2 - 1))
    margin = min(margin, tile // 4)
    scale = draw(st.sampled_from([1.0, 0.5, 0.97, 1.013, 2.0, 3.7]))
    size = st.integers(1, int(tile * 5 * scale))
    return Grid(draw(size), draw(size), scale, tile, margin)


@given(grids(), st.data())
def test_every_place_has_one_owner(grid, data):
    own = grid.owned_px
    area = ((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])).sum()
    assert area == pytest.approx(grid.width_px * grid.height_px)
    x = data.draw(st.floats(0, grid.width_px, exclude_max=True))
    y = data.draw(st.floats(0, grid.height_px, exclude_max=True))
    inside = (own[:, 0] <= x) & (x < own[:, 2]) & (own[:, 1] <= y) & (y < own[:, 3])
    assert inside.sum() == 1
    assert grid.touching((x, y, x + 1e-3, y + 1e-3))[0] == np.flatnonzero(inside)[0]


@given(grids())
def test_what_a_tile_owns_lies_a_margin_inside_it(grid):
    for number in range(len(grid)):
        left, top = grid.corner(number)
        x1, y1, x2, y2 = grid.owned_px[number] / grid.scale
        width, height = grid.width_px / grid.scale, grid.height_px / grid.scale
        for low, high, start, length in ((x1, x2, left, width), (y1, y2, top, height)):
            assert start >= 0
            assert low >= start + (grid.margin if low > 0 else 0) - 1e-6
            rim = grid.margin if high < length - 1e-6 else 0
            assert high <= start + grid.tile - rim + 1e-6


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves nothing"):
        Grid(100, 100, 1.0, 64, 32)


def test_a_million_tiles_are_no_burden():
    grid = Grid(450_000, 450_000, 1.0, 512, 32)
    assert len(grid) > 1_000_000
    assert len(grid.touching((1000, 1000, 3000, 3000))) == 25  # borders at 928, 1376, ... 3168


def pixels_of(side, lengths, margin=32):
    columns, rows = (grid_starts(length, side, side - 2 * margin) for length in lengths)
    return len(columns) * len(rows) * side**2


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([1.0, 2.0, 2.198]))
def test_another_side_is_taken_only_where_it_saves_pixels(width, height, scale):
    spec = InputSpec(mpp=0.5)
    side = tile_side(width, height, scale, spec)
    assert side % spec.multiple_px == 0
    assert 2 * spec.margin_px < side <= LARGEST * spec.tile_px
    lengths = [max(1, int(np.ceil(length / scale - 1e-9))) for length in (width, height)]
    if side != spec.tile_px:
        usual = pixels_of(spec.tile_px, lengths)
        assert pixels_of(side, lengths) <= (1 - LEAST_SAVING) * usual


def test_a_field_is_one_tile_and_a_slide_has_the_models_tiles():
    spec = InputSpec(mpp=0.5)
    assert tile_side(1663, 1485, 0.5 / 0.2275, spec) == 768  # not four of 512
    assert tile_side(128, 128, 1.0, spec) == 128
    assert tile_side(100_000, 80_000, 2.0, spec) == 512


def test_a_network_of_one_size_gets_its_tiles():
    spec = InputSpec(mpp=0.5, multiple_px=512)
    assert tile_side(1663, 1485, 0.5 / 0.2275, spec) == 512
    assert tile_side(100, 100, 1.0, InputSpec(mpp=0.5, tile_px=500, multiple_px=512)) == 500
