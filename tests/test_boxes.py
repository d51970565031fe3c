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
    [boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.centres, boxes.areas, boxes.as_boxes],
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
    np.testing.assert_array_equal(boxes.areas(around), np.full(len(rows), size**2))


@given(many)
def test_areas_are_sides_multiplied(rows: list[tuple[int, ...]]) -> None:
    expected = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in rows]
    np.testing.assert_array_equal(boxes.areas(rows), expected)


def test_a_box_inside_out_has_no_area() -> None:
    np.testing.assert_array_equal(boxes.areas([[10, 0, 5, 10], [10, 10, 5, 5]]), [0, 0])


@given(many, st.integers(1, 10_000), st.integers(1, 10_000))
def test_clipped_boxes_lie_inside_and_clip_once(
    rows: list[tuple[int, ...]], width: int, height: int
) -> None:
    clipped = boxes.clip(rows, width, height)
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= width).all()
    assert (clipped[:, [1, 3]] <= height).all()
    np.testing.assert_array_equal(boxes.clip(clipped, width, height), clipped)
    assert (boxes.areas(clipped) <= boxes.areas(rows)).all()


@given(many, many)
def test_iou_is_symmetric_and_between_0_and_1(
    a: list[tuple[int, ...]], b: list[tuple[int, ...]]
) -> None:
    ab = boxes.iou(a, b)
    assert ab.shape == (len(a), len(b))
    np.testing.assert_array_equal(ab, boxes.iou(b, a).T)
    assert ((ab >= 0) & (ab <= 1)).all()


@given(box, corner, corner)
def test_iou_is_one_with_itself_and_does_not_move(one: tuple[int, ...], x: int, y: int) -> None:
    assert boxes.iou([one], [one])[0, 0] == 1
    other = np.add(one, [3, 2, 3, 2])
    moved, other_moved = np.add(one, [x, y, x, y]), np.add(other, [x, y, x, y])
    assert boxes.iou([one], [other]) == pytest.approx(boxes.iou([moved], [other_moved]), abs=1e-12)


@given(side, side, st.data())
def test_iou_of_a_part_is_the_share_it_covers(width: int, height: int, data: st.DataObject) -> None:
    x2 = data.draw(st.integers(1, width))
    y2 = data.draw(st.integers(1, height))
    expected = x2 * y2 / (width * height)
    assert boxes.iou([[0, 0, width, height]], [[0, 0, x2, y2]])[0, 0] == pytest.approx(expected)


def test_boxes_that_only_touch_do_not_overlap() -> None:
    assert boxes.iou([[0, 0, 10, 10]], [[10, 0, 20, 10]])[0, 0] == 0


points = npst.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=corner)


@given(points, points)
def test_distances_are_euclidean_and_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    d = boxes.distances(a, b)
    assert d.shape == (len(a), len(b))
    np.testing.assert_allclose(d, np.linalg.norm(a[:, None] - b[None], axis=2))
    np.testing.assert_array_equal(d, boxes.distances(b, a).T)


def test_distance_of_three_and_four_is_five() -> None:
    assert boxes.distances([0, 0], [3, 4])[0, 0] == 5
