from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.patches.strips import SEAM_PX, joined, mismatch, ramp, side_strip


@pytest.mark.parametrize(
    ("side", "expected"),
    [(0, (0, "row")), (1, (0, "column")), (2, (-1, "row")), (3, (-1, "column"))],
)
def test_a_strip_begins_at_its_outer_edge(side, expected):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    index, kind = expected
    edge = image[index] if kind == "row" else image[:, index]
    strip = side_strip(image, side, 5)
    assert strip.shape == (5, len(edge), 3)
    assert np.array_equal(strip[0], edge)


def test_a_strip_is_a_view():
    image = np.zeros((30, 40, 3), np.uint8)
    side_strip(image, 3, 4)[:] = 7
    assert (image[:, -4:] == 7).all()
    assert (image[:, :-4] == 0).all()


@given(st.integers(1, 40))
def test_a_ramp_rises_from_0_to_1_and_is_symmetric(length):
    values = ramp(length)
    assert (np.diff(values) > 0).all()
    assert 0 < values[0] <= values[-1] < 1
    np.testing.assert_allclose(values + values[::-1], 1, atol=1e-6)


@given(st.integers(SEAM_PX, 30), st.integers(SEAM_PX, 30), st.integers(1, 20), st.integers(1, 20))
def test_joined_images_overlap_in_the_seam(first, second, width, other):
    top = np.full((first, width, 3), 200, np.uint8)
    bottom = np.full((second, other, 3), 100, np.uint8)
    image = joined(top, bottom)
    assert image.shape == (first + second - SEAM_PX, min(width, other), 3)
    assert (image[: first - SEAM_PX] == 200).all()
    assert (image[first:] == 100).all()
    assert (np.diff(image[:, 0, 0].astype(int)) <= 0).all()


def test_equal_edges_do_not_differ():
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert mismatch(image, image[-SEAM_PX:]) == 0
    assert mismatch(image, 255 - image[-SEAM_PX:]) > 0
