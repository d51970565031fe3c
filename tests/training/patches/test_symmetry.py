from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.patches.symmetry import symmetry, symmetry_boxes, symmetry_points


@given(turn=st.integers(0, 7), x=st.integers(0, 15), y=st.integers(0, 15))
def test_a_dot_goes_where_its_point_goes(turn, x, y):
    image = np.zeros((16, 16, 3), np.uint8)
    image[y, x] = 255
    moved = symmetry(image, turn)
    point = symmetry_points(np.array([[x + 0.5, y + 0.5]]), turn, 16)[0]
    found = np.argwhere(moved[..., 0])[0][::-1] + 0.5
    assert point.tolist() == found.tolist()


def test_the_eight_symmetries_differ():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert len({symmetry(image, turn).tobytes() for turn in range(8)}) == 8


@given(
    turn=st.integers(0, 7),
    low=st.tuples(st.floats(-9, 40), st.floats(-9, 40)),
    size=st.tuples(st.floats(0, 30), st.floats(0, 30)),
)
def test_boxes_keep_their_centre_and_stay_upright(turn, low, size):
    box = np.array([[*low, low[0] + size[0], low[1] + size[1]]])
    moved = symmetry_boxes(box, turn, 32)
    assert (moved[:, 2:] >= moved[:, :2]).all()
    centre = symmetry_points((box[:, :2] + box[:, 2:]) / 2, turn, 32)
    np.testing.assert_allclose((moved[:, :2] + moved[:, 2:]) / 2, centre, atol=1e-9)
    sides = (moved[0, 2:] - moved[0, :2]).tolist()
    assert sorted(sides) == pytest.approx(sorted(size), abs=1e-9)
