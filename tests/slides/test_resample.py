from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.slides.resample import Axis, clip_span, extend, resize, snap
from tests.slides.pictures import noise

axes = st.builds(
    Axis,
    start=st.floats(-50, 150),
    step=st.floats(0.2, 6),
    count=st.integers(1, 60),
    extent=st.just(100.0),
    pixels=st.just(100),
)


@given(axes)
def test_pixels_inside_are_those_whose_centre_is_in_the_image(axis: Axis) -> None:
    first, last = axis.inside()
    centres = axis.start + (np.arange(axis.count) + 0.5) * axis.step
    inside = np.nonzero((centres >= 0) & (centres < axis.extent))[0]
    assert list(range(first, last)) == inside.tolist()


@given(axes, st.data())
def test_a_part_has_the_pixels_of_the_whole(axis: Axis, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, axis.count - 1))
    part = axis.part(first, axis.count)
    assert part.count == axis.count - first
    assert part.start == pytest.approx(axis.start + first * axis.step)


@given(axes)
def test_a_span_covers_the_output_with_a_rim(axis: Axis) -> None:
    low, high = axis.span()
    end = axis.start + axis.count * axis.step
    assert low <= axis.start
    assert high >= end
    assert high - low <= end - axis.start + 2 * (2 * max(axis.step, 1) + 2)


@given(st.integers(-30, 120), st.integers(1, 60))
def test_a_clipped_span_is_in_the_level(low: int, length: int) -> None:
    first, last = clip_span((low, low + length), 100)
    assert 0 <= first < last <= 100


def test_rounding_errors_are_snapped() -> None:
    assert snap(3.0000000001) == 3.0
    assert snap(3.01) == 3.01


def test_border_pixels_are_repeated() -> None:
    pixels = noise(5, 1)
    wide = extend(pixels, (0, 5), (-2, 7), 1)
    assert np.array_equal(wide[:, 2:7], pixels)
    assert (wide[:, :2] == pixels[:, :1]).all()
    assert (wide[:, 7:] == pixels[:, -1:]).all()


@pytest.mark.parametrize("step", [0.5, 1.0, 1.3, 2.0, 4.7])
def test_an_even_image_stays_even(step: float) -> None:
    pixels = np.full((80, 80, 3), 77, np.uint8)
    axis = Axis(10.25, step, 12, 80.0, 80)
    assert (resize(pixels, axis, axis, 0, 0) == 77).all()


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 20), st.integers(0, 20))
def test_a_whole_step_is_the_mean_of_the_pixels_that_it_covers(
    across: int, down: int, left: int, top: int
) -> None:
    x, y = Axis(left, across, 6, 100.0, 100), Axis(top, down, 4, 100.0, 100)
    pixels = noise(100, 100)[slice(*y.span()), slice(*x.span())]
    mean = pixels.reshape(4, down, 6, across, 3).astype(float).mean(axis=(1, 3))
    result = resize(pixels, x, y, left, top)
    assert np.abs(result - mean).max() < 0.6  # PIL rounds in whole numbers


def test_a_whole_step_from_a_fraction_of_a_pixel_is_filtered() -> None:
    axis = Axis(10.5, 2.0, 6, 100.0, 100)
    assert axis.factor == 0
    low, high = axis.span()
    assert (low, high) == (5, 28)
    pixels = noise(100, 100)[low:high, low:high]
    assert resize(pixels, axis, axis, low, low).shape == (6, 6, 3)


def test_each_axis_is_averaged_or_filtered_on_its_own() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], 100, axis=0)
    pixels = np.repeat(ramp, 3, axis=2)
    x, y = Axis(20, 2.0, 10, 100.0, 100), Axis(20.5, 2.2, 10, 100.0, 100)
    part = pixels[slice(*y.span()), slice(*x.span())]
    result = resize(part, x, y, x.span()[0], y.span()[0])
    assert result[:, :, 0].tolist() == [list(range(41, 81, 4))] * 10
