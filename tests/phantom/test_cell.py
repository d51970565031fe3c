"""Stamps are drawn where they should be, also across borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.phantom.cell import Cell, coordinates_um, draw_cell, soft_edge


def _mark(side: int) -> Cell:
    zero, one = np.zeros((side, side), np.float32), np.ones((side, side), np.float32)
    return Cell(one, zero, zero, one)


@given(st.floats(-30, 130), st.floats(-30, 90))
def test_what_crosses_the_border_is_cut(x: float, y: float) -> None:
    blue, pink = np.full((60, 100), 5, np.float32), np.full((60, 100), 7, np.float32)
    draw_cell(blue, pink, _mark(10), x, y)
    expected = np.full((60, 100), 5, np.float32)
    left, top = round(x - 5), round(y - 5)
    expected[max(top, 0) : max(top + 10, 0), max(left, 0) : max(left + 10, 0)] = 1
    assert np.array_equal(blue, expected)
    assert (pink == 7).all()


def test_the_eight_symmetries_differ() -> None:
    field = np.arange(16, dtype=np.float32).reshape(4, 4)
    stamp = Cell(field, field, field, field)
    turned = {stamp.turned(i).h_add.tobytes() for i in range(8)}
    assert len(turned) == 8


def test_the_plane_is_in_um_around_the_middle() -> None:
    x, y = coordinates_um(4, 0.5)
    assert x[0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert y[:, 0].tolist() == x[0].tolist()


def test_a_step_is_one_inside_and_zero_outside() -> None:
    assert soft_edge(np.array([-9, 0, 9], np.float32)).tolist() == pytest.approx([1, 0.5, 0])
