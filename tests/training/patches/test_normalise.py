from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.slides.slide import Pixels
from metaphase.slides.stain import LIGHT, Macenko, inked, stained
from metaphase.training.patches import augment as steps
from metaphase.training.patches.normalise import (
    Reinhard,
    apply_matrix,
    colour_matrix,
    fourier,
    from_lab,
    normalise_all,
    to_lab,
)
from metaphase.training.recipe.sections import Augment, Camera, Fourier, StainTransfer
from tests.slides.pictures import STAINS, stained_tissue

OTHER = np.array([[0.66, 0.68, 0.32], [0.10, 0.93, 0.36]])


def tissue(
    seed: int = 0, vectors: np.ndarray = STAINS, strength: float = 1.0, side: int = 96
) -> Pixels:
    """A tile all of tissue, of known stains."""
    return stained_tissue(side, side, seed, vectors=vectors, strength=strength)


def mean_difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


# --- against torchstain ------------------------------------------------------------------------


def test_macenko_is_torchstains() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    target, source = tissue(1, OTHER, 1.2), tissue(2)
    theirs.fit(target)
    wanted = theirs.normalize(source, stains=False)[0]
    reference = Macenko.of(target)
    assert reference is not None
    np.testing.assert_allclose(reference.vectors, theirs.HERef.T, atol=0.01)
    np.testing.assert_allclose(reference.amounts, theirs.maxCRef, rtol=0.03)
    result = reference(source)
    assert result.left_because == ""
    assert mean_difference(result.image, wanted) < 1.5  # they cut off, we round
    assert mean_difference(result.image, source) > 5


def test_macenkos_published_reference_is_torchstains() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    wanted = theirs.normalize(tissue(2), stains=False)[0]
    assert mean_difference(Macenko.published()(tissue(2)).image, wanted) < 1.5


def test_reinhard_is_torchstains() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.ReinhardNormalizer(backend="numpy")
    target, source = tissue(1, OTHER, 1.2), tissue(2)
    theirs.fit(target)
    reference = Reinhard.of(target, whole=True)
    assert reference is not None
    result = reference(source).image
    assert mean_difference(result, theirs.normalize(source)) < 1.0
    assert mean_difference(result, source) > 5


# --- what they promise ---------------------------------------------------------------------------


def references() -> list[Macenko | Reinhard]:
    found = [Macenko.of(tissue(1, OTHER)), Reinhard.of(tissue(1, OTHER))]
    return [reference for reference in found if reference is not None]


REFERENCES = pytest.mark.parametrize("reference", references(), ids=lambda r: r.name)


@REFERENCES
def test_an_image_comes_near_its_reference(reference: Macenko | Reinhard) -> None:
    result = reference(tissue(2))
    again = type(reference).of(result.image)
    assert again is not None
    if isinstance(reference, Macenko) and isinstance(again, Macenko):
        np.testing.assert_allclose(again.vectors, reference.vectors, atol=0.03)
        np.testing.assert_allclose(again.amounts, reference.amounts, rtol=0.1)
    elif isinstance(reference, Reinhard) and isinstance(again, Reinhard):
        np.testing.assert_allclose(again.means, reference.means, atol=1.5)
        np.testing.assert_allclose(again.spreads, reference.spreads, atol=1.5)


@REFERENCES
def test_an_image_is_nearly_its_own_reference(reference: Macenko | Reinhard) -> None:
    own = type(reference).of(tissue(3))
    assert own is not None
    assert mean_difference(own(tissue(3)).image, tissue(3)) < 2


PEN = np.zeros((64, 64, 3), np.uint8) + np.array([20, 160, 60], np.uint8)
ONLY_EOSIN = (LIGHT * np.exp(-np.linspace(0.3, 1.2, 64 * 64)[:, None] * STAINS[1])).astype(np.uint8)


@REFERENCES
@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.full((64, 64, 3), 255, np.uint8), "stained"),
        (np.full((64, 64, 3), 243, np.uint8), "stained"),
        (np.zeros((64, 64, 3), np.uint8), "black"),
        (PEN, "stained"),
        (np.full((64, 64, 3), 120, np.uint8), "one"),
    ],
    ids=["white", "glass", "black", "pen", "one colour"],
)
def test_what_cannot_be_normalised_is_left_and_told(
    reference: Macenko | Reinhard, image: Pixels, told: str
) -> None:
    result = reference(image)
    assert np.array_equal(result.image, image)
    assert told in result.left_because


def test_a_tile_of_one_stain_is_left_and_told() -> None:
    image = ONLY_EOSIN.reshape(64, 64, 3)
    result = Macenko.published()(image)
    assert "one stain" in result.left_because
    assert np.array_equal(result.image, image)


@REFERENCES
def test_glass_black_and_pen_beside_tissue_stay(reference: Macenko | Reinhard) -> None:
    image = tissue(2, side=128)
    image[:40], image[40:60], image[60:70] = 250, 0, (20, 160, 60)
    result = reference(image)
    assert result.left_because == ""
    assert np.abs(result.image[:70].astype(int) - image[:70]).max() <= 1
    assert mean_difference(result.image[70:], image[70:]) > 1.5
    # And they have no part in what is estimated.
    alone = reference(image[70:])
    assert mean_difference(result.image[70:], alone.image) < 1


