from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.slides.tiling import grid_starts
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
