from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from metaphase.slides.outline import fill, trace
from tests.slides.pictures import calm

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@calm
@given(masks)
def test_filling_the_outline_gives_the_mask_back(mask: np.ndarray) -> None:
    polygons = trace(mask)
    assert np.array_equal(fill(polygons, mask.shape[1], mask.shape[0]), mask)


@calm
@given(masks)
def test_one_polygon_a_part_with_its_holes_inside(mask: np.ndarray) -> None:
    polygons = trace(mask)
    parts, count = ndimage.label(mask)
    assert len(polygons) == count
    for number, (exterior, *holes) in enumerate(polygons, start=1):
        part = parts == number
        assert np.array_equal(fill([[exterior, *holes]], mask.shape[1], mask.shape[0]), part)
        outside, holes_there = ndimage.label(~np.pad(part, 1), structure=np.ones((3, 3)))
        assert outside[0, 0] == 1
        assert len(holes) == holes_there - 1
        for ring in (exterior, *holes):
            assert ring[0] == ring[-1]
            assert len(ring) >= 5


def test_a_square_has_four_corners() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    ((ring,),) = trace(mask)
    assert set(ring) == {(2, 1), (5, 1), (5, 3), (2, 3)}
    assert len(ring) == 5
    assert trace(np.zeros((3, 3), bool)) == []


def test_a_triangle_is_filled_at_cell_centres() -> None:
    mask = fill([[[(0, 0), (8, 0), (0, 8)]]], 8, 8)
    y, x = np.mgrid[:8, :8] + 0.5
    assert np.array_equal(mask, x + y < 8)


@calm
@given(st.floats(-9, 9), st.floats(-9, 9))
def test_what_lies_off_the_picture_is_cut(x: float, y: float) -> None:
    mask = fill([[[(x, y), (x + 4, y), (x + 4, y + 4), (x, y + 4), (x, y)]]], 8, 8)
    rows, columns = np.mgrid[:8, :8] + 0.5
    inside = (columns >= x) & (columns < x + 4) & (rows >= y) & (rows < y + 4)
    assert np.array_equal(mask, inside)
