from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaphase.slides.open import open_slide
from metaphase.stress import perturbations
from metaphase.stress.perturbations import MPP_ERROR, SWEEPS, Changed, Sweep
from tests.stain.images import mean_difference, tissue

BY_NAME = {sweep.name: sweep for sweep in SWEEPS}
IMAGE = tissue(1)


def densities(image: np.ndarray) -> np.ndarray:
    """Return the optical density of R, G and B, averaged over an image."""
    return -np.log((image.astype(float) + 1) / 256).mean(axis=(0, 1))


# --- single changes


def test_the_hue_turns_round_a_full_circle() -> None:
    assert mean_difference(perturbations.hue(IMAGE, 360.0), IMAGE) < 0.6
    back = perturbations.hue(perturbations.hue(IMAGE, 20.0), -20.0)
    assert mean_difference(back, IMAGE) < 1.5


def test_the_hue_of_grey_is_grey() -> None:
    grey = np.full((4, 4, 3), 128, np.uint8)
    assert np.abs(perturbations.hue(grey, 90.0).astype(int) - 128).max() <= 1


@given(st.floats(0, 3))
def test_brightness_multiplies_and_stops_at_white(factor: float) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    changed = perturbations.brightness(ramp, factor)
    assert changed.dtype == np.uint8
    expected = np.minimum(np.floor(ramp * factor + 0.5), 255)
    assert np.abs(changed - expected).max() <= 1
    assert (np.diff(changed[..., 0].ravel().astype(int)) >= 0).all()


def test_more_of_a_stain_darkens_its_own_colour_most() -> None:
    """Haematoxylin absorbs red, eosin hardly."""
    plain = densities(IMAGE)
    blue = densities(perturbations.haematoxylin(IMAGE, 1.6)) - plain
    pink = densities(perturbations.eosin(IMAGE, 1.6)) - plain
    assert blue.min() > 0
    assert blue[0] / blue[1] > 1.5 * pink[0] / pink[1]
    assert pink[1] > 0.05


@pytest.mark.parametrize("name", ["haematoxylin", "eosin"])
def test_stains_of_a_large_image_are_those_of_its_strips(name: str) -> None:
    change = getattr(perturbations, name)
    tall = np.concatenate([tissue(seed) for seed in range(6)])
    assert len(tall) > 512  # the height of the strips that are changed one by one
    changed = change(tall, 1.3)
    assert changed.shape == tall.shape
    assert np.array_equal(changed[500:530], change(tall[500:530], 1.3))


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    changed = [perturbations.blur(IMAGE, sigma) for sigma in (0.5, 1.0, 3.0)]
    details = [float(np.abs(np.diff(image.astype(int), axis=1)).mean()) for image in changed]
    assert details == sorted(details, reverse=True)
    assert all(image.mean() == pytest.approx(IMAGE.mean(), rel=0.01) for image in changed)


def test_a_lower_jpeg_quality_differs_more_and_100_not_at_all() -> None:
    assert perturbations.jpeg(IMAGE, 100) is IMAGE
    losses = [mean_difference(perturbations.jpeg(IMAGE, q), IMAGE) for q in (90, 60, 20)]
    assert 0 < losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize(
    "sweep", [sweep for sweep in SWEEPS if sweep.change], ids=lambda sweep: sweep.name
)
def test_a_change_keeps_size_and_type_and_the_image_itself(sweep: Sweep) -> None:
    assert sweep.change is not None
    before = IMAGE.copy()
    for level in (sweep.levels[0], sweep.levels[-1]):
        changed = sweep.change(IMAGE, level)
        assert changed.shape == IMAGE.shape
        assert changed.dtype == np.uint8
        assert np.array_equal(changed, sweep.change(IMAGE, level))
    assert np.array_equal(IMAGE, before)


# --- sweeps


def test_sweeps_have_names_of_their_own_and_ordered_levels() -> None:
    assert len(BY_NAME) == len(SWEEPS)
    for sweep in SWEEPS:
        rising = sorted(sweep.levels, reverse=sweep.name == "JPEG quality")
        assert list(sweep.levels) == rising
        assert sweep.neutral in sweep.levels
    assert [sweep.name for sweep in SWEEPS if sweep.change is None] == [MPP_ERROR]


@given(st.floats(0.02, 0.5))
def test_a_ratio_and_its_inverse_are_the_same_shift(factor: float) -> None:
    sweep = BY_NAME["brightness"]
    assert sweep.shift(factor) == pytest.approx(sweep.shift(1 / factor))
    assert BY_NAME["hue"].shift(-factor) == BY_NAME["hue"].shift(factor) == pytest.approx(factor)


@given(st.floats(0.011, 0.39))
def test_the_levels_of_a_shift_are_added_in_their_place(shift: float) -> None:
    sweep = BY_NAME["saturation"]
    reached = sweep.reaching(shift)
    assert set(sweep.levels) <= set(reached.levels)
    assert list(reached.levels) == sorted(reached.levels)
    for end in sweep.ends(shift):
        assert min(abs(level - end) for level in reached.levels) <= 1e-3 * end
    assert reached.reaching(shift).levels == reached.levels


@pytest.mark.parametrize("shift", [None, 0.0, -1.0])
def test_without_a_shift_a_sweep_stays_as_it_is(shift: float | None) -> None:
    for sweep in SWEEPS:
        assert sweep.reaching(shift) is sweep


def test_the_quality_of_jpeg_falls_from_100() -> None:
    reached = BY_NAME["JPEG quality"].reaching(25)
    assert reached.levels[0] == 125  # as far from neutral as 75; compresses nothing
    assert 75 in reached.levels
    assert list(reached.levels) == sorted(reached.levels, reverse=True)


# --- slides


def test_a_changed_slide_pretends_another_resolution(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "t.png")
    with open_slide(tmp_path / "t.png", mpp=0.25) as slide:
        darker = Changed(slide, lambda pixels: perturbations.brightness(pixels, 0.5), 0.5)
        assert (darker.width_px, darker.height_px) == (slide.width_px, slide.height_px)
        assert (darker.mpp, slide.mpp) == (0.5, 0.25)
        assert darker.mpp_source == slide.mpp_source
        assert darker.path == slide.path
        part = slide.read(3, 4, 30, 20)
        assert np.array_equal(darker.read(3, 4, 30, 20), perturbations.brightness(part, 0.5))
    # The pixels are in memory: they stay when the slide is closed.
    assert darker.read(3, 4, 30, 20).shape == (20, 30, 3)
