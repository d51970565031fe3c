"""The resolution at which slides are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.resolution import NATIVE_WITHIN, native_mpp, whole_px


@pytest.mark.parametrize(
    ("slide_mpp", "network_mpp", "expected"),
    [
        (0.25, 0.25, 0.25),
        (0.2456, 0.25, 0.2456),
        (0.2275, 0.25, None),
        (0.2456, 0.5, 0.4912),
        (0.2533, 0.5, 0.5066),
        (0.2275, 0.5, None),
        (0.5, 0.25, None),
        (0.125, 0.5, 0.5),
    ],
)
def test_a_whole_multiple_near_the_networks_resolution_is_read(
    slide_mpp: float, network_mpp: float, expected: float | None
) -> None:
    assert native_mpp(slide_mpp, network_mpp) == pytest.approx(expected)


@given(st.floats(0.05, 2), st.floats(0.1, 1))
def test_it_is_never_further_away_than_allowed(slide_mpp: float, network_mpp: float) -> None:
    mpp = native_mpp(slide_mpp, network_mpp)
    if mpp is not None:
        assert abs(mpp / network_mpp - 1) <= NATIVE_WITHIN
        assert mpp / slide_mpp == pytest.approx(round(mpp / slide_mpp))


def test_a_start_is_a_whole_pixel_where_nothing_is_interpolated() -> None:
    assert whole_px(10.6, 0.25, 0.5) == 11.0
    assert whole_px(10.6, 0.25, 0.25) == 11.0
    assert whole_px(10.6, 0.23, 0.25) == 10.6
    assert whole_px(10.6, 0.5, 0.25) == 10.6
