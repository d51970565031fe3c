"""Stains of whole slides: each slide's own for stain jitter, and those of all training regions
together as the reference of stain normalisation.

The stains of a patch are uncertain where it holds one cell type only; those of a slide are
estimated once, by the same method.
"""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Float32Array
from metaphase.errors import RecipeError
from metaphase.labels.dataset import Dataset
from metaphase.models.card import StainReference
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.slides.slidestain import stain_of_tiles, stain_tiles
from metaphase.stain.macenko import estimate_jitter_vectors
from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches.patch import SlidePool
from metaphase.training.recipe.sections import Augment


class SlideStains:
    """Optical densities [3 stains, RGB] of slides by case id, each estimated once a process."""

    def __init__(self, slides: SlidePool) -> None:
        self._slides = slides
        self._known: dict[str, Float32Array] = {}

    def __getitem__(self, case_id: str) -> Float32Array:
        if case_id not in self._known:
            self._known[case_id] = slide_vectors(self._slides[case_id])
        return self._known[case_id]


def slide_stains(settings: Augment | None, slides: SlidePool) -> SlideStains | None:
    """Return the stains of slides if augmentation needs them (``vectors = "slide"``)."""
    if settings is None or settings.stain.vectors != "slide":
        return None
    return SlideStains(slides)


def slide_vectors(slide: Slide) -> Float32Array:
    """Return the optical density [3 stains, RGB] of a slide's stains.

    The result is the same in every process. A slide with too little stain has Ruifrok's vectors.
    """
    tiles = stain_tiles(slide)
    return estimate_jitter_vectors(np.concatenate(tiles)) if tiles else RUIFROK


def reference_stain(training: Dataset) -> StainReference:
    """Return the stains of all training regions together. Raises RecipeError, SlideError."""
    tiles = []
    for case in training:
        with open_case(case) as slide:
            tiles += stain_tiles(slide)
    found = stain_of_tiles(tiles)
    if found is None:
        raise RecipeError.of(
            "recipe",
            "the training regions hold too little stain to be a reference",
            record="second_stage.stain_normalisation",
            way_out='leave it out, or say stain_normalisation = "none"',
        )
    return StainReference.model_validate(found.to_json())
