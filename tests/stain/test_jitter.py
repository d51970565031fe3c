from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metaphase.stain.jitter import MAX_MULTIPLY, change_stains, jitter_stains
from metaphase.stain.vectors import RUIFROK
from tests.stain.images import tissue


@given(factors=st.tuples(*[st.floats(0.5, 1.5)] * 3), shifts=st.tuples(*[st.floats(-0.2, 0.2)] * 3))
def test_white_stays_white(factors, shifts):
    white = np.full((4, 4, 3), 255, np.uint8)
    out = change_stains(white, RUIFROK, np.float32(factors), np.float32(shifts))
    assert (out == 255).all()


def test_black_stays_black():
    black = np.zeros((4, 4, 3), np.uint8)
    out = change_stains(black, RUIFROK, np.full(3, 1.2, np.float32), np.zeros(3, np.float32))
    assert out.max() <= 1


def test_neutral_factors_give_the_image_back():
    image = tissue()
    out = change_stains(image, RUIFROK, np.ones(3, np.float32), np.zeros(3, np.float32))
    assert np.abs(out.astype(int) - image).max() <= 1


def test_more_haematoxylin_multiplies_its_optical_density():
    colour = np.exp(-0.5 * RUIFROK[0]) * 255
    image = np.tile(np.round(colour).astype(np.uint8), (4, 4, 1))
    out = change_stains(image, RUIFROK, np.float32([1.5, 1, 1]), np.zeros(3, np.float32))
    expected = np.exp(-0.75 * RUIFROK[0]) * 255
    np.testing.assert_allclose(out[0, 0], expected, atol=1.5)


def test_a_shift_adds_to_the_optical_density_of_tissue():
    image = np.full((4, 4, 3), 120, np.uint8)
    out = change_stains(image, RUIFROK, np.ones(3, np.float32), np.float32([0.1, 0, 0]))
    np.testing.assert_allclose(out[0, 0], 120 * np.exp(-0.1 * RUIFROK[0]), atol=0.6)


def test_jitter_is_a_function_of_the_generator() -> None:
    image = tissue()

    def jittered(seed: int, multiply: float = 0.3):
        rng = np.random.default_rng(seed)
        return jitter_stains(image, RUIFROK, rng, multiply=multiply, shift=0.05)

    assert np.array_equal(jittered(1), jittered(1))
    assert not np.array_equal(jittered(1), jittered(2))
    assert np.array_equal(jittered(1, 5.0), jittered(1, MAX_MULTIPLY))
