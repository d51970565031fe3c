"""The tile filter: tiles with something dark are kept, wherever it lies in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studies.tile_filter import filter_tiles, haematoxylin

from metaphase.detection.grid import Grid
from tests.detection.scenes import DotSlide

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])


def stained(density, amount):
    """Return a picture of one stain of an optical density."""
    unit = density / np.linalg.norm(density)
    pixel = np.round(256 * 10 ** -(amount * unit) - 1).clip(0, 255)
    return np.broadcast_to(pixel.astype(np.uint8), (40, 40, 3))


@pytest.mark.parametrize("amount", [0.2, 0.5, 1.0])
def test_haematoxylin_is_separated_from_eosin(amount):
    assert haematoxylin(stained(HAEMATOXYLIN, amount), 2.0).mean() == pytest.approx(
        amount, abs=0.02
    )
    assert haematoxylin(stained(EOSIN, amount), 2.0).mean() == pytest.approx(0, abs=0.02)
    assert haematoxylin(np.full((9, 9, 3), 255, np.uint8), 2.0).max() == pytest.approx(0, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_tile_that_owns_a_dark_spot_is_kept(data):
    width, height = (data.draw(st.integers(300, 900)) for _ in range(2))
    dots = data.draw(
        st.lists(st.tuples(st.floats(5, width - 5), st.floats(5, height - 5)), min_size=1)
    )
    slide = DotSlide(width, height, 0.25, dots)
    grid = Grid(width, height, 1.0, 128, 16)
    tiles = np.arange(len(grid))
    first = filter_tiles(slide, grid, tiles)
    kept = tiles[first.kept(0.2)]
    own = grid.owned_px
    for x, y in dots:
        inside = (own[:, 0] <= x) & (x <= own[:, 2]) & (own[:, 1] <= y) & (y <= own[:, 3])
        assert set(np.flatnonzero(inside)) <= set(kept)


def test_a_tile_is_seen_alike_whatever_others_are_looked_at():
    slide = DotSlide(2000, 1500, 0.25, [(100, 100), (1900, 1400), (950, 700)])
    grid = Grid(2000, 1500, 1.0, 128, 16)
    every = filter_tiles(slide, grid, np.arange(len(grid))).darkest
    some = np.array([0, 7, len(grid) // 2, len(grid) - 1])
    few = filter_tiles(slide, grid, some).darkest
    assert (few > 0.2).tolist() == (every[some] > 0.2).tolist()


def test_without_tiles_there_is_nothing_to_see():
    slide = DotSlide(300, 300, 0.25, [])
    grid = Grid(300, 300, 1.0, 128, 16)
    assert len(filter_tiles(slide, grid, np.zeros(0, np.int64)).kept()) == 0
