from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.counting.window import (
    Window,
    WindowShape,
    fields_area_mm2,
    tissue_fraction,
    window_area_mm2,
)
from metaphase.errors import InputError

positions = st.floats(-1e4, 1e4)
windows = st.builds(
    Window,
    st.sampled_from(["circle", "rectangle"]),
    positions,
    positions,
    st.floats(1, 1e4),
    st.floats(1, 1e4),
).map(lambda w: Window(w.kind, w.x_px, w.y_px, w.width_px, w.width_px) if w.kind == "circle" else w)


class Halves:
    """Everything left of x = 0 is tissue."""

    area_mm2 = 1.0

    def fraction(self, x_px, y_px, width_px, height_px):
        x, width = np.asarray(x_px, float), np.asarray(width_px, float)
        return np.clip(-x / width, 0, 1)


@pytest.mark.parametrize("shape", ["triangle", "4:0", "0:3", ":", "-1:2", "1:nan"])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError):
        WindowShape.parse(shape)


@given(st.floats(0.1, 50), st.floats(0.1, 2), st.sampled_from(["circle", "square", "4:3", "1x2"]))
def test_every_shape_has_its_area(area_mm2, mpp, name):
    shape = WindowShape.parse(name, area_mm2, either_way=True)
    for width, height in shape.sizes_px(mpp):
        window = Window(shape.kind, 0, 0, width, height)
        assert window.area_mm2(mpp) == pytest.approx(area_mm2)
    assert len(shape.sizes_px(mpp)) == (2 if name in ("4:3", "1x2") else 1)


def test_ten_fields():
    assert fields_area_mm2(0.55) == pytest.approx(10 * math.pi * 0.275**2)


@given(windows, positions, positions)
def test_the_edge_is_inside_and_beyond_it_is_outside(window, x, y):
    edge = window.outline()
    assert window.contains(edge).all()
    centre = np.array(window.centre)
    assert not window.contains(
        centre + (edge - centre) * 1.001 + np.sign(edge - centre) * 1e-3
    ).any()
    assert window.at(x, y).centre == (x, y)


@given(windows)
def test_strips_cover_the_window(window):
    rows = window.strips()
    area = ((rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])).sum()
    exact = window.width_px * window.height_px * (math.pi / 4 if window.kind == "circle" else 1)
    assert area == pytest.approx(exact, rel=0.005)


@given(windows, st.floats(0, 3))
def test_windows_overlap_up_to_their_border(window, gap):
    beside = window.at(window.x_px + window.width_px * (1 + gap) + 1e-3, window.y_px)
    assert not window.overlaps(beside)
    assert window.overlaps(window.at(window.x_px + window.width_px * 0.9, window.y_px))


@given(windows)
def test_half_of_a_window_on_the_border_of_tissue_is_tissue(window):
    assert tissue_fraction(Halves(), window, [[0, 0]])[0] == pytest.approx(0.5, abs=0.01)
    inside = tissue_fraction(Halves(), window, [[-window.width_px, 0], [window.width_px, 0]])
    assert inside.tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("area", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_areas_out_of_range_are_refused(area):
    with pytest.raises(InputError, match="area must be"):
        WindowShape(area_mm2=area)


def test_the_area_is_given_or_that_of_ten_fields_or_two():
    assert window_area_mm2(None, None) == 2.0
    assert window_area_mm2(1.5, 0.5) == 1.5
    assert window_area_mm2(None, 0.5) == fields_area_mm2(0.5)
    assert window_area_mm2(0.0, None) == 0.0, "zero is refused later, not replaced"
