from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.errors import RecipeError
from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches import augment as a
from metaphase.training.recipe.sections import (
    Augment,
    Blur,
    Camera,
    Colour,
    Fourier,
    Jpeg,
    Noise,
    Sharpen,
    Stain,
    StainTransfer,
    Tone,
)
from tests.stain.images import OTHER, mean_difference
from tests.stain.images import tissue as stained

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
    od = h[..., None] * RUIFROK[0] + e[..., None] * RUIFROK[1]
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


# --- colours of another domain, camera


def sections(**values):
    """Settings with the given sections and no other step."""
    return Augment(**(ONLY | values))


@pytest.mark.parametrize(
    "settings",
    [
        sections(stain_transfer=StainTransfer(probability=1.0)),
        sections(stain_transfer=StainTransfer(method="reinhard", probability=1.0)),
        sections(fourier=Fourier(probability=1.0)),
    ],
    ids=["macenko", "reinhard", "fourier"],
)
def test_steps_take_the_colours_of_another_domain(settings):
    image, other = stained(2), stained(3, OTHER, 1.9)

    def moved(partner):
        rng = np.random.default_rng(2)
        result = a.vary(image, settings, rng, partner)
        return float(np.abs(result.mean((0, 1)) - image.mean((0, 1))).max())

    assert moved(lambda rng: other) > 2
    assert moved(lambda rng: None) == 0
    assert moved(None) == 0


def test_a_camera_changes_colour_and_not_grey():
    settings = sections(camera=Camera(probability=1.0))
    rng = np.random.default_rng(1)
    assert mean_difference(a.vary(stained(2), settings, rng), stained(2)) > 0.5


def test_new_steps_leave_the_draws_of_the_others_alone():
    image = stained(2)
    before = a.vary(image, Augment(), np.random.default_rng(5))
    with_new = Augment(camera=Camera(probability=0.0), fourier=Fourier(probability=0.0))
    assert np.array_equal(before, a.vary(image, with_new, np.random.default_rng(5)))
