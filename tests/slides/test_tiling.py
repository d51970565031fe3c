from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.slides.tiling import blocks, grid_starts, tile_grid
from tests.slides.pictures import calm

lengths = st.integers(1, 3000)
tiles = st.integers(1, 700)


@calm
@given(lengths, tiles, st.data())
def test_starts_cover_the_length_and_end_flush(length: int, tile: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(max(1, tile // 3), tile))
    starts = grid_starts(length, tile, stride)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert all(b - a <= stride for a, b in pairwise(starts))
    assert starts[-1] + tile == max(length, tile)


def test_starts_of_known_lengths() -> None:
    assert grid_starts(10, 4, 3) == [0, 3, 6]
    assert grid_starts(11, 4, 3) == [0, 3, 6, 7]
    assert grid_starts(4, 4, 3) == [0]
    assert grid_starts(3, 4, 3) == [0]


@pytest.mark.parametrize(("length", "tile", "stride"), [(0, 4, 3), (5, 0, 1), (5, 4, 5), (5, 4, 0)])
def test_grids_with_gaps_are_refused(length: int, tile: int, stride: int) -> None:
    with pytest.raises(ValueError, match="grid"):
        grid_starts(length, tile, stride)


@calm
@given(st.integers(1, 900), st.integers(1, 900), st.integers(40, 300), st.data())
def test_every_point_has_exactly_one_owner(w: int, h: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile * 2 // 3))
    grid = tile_grid(w, h, tile, overlap)
    near = st.floats(-20, 920, allow_nan=False)
    points = np.array(data.draw(st.lists(st.tuples(near, near), min_size=1, max_size=30)))
    edges = np.array([[t.core[0], t.core[1]] for t in grid if np.isfinite(t.core[:2]).all()])
    points = np.concatenate([points, edges.reshape(-1, 2)])
    assert (sum(t.owns(points).astype(int) for t in grid) == 1).all()


@calm
@given(st.integers(1, 900), st.integers(1, 900), st.integers(40, 300), st.data())
def test_what_a_tile_owns_is_half_the_overlap_from_its_border(
    w: int, h: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, tile * 2 // 3))
    for t in tile_grid(w, h, tile, overlap):
        x1, y1, x2, y2 = t.core
        assert x1 == -np.inf if t.x == 0 else x1 >= t.x + overlap / 2
        assert y1 == -np.inf if t.y == 0 else y1 >= t.y + overlap / 2
        assert x2 == np.inf if t.x + tile >= w else x2 <= t.x + tile - overlap / 2
        assert y2 == np.inf if t.y + tile >= h else y2 <= t.y + tile - overlap / 2


def test_a_small_image_is_one_tile() -> None:
    (tile,) = tile_grid(100, 40, 256, 32)
    assert (tile.x, tile.y, tile.width, tile.height) == (0, 0, 256, 256)
    assert tile.core == (-np.inf, -np.inf, np.inf, np.inf)


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        tile_grid(100, 100, 64, 64)


@calm
@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 5))
def test_blocks_hold_each_tile_once_and_own_what_their_tiles_own(w: int, h: int, side: int) -> None:
    grid = tile_grid(w, h, 64, 16)
    groups = list(blocks(grid, side))
    assert [b.number for b in groups] == list(range(len(groups)))
    assert sorted((t.y, t.x) for b in groups for t in b.tiles) == [(t.y, t.x) for t in grid]
    assert all(len(b.tiles) <= side**2 for b in groups)
    points = np.random.default_rng(w * h).uniform(-5, 905, (40, 2))
    for block in groups:
        x1, y1, x2, y2 = block.core
        x, y = points.T
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        assert (inside == np.any([t.owns(points) for t in block.tiles], axis=0)).all()


def test_the_bounds_of_a_block_hold_its_tiles() -> None:
    first, second = blocks(tile_grid(300, 64, 64, 16), 4)
    assert first.bounds == (0, 0, 208, 64)
    assert second.bounds == (192, 0, 108, 64)
    with pytest.raises(ValueError, match="block"):
        list(blocks(tile_grid(300, 64, 64, 16), 0))
