from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.units import (
    SCANNER_MPP,
    area_mm2,
    mean_mpp,
    px_to_um,
    scanner_mpp,
    scanner_name,
    um_to_px,
)

lengths = st.floats(0, 1e6)
resolutions = st.floats(0.01, 100)


@given(lengths, resolutions)
def test_there_and_back_is_the_same_length(length: float, mpp: float) -> None:
    assert px_to_um(um_to_px(length, mpp), mpp) == pytest.approx(length)


def test_the_matching_radius_in_pixels() -> None:
    assert um_to_px(7.5, 0.25) == 30
    assert px_to_um(30, 0.25) == 7.5


def test_area_of_the_usual_two_square_millimetres() -> None:
    assert area_mm2(7215, 5412, 0.2268) == pytest.approx(2.0086, abs=1e-3)


@given(resolutions, resolutions)
def test_mean_mpp_keeps_the_area_of_a_pixel(x: float, y: float) -> None:
    assert mean_mpp(x, y) ** 2 == pytest.approx(x * y)
    assert min(x, y) <= mean_mpp(x, y) * (1 + 1e-12)
    assert mean_mpp(x, y) <= max(x, y) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("spelling", "usual"),
    [
        ("Hamamatsu XR", "Hamamatsu XR"),
        ("Hamammatsu XR", "Hamamatsu XR"),
        ("  aperio   scanscope cs2 ", "Aperio CS2"),
        ("3D Histech", "3DHistech"),
        ("My Scanner 5", "My Scanner 5"),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_spellings_of_a_scanner(spelling: str | None, usual: str | None) -> None:
    assert scanner_name(spelling) == usual


@pytest.mark.parametrize("name", SCANNER_MPP)
def test_usual_names_are_stable_and_known(name: str) -> None:
    assert scanner_name(name) == scanner_name(name.lower()) == name
    mpp = scanner_mpp(name)
    assert mpp is not None
    assert math.isclose(mpp, 0.25, rel_tol=0.1), "all of them scan at 40x"


def test_an_unknown_scanner_has_no_mpp() -> None:
    assert scanner_mpp("My Scanner 5") is None
    assert scanner_mpp(None) is None
