from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from metaphase import boxes

# Whole numbers keep float arithmetic exact, so that the properties are exact too.
corner = st.integers(-10_000, 10_000)
side = st.integers(1, 5_000)
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)
many = st.lists(box, max_size=8)


@given(many)
def test_both_formats_say_the_same(rows: list[tuple[int, ...]]) -> None:
    there = boxes.xyxy_to_xywh(rows)
    assert there.shape == (len(rows), 4)
    np.testing.assert_array_equal(boxes.xywh_to_xyxy(there), boxes.as_boxes(rows))


def test_formats_by_hand() -> None:
    np.testing.assert_array_equal(boxes.xywh_to_xyxy([10, 20, 50, 30]), [[10, 20, 60, 50]])


@pytest.mark.parametrize(
    "function",
    [boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.centres, boxes.as_boxes],
)
def test_no_boxes_are_fine(function: object) -> None:
    assert len(function([])) == 0  # type: ignore[operator]


@given(many, st.integers(1, 200))
def test_boxes_around_centres_have_these_centres_and_size(
    rows: list[tuple[int, ...]], size: int
) -> None:
    points = boxes.centres(rows)
    around = boxes.around(points, size)
    np.testing.assert_array_equal(boxes.centres(around), points)
    np.testing.assert_array_equal(around[:, 2:] - around[:, :2], np.full((len(rows), 2), size))


points = npst.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=corner)


@given(points, points)
def test_distances_are_euclidean_and_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    d = boxes.distances(a, b)
    assert d.shape == (len(a), len(b))
    np.testing.assert_allclose(d, np.linalg.norm(a[:, None] - b[None], axis=2))
    np.testing.assert_array_equal(d, boxes.distances(b, a).T)


def test_distance_of_three_and_four_is_five() -> None:
    assert boxes.distances([0, 0], [3, 4])[0, 0] == 5
