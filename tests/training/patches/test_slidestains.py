"""Stains of whole slides: estimated once, the same in every process, for patches of the slide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import RecipeError
from metaphase.labels.read import load_dataset
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slidestain import slide_stain
from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches import augment as a
from metaphase.training.patches import slidestains as slidestain
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.patch import SlidePool
from metaphase.training.patches.slidestains import reference_stain, slide_stains, slide_vectors
from metaphase.training.recipe.sections import Augment, Stain
from tests.training.dots import write_dots
from tests.training.helpers import make_recipe

OTHER = np.array([[0.45, 0.80, 0.40], [0.20, 0.85, 0.49]])
"""Stains of a laboratory that are not Ruifrok and Johnston's."""


def mixture(vectors, height, width, seed=0):
    """Return pixels of two stains, each alone in a part and mixed in the rest."""
    rng = np.random.default_rng(seed)
    # Squares of 8 px: noise of single pixels would depend on how tiles are resampled.
    coarse = rng.uniform(0.3, 1.6, (-(-height // 8), -(-width // 8), 2))
    amounts = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    amounts[: height // 3, :, 0] = amounts[-(height // 3) :, :, 1] = 0
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return np.round(255 * np.exp(-amounts @ unit)).astype(np.uint8)


def slide(pixels, mpp):
    return ArraySlide(pixels, Path("a.png"), MppHints(user=mpp))


def angle(found, wanted):
    wanted = wanted / np.linalg.norm(wanted)
    return np.degrees(np.arccos(np.clip(float(found @ wanted), -1, 1)))


def test_a_slides_stains_are_those_it_was_mixed_of():
    found = slide_vectors(slide(mixture(OTHER, 1200, 1500), 0.5))
    assert angle(found[0], OTHER[0]) < 3
    assert angle(found[1], OTHER[1]) < 3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)


def test_large_and_tiny_and_empty_slides_have_some():
    white = np.full((300, 300, 3), 250, np.uint8)
    assert np.array_equal(slide_vectors(slide(white, 0.25)), RUIFROK)
    small = slide_vectors(slide(mixture(OTHER, 90, 90), 0.5))  # less than a tile
    assert angle(small[0], OTHER[0]) < 5


@pytest.fixture
def dataset(tmp_path):
    path = write_dots(tmp_path, cases=2)
    dataset = load_dataset(path, images=tmp_path / "images")
    for number, case in enumerate(dataset):
        Image.fromarray(mixture(OTHER, 320, 320, number)).save(case.image)
    return dataset


def jittered(**more):
    off = {name: {"probability": 0.0} for name in ("tone", "colour", "blur", "sharpen", "noise")}
    stain = {"probability": 1.0, "multiply": 0.5, **more}
    return {"augment": {**off, "jpeg": {"probability": 0.0}, "mpp_jitter": 0.0, "stain": stain}}


def test_patches_of_a_slide_vary_along_its_stains(dataset, monkeypatch):
    asked = []
    known = slidestain.slide_vectors
    monkeypatch.setattr(slidestain, "slide_vectors", lambda s: asked.append(s) or known(s))
    patches = patch_dataset(make_recipe(**jittered(vectors="slide")), dataset)
    settings = patches.settings
    for index in range(len(patches)):
        varied, plain = patches[index], patches.read(patches[index].spec)
        case = patches.slides[plain.spec.case_id]
        rng = slidestain_rng(patches, index)
        again, *_ = a.augment(
            plain.image, plain.points, plain.boxes, settings, rng, stains=known(case)
        )
        assert np.array_equal(varied.image, again)
    assert len(asked) == 2, "once a slide"


def slidestain_rng(patches, index):
    from metaphase.training.patches.sampling import AUGMENT, rng_for

    return rng_for(patches.sampler.seed, 0, index, AUGMENT)


def test_fixed_vectors_ask_no_slide(dataset):
    pool = SlidePool({case.id: case for case in dataset})
    assert slide_stains(Augment(), pool) is None
    assert slide_stains(None, pool) is None
    assert slide_stains(Augment(stain=Stain(vectors="slide")), pool) is not None
    fixed, own = (
        patch_dataset(make_recipe(**jittered(vectors=name)), dataset)[3].image
        for name in ("ruifrok", "slide")
    )
    assert not np.array_equal(fixed, own)


def test_a_patch_without_a_slide_tells_its_own():
    image = mixture(OTHER, 128, 128)
    settings = Augment.model_validate(jittered(vectors="slide")["augment"])
    same = Augment.model_validate(jittered(vectors="macenko")["augment"])
    draw = [np.random.default_rng(1) for _ in range(2)]
    assert np.array_equal(a.vary(image, settings, draw[0]), a.vary(image, same, draw[1]))


def test_the_reference_is_all_training_regions_together(tmp_path):
    path = write_dots(tmp_path, cases=3)
    cases = load_dataset(path, images=tmp_path / "images")
    for number, case in enumerate(cases):
        Image.fromarray(mixture(OTHER, 600, 600, number)).save(case.image)
    regions = [replace(case, mpp=0.5, width_px=600, height_px=600) for case in cases]
    told = reference_stain(regions)
    assert angle(np.array(told.vectors[0]), OTHER[0]) < 3
    assert angle(np.array(told.vectors[1]), OTHER[1]) < 3
    alone = slide_stain(slide(mixture(OTHER, 1200, 1200), 0.5))
    assert alone is not None
    np.testing.assert_allclose(told.amounts, alone.amounts, rtol=0.05)


def test_regions_without_stain_are_no_reference(dataset):
    for case in dataset:
        Image.fromarray(np.full((320, 320, 3), 250, np.uint8)).save(case.image)
    with pytest.raises(RecipeError, match="too little stain"):
        reference_stain(dataset)