def test_many_are_normalised_one_by_one() -> None:
    images = np.stack([tissue(2), np.full((96, 96, 3), 255, np.uint8)])
    result, reasons = normalise_all(images, Macenko.published())
    assert reasons[0] == ""
    assert "stained" in reasons[1]
    assert np.array_equal(result[0], Macenko.published()(images[0]).image)


def test_tissue_is_stained_and_no_ink() -> None:
    mask, reason = stained(tissue(4))
    assert mask.mean() > 0.9
    assert reason == ""
    assert inked(tissue(4)).mean() == 0


@given(st.integers(0, 2**24 - 1))
def test_lab_and_back(code: int) -> None:
    colour = np.array([code >> 16, (code >> 8) & 255, code & 255], np.uint8)
    assert np.abs(from_lab(to_lab(colour)).astype(int) - colour).max() <= 1


# --- Fourier, camera -----------------------------------------------------------------------------


def test_fourier_takes_the_colour_and_leaves_where_things_are() -> None:
    image, partner = tissue(2), tissue(3, OTHER, 1.4)
    mixed = fourier(image, partner, beta=0.02)
    for channel in range(3):
        assert mixed[..., channel].mean() == pytest.approx(partner[..., channel].mean(), abs=2)
    edges = [np.diff(x[..., 1].astype(float), axis=0).ravel() for x in (image, mixed, partner)]
    assert np.corrcoef(edges[0], edges[1])[0, 1] > 0.9
    assert abs(np.corrcoef(edges[1], edges[2])[0, 1]) < 0.3


def test_fourier_is_what_a_whole_transform_gives() -> None:
    image, partner = tissue(2), tissue(3, OTHER, 1.4)
    own, theirs = (np.fft.fft2(x.astype(float), axes=(0, 1)) for x in (image, partner))
    low = np.abs(np.fft.fftfreq(96) * 96) <= int(0.05 * 96)
    square = (low[:, None] & low)[..., None]
    wanted = np.where(square, np.abs(theirs) * np.exp(1j * np.angle(own)), own)
    whole = np.fft.ifft2(wanted, axes=(0, 1)).real.clip(0, 255)
    mixed = fourier(image, partner, beta=0.05).astype(float)
    assert np.abs(mixed - whole).max() < 1


def test_fourier_of_nothing_changes_nothing() -> None:
    image = tissue(2)
    assert np.array_equal(fourier(image, tissue(3), beta=0.05, amount=0.0), image)
    assert np.array_equal(fourier(image, image, beta=0.05), image)
    with pytest.raises(ValueError, match="one shape"):
        fourier(image, tissue(3, side=64), beta=0.05)


@given(st.integers(0, 1000), st.floats(0, 0.29))
def test_grey_stays_grey_through_any_camera(seed: int, size: float) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    matrix = colour_matrix(np.random.default_rng(seed), size)
    assert np.abs(apply_matrix(grey, matrix).astype(int) - grey).max() <= 1


# --- as steps of augmentation --------------------------------------------------------------------

ONLY = {
    name: {"probability": 0.0} for name in ("stain", "tone", "colour", "blur", "sharpen", "noise")
}


def only(**sections: object) -> Augment:
    values: dict[str, object] = {**ONLY, "jpeg": {"probability": 0.0}, **sections}
    return Augment.model_validate(values)


@pytest.mark.parametrize(
    "settings",
    [
        only(stain_transfer=StainTransfer(probability=1.0)),
        only(stain_transfer=StainTransfer(method="reinhard", probability=1.0)),
        only(fourier=Fourier(probability=1.0)),
    ],
    ids=["macenko", "reinhard", "fourier"],
)
def test_steps_take_the_look_of_another_domain(settings: Augment) -> None:
    image, other = tissue(2), tissue(3, OTHER, 1.9)

    def moved(partner: Callable[..., Pixels | None] | None) -> float:
        rng = np.random.default_rng(2)
        result = steps.vary(image, settings, rng, partner)
        return float(np.abs(result.mean((0, 1)) - image.mean((0, 1))).max())

    assert moved(lambda rng: other) > 2
    assert moved(lambda rng: None) == 0
    assert moved(None) == 0


def test_a_camera_changes_colour_and_not_grey() -> None:
    settings = only(camera=Camera(probability=1.0))
    rng = np.random.default_rng(1)
    assert mean_difference(steps.vary(tissue(2), settings, rng), tissue(2)) > 0.5


def test_new_steps_leave_the_draws_of_the_others_alone() -> None:
    image = tissue(2)
    before = steps.vary(image, Augment(), np.random.default_rng(5))
    with_new = Augment(camera=Camera(probability=0.0), fourier=Fourier(probability=0.0))
    assert np.array_equal(before, steps.vary(image, with_new, np.random.default_rng(5)))
