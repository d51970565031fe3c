from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.errors import RecipeError
from metaphase.training.patches import augment as a
from metaphase.training.recipe.sections import (
    Augment,
    Blur,
    Colour,
    Jpeg,
    Noise,
    Sharpen,
    Stain,
    Tone,
)

SECTIONS = {
    "stain": Stain,
    "tone": Tone,
    "colour": Colour,
    "blur": Blur,
    "sharpen": Sharpen,
    "noise": Noise,
    "jpeg": Jpeg,
}
ONLY = {name: section(probability=0.0) for name, section in SECTIONS.items()}
NONE = Augment(symmetries=False, **ONLY)


def tissue(size=64, seed=0):
    """A stained patch: haematoxylin spots on eosin, some white."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    h = 0.3 + 0.9 * (np.hypot(x % 20 - 10, y % 20 - 10) < 5) + 0.05 * rng.random((size, size))
    e = 0.4 + 0.3 * np.sin(x / 9)
    h[: size // 4], e[: size // 4] = 0, 0
    od = h[..., None] * a.RUIFROK[0] + e[..., None] * a.RUIFROK[1]
    return np.round(255 * np.exp(-od)).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def only(name, **values):
    """Settings under which one step is always done and no other."""
    section = SECTIONS[name](probability=1.0, **values)
    return Augment(symmetries=False, **(ONLY | {name: section}))


# --- symmetries


@given(seed=st.integers(0, 999))
@settings(max_examples=20)
def test_points_and_boxes_follow_the_image(seed):
    image = np.zeros((32, 32, 3), np.uint8)
    image[5, 20] = 255
    points, boxes = np.array([[20.5, 5.5]]), np.array([[20.0, 5.0, 21.0, 6.0]])
    out, p, b = a.augment(image, points, boxes, Augment(**ONLY), rng(seed))
    x, y = (p[0] - 0.5).astype(int)
    assert out[y, x].tolist() == [255, 255, 255]
    assert b[0].tolist() == [x, y, x + 1, y + 1]


def test_empty_targets_pass_through():
    out, p, b = a.augment(tissue(), np.zeros((0, 2)), np.zeros((0, 4)), Augment(), rng())
    assert (out.shape, p.shape, b.shape) == ((64, 64, 3), (0, 2), (0, 4))


# --- nothing asked, nothing done


def test_no_probability_leaves_the_image():
    image = tissue()
    assert np.array_equal(a.vary(image, NONE, rng()), image)


def test_no_strength_leaves_the_image():
    image = tissue()
    assert np.array_equal(a.vary(image, Augment(strength=0.0), rng()), image)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_vanishing_strength_changes_nothing_to_speak_of(name):
    image = tissue()
    out = a.vary(image, only(name).model_copy(update={"strength": 1e-6}), rng())
    difference = np.abs(out.astype(int) - image)
    if name == "jpeg":  # the highest quality still rounds, and may halve the colours
        assert difference.mean() < 1.5
    else:
        assert difference.max() <= 1


@pytest.mark.parametrize("name", SECTIONS)
def test_each_step_changes_the_image_and_only_its_kind(name):
    image = tissue()
    outs = [a.vary(image, only(name), rng(seed)) for seed in range(5)]
    assert any(not np.array_equal(out, image) for out in outs)
    for out in outs:
        assert out.dtype == np.uint8
        assert out.shape == image.shape
        assert np.abs(out.astype(int) - image).mean() < 60
        assert out.flags.c_contiguous


@pytest.mark.parametrize("name", SECTIONS)
def test_the_same_random_numbers_give_the_same_patch(name):
    image = tissue()
    first, again, other = (a.vary(image, only(name), rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_switching_one_step_off_leaves_the_others_as_they_were():
    image = tissue()
    both = NONE.model_copy(update={"tone": Tone(probability=1.0), "blur": Blur(probability=1.0)})
    with_stain = both.model_copy(update={"stain": Stain(probability=1.0, multiply=0.0, shift=0.0)})
    difference = a.vary(image, both, rng(1)).astype(int) - a.vary(image, with_stain, rng(1))
    assert np.abs(difference).max() <= 2


def test_the_image_given_is_not_written_to():
    image = tissue()
    before = image.copy()
    a.augment(image, np.zeros((0, 2)), np.zeros((0, 4)), Augment(), rng())
    assert np.array_equal(image, before)


# --- stain


@given(factors=st.tuples(*[st.floats(0.5, 1.5)] * 3), shifts=st.tuples(*[st.floats(-0.2, 0.2)] * 3))
def test_white_stays_white(factors, shifts):
    white = np.full((4, 4, 3), 255, np.uint8)
    out = a.mix_stains(white, a.RUIFROK, np.float32(factors), np.float32(shifts))
    assert (out == 255).all()


def test_black_stays_black():
    black = np.zeros((4, 4, 3), np.uint8)
    out = a.mix_stains(black, a.RUIFROK, np.full(3, 1.2, np.float32), np.zeros(3, np.float32))
    assert out.max() <= 1


def test_neutral_factors_give_the_image_back():
    image = tissue()
    out = a.mix_stains(image, a.RUIFROK, np.ones(3, np.float32), np.zeros(3, np.float32))
    assert np.abs(out.astype(int) - image).max() <= 1


def test_more_haematoxylin_multiplies_its_optical_density():
    colour = np.exp(-0.5 * a.RUIFROK[0]) * 255
    image = np.tile(np.round(colour).astype(np.uint8), (4, 4, 1))
    out = a.mix_stains(image, a.RUIFROK, np.float32([1.5, 1, 1]), np.zeros(3, np.float32))
    expected = np.exp(-0.75 * a.RUIFROK[0]) * 255
    np.testing.assert_allclose(out[0, 0], expected, atol=1.5)


def test_a_shift_adds_to_the_optical_density_of_tissue():
    image = np.full((4, 4, 3), 120, np.uint8)
    out = a.mix_stains(image, a.RUIFROK, np.ones(3, np.float32), np.float32([0.1, 0, 0]))
    np.testing.assert_allclose(out[0, 0], 120 * np.exp(-0.1 * a.RUIFROK[0]), atol=0.6)


def test_macenko_finds_the_stains_that_were_mixed():
    h = np.array([0.55, 0.76, 0.35]) / np.linalg.norm([0.55, 0.76, 0.35])
    e = np.array([0.10, 0.95, 0.20]) / np.linalg.norm([0.10, 0.95, 0.20])
    amounts = rng().random((128, 128, 2)) * [1.2, 0.8]
    # Some pixels are of one stain alone, as in tissue.
    amounts[:40, :, 1], amounts[90:, :, 0] = 0, 0
    od = amounts @ np.stack([h, e])
    found = a.macenko(np.round(255 * np.exp(-od)).astype(np.uint8))
    assert found[0] @ h > 0.995
    assert found[1] @ e > 0.995


@pytest.mark.parametrize(
    "image",
    [
        np.full((32, 32, 3), 255, np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.full((32, 32, 3), (150, 60, 140), np.uint8),
    ],
    ids=["white", "black", "one colour"],
)
def test_macenko_falls_back_where_there_is_nothing_to_estimate(image):
    assert np.array_equal(a.macenko(image), a.RUIFROK)
    out = a.vary(image, only("stain", vectors="macenko"), rng())
    assert np.isfinite(out).all()


def test_unknown_stain_vectors_are_told():
    with pytest.raises(RecipeError, match="ruifrok"):
        a.stain_vectors(tissue(), "vahadan")


# --- light, optics, camera, file


def test_grey_has_no_hue_to_turn():
    grey = np.repeat(rng().integers(0, 256, (8, 8, 1), dtype=np.uint8), 3, axis=2)
    out = a.colour(grey, Colour(hue_deg=90, saturation=0.9), 1.0, rng())
    assert np.abs(out.astype(int) - grey).max() <= 1


@given(sigma=st.floats(0.0, 3.0))
@settings(max_examples=30)
def test_the_blur_is_a_gaussian(sigma):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = tissue(48)
    expected = image.astype(float)
    if sigma > 0.05:
        expected = ndimage.gaussian_filter(expected, (sigma, sigma, 0), mode="nearest", truncate=3)
    assert np.abs(a.gaussian(image, sigma) - expected).max() <= 4
    assert np.abs(a.gaussian(image, sigma) - expected).mean() <= 1


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_a_flat_image_stays_flat_under_blur_and_sharpening(level):
    flat = np.full((20, 20, 3), level, np.uint8)
    assert (a.gaussian(flat, 1.7) == level).all()
    assert (a.sharpen(flat, Sharpen(amount=2.0), 1.0, rng()) == level).all()


def test_sharpening_sharpens():
    image = a.gaussian(tissue(), 1.0)
    out = a.sharpen(image, Sharpen(amount=2.0), 1.0, rng(1))
    assert (
        np.abs(np.diff(out.astype(int), axis=0)).mean()
        > np.abs(np.diff(image.astype(int), axis=0)).mean()
    )


def test_noise_has_no_bias_and_the_width_asked_for():
    grey = np.full((200, 200, 3), 128, np.uint8)
    out = a.noise(grey, Noise(sigma=20), 1.0, rng(2)).astype(int) - 128
    sigma = rng(2).uniform(0, 20)
    assert abs(out.mean()) < 0.2
    assert out.std() == pytest.approx(sigma, rel=0.05)


def test_lower_quality_costs_more():
    image = tissue()
    errors = [
        np.abs(a.jpeg(image, Jpeg(quality=(q, q)), 1.0, rng()).astype(int) - image).mean()
        for q in (95, 20)
    ]
    assert errors[0] < errors[1]
