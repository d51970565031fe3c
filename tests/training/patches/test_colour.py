from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.patches.colour import apply_matrix, camera_matrix, change_hue


@given(st.integers(0, 1000), st.floats(0, 0.29))
def test_grey_stays_grey_through_any_camera(seed: int, size: float) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    matrix = camera_matrix(np.random.default_rng(seed), size)
    assert np.abs(apply_matrix(grey, matrix).astype(int) - grey).max() <= 1


@given(st.floats(-180, 180), st.floats(0, 2))
def test_grey_has_no_hue(degrees: float, saturation: float) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    assert np.abs(change_hue(grey, degrees, saturation).astype(int) - grey).max() <= 1


def test_saturation_of_zero_makes_grey_of_the_same_brightness() -> None:
    red = np.full((1, 1, 3), (200, 40, 40), np.uint8)
    grey = change_hue(red, 0, 0)[0, 0]
    assert np.ptp(grey.astype(int)) <= 1
    assert grey[0] == pytest.approx(0.299 * 200 + 0.701 * 40, abs=1)
