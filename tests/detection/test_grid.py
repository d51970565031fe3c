"""A grid parts the image: every place has one owner, well inside its owner's tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.grid import Grid


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
